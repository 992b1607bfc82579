"""What is wired to a device: "none" only where the device says so."""

from collections.abc import AsyncIterator

import pytest

from roomwitness.onvif import Connection, OnvifFault, OnvifSource, io
from tests.camera import Camera, CameraConfig
from tests.camera.signals import DEVICE_IO, Fault


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(inputs=1, relays=1)) as found:
        yield found


def source(camera: Camera) -> OnvifSource:
    return OnvifSource("127.0.0.1", camera.onvif.port, None, None)


def refuse(camera: Camera, operation: str, device_io: str, device: str | None = None) -> None:
    """Have the device answer these faults, at its Device IO service and at Device Management."""

    def fault(_text: str, path: str) -> str:
        raise Fault(device_io if device is None or path == DEVICE_IO else device)

    setattr(camera.signals, f"_{operation}", fault)


async def test_a_refusal_is_not_none(camera: Camera) -> None:
    refuse(camera, "GetDigitalInputs", "OutOfMemory")
    refuse(camera, "GetRelayOutputs", "OutOfMemory")
    async with Connection(source(camera)) as device:
        for ask in (io.inputs, io.relays):
            with pytest.raises(OnvifFault):
                await ask(device)
        await io.set_relay(device, "relay1", active=True)  # How it is set must not be known.
    assert camera.signals.relays["relay1"].state == "active"


async def test_no_such_service_is_none(camera: Camera) -> None:
    refuse(camera, "GetDigitalInputs", "ActionNotSupported")
    refuse(camera, "GetRelayOutputs", "ActionNotSupported")
    async with Connection(source(camera)) as device:
        assert await io.inputs(device) == ()
        assert await io.relays(device) == ()


@pytest.mark.parametrize(
    ("device_io", "device"),
    [("OutOfMemory", "ActionNotSupported"), ("ActionNotSupported", "OutOfMemory")],
)
async def test_of_two_services_the_one_that_may_have_relays_counts(
    camera: Camera, device_io: str, device: str
) -> None:
    refuse(camera, "GetRelayOutputs", device_io, device)
    async with Connection(source(camera)) as connection:
        with pytest.raises(OnvifFault) as found:
            await io.relays(connection)
    assert "outofmemory" in found.value.codes
