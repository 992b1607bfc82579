"""A subscription lives through everything that a camera does, against ours and by other clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import onvif
import pytest

from roomwitness.onvif import Connection, OnvifSource, io, pullpoint
from roomwitness.onvif.errors import OnvifAuthFailed, OnvifError, OnvifNoEvents
from roomwitness.onvif.events import Kind, Notification
from roomwitness.onvif.pullpoint import listen
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import until


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(user="admin", password="pass & <word>", inputs=2, relays=2)
    async with Camera(config) as found:
        yield found


def source(camera: Camera, password: str = "pass & <word>") -> OnvifSource:
    return OnvifSource("127.0.0.1", camera.onvif.port, "admin", password)


class Ear:
    """What was heard."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.lives: list[OnvifError | None] = []

    def inputs(self) -> list[tuple[str, bool | None]]:
        return [(n.source, n.active) for n in self.told if n.kind is Kind.INPUT]

    @property
    def alive(self) -> bool:
        return bool(self.lives) and self.lives[-1] is None


@asynccontextmanager
async def listening(to: OnvifSource) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(listen(to, ear.told.append, ear.lives.append))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("reference_parameters", [False, True])
async def test_a_press_is_heard_and_the_subscription_given_back(
    camera: Camera, reference_parameters: bool
) -> None:
    await camera.fault("reference_parameters", reference_parameters)
    async with listening(source(camera)) as ear:
        await until(lambda: ear.alive)
        assert set(ear.inputs()) == {("in1", False), ("in2", False)}
        camera.signals.press("in2")
        await until(lambda: ("in2", True) in ear.inputs())
        assert ("in1", True) not in ear.inputs()
        assert camera.signals.subscribers == 1
    assert camera.signals.subscribers == 0
    assert (camera.signals.created, camera.signals.unsubscribed) == (1, 1)


async def test_one_that_was_lost_is_made_anew_and_tells_how_it_is(camera: Camera) -> None:
    async with listening(source(camera)) as ear:
        await until(lambda: ear.alive)
        camera.signals.lose()
        camera.signals.press()
        ear.told.clear()
        await until(lambda: ("in1", True) in ear.inputs())
        await camera.fault("kill")
        await until(lambda: not ear.alive)
        assert ear.lives[-1] is not None
        assert ear.lives[-1].key == "onvif_unreachable"
        ear.told.clear()
        await camera.fault("revive")
        await until(lambda: ear.alive)
        assert ("in1", True) in ear.inputs()


@pytest.mark.parametrize("renews", [True, False])
async def test_it_is_renewed_or_outlived(
    camera: Camera, renews: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one of a second: renewed in time, or made anew when a camera cannot renew."""
    monkeypatch.setattr(pullpoint, "_SHORTEST_S", 1.0)
    monkeypatch.setattr(pullpoint, "FIRST_WAIT_S", 0.05)
    await camera.fault("longest_subscription_s", 2.0)
    await camera.fault("no_renew", not renews)
    async with listening(source(camera)) as ear:
        if renews:
            await until(lambda: camera.signals.renewed >= 2)
            assert camera.signals.created == 1
            assert all(life is None for life in ear.lives)
        else:
            await until(lambda: camera.signals.created >= 2 and ear.alive)
        ear.told.clear()
        camera.signals.press()
        await until(lambda: ("in1", True) in ear.inputs())


async def test_who_is_refused_says_so(camera: Camera) -> None:
    async with listening(source(camera, "wrong")) as ear:
        await until(lambda: ear.lives)
        assert isinstance(ear.lives[0], OnvifAuthFailed)
    camera.onvif._GetServices = lambda: "<tds:GetServicesResponse/>"  # type: ignore[method-assign]
    async with listening(source(camera)) as ear:
        await until(lambda: ear.lives)
        assert isinstance(ear.lives[0], OnvifNoEvents)
    assert "127.0.0.1" not in repr(ear.lives)


async def test_what_nobody_thought_of_does_not_end_it(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pullpoint, "FIRST_WAIT_S", 0.05)
    async with listening(source(camera)) as ear:
        with monkeypatch.context() as patch:
            patch.setattr(pullpoint, "parse", lambda _: 1 / 0)
            await until(lambda: ear.lives)
            assert str(ear.lives[0]) == "ZeroDivisionError"
        await until(lambda: ear.alive)


async def test_a_camera_that_never_stops_talking_does_not_keep_us_busy(camera: Camera) -> None:
    async with listening(source(camera)) as ear:
        await until(lambda: ear.alive)
        asked = camera.signals.pulled
        for number in range(2000):
            camera.signals.set("VideoSource/MotionAlarm", "v", number % 2 == 0)
        begin = asyncio.get_running_loop().time()
        await until(lambda: camera.signals.pulled - asked >= 10)
        assert asyncio.get_running_loop().time() - begin > 0.4


async def test_inputs_and_relays(camera: Camera) -> None:
    camera.signals.relays["relay2"].mode = "Monostable"
    camera.signals.relays["relay2"].idle = "closed"
    async with Connection(source(camera)) as device:
        assert await io.inputs(device) == ("in1", "in2")
        found = await io.relays(device)
        assert [(r.token, r.monostable, r.idle) for r in found] == [
            ("relay1", False, "open"),
            ("relay2", True, "closed"),
        ]
        for token in ("relay1", "relay2"):
            await io.set_relay(device, token, active=True)
        await io.set_relay(device, "relay1", active=False)
        relays = camera.signals.relays
        assert [(r.state, r.mode, r.idle) for r in relays.values()] == [
            ("inactive", "Bistable", "open"),
            ("active", "Bistable", "closed"),
        ]
        with pytest.raises(OnvifError):
            await io.set_relay(device, "none", active=False)


async def test_relays_of_a_device_without_device_io(camera: Camera) -> None:
    service = camera.onvif._GetServices()
    without = service[: service.rindex("<tds:Service>")] + "</tds:GetServicesResponse>"
    camera.onvif._GetServices = lambda: without  # type: ignore[method-assign]
    camera.signals.relays["relay1"].mode = "Monostable"
    async with Connection(source(camera)) as device:
        assert await io.inputs(device) == ()
        await io.set_relay(device, "relay1", active=True)
    assert (camera.signals.relays["relay1"].mode, camera.signals.commands) == (
        "Bistable",
        [("relay1", "active")],
    )


async def test_another_client_understands_the_simulated_camera(camera: Camera) -> None:
    """onvif-zeep-async reads answers by ONVIF's own schemas: so ours speaks ONVIF."""
    client = onvif.ONVIFCamera(
        "127.0.0.1", camera.onvif.port, "admin", "pass & <word>", nat_override=True
    )
    await client.update_xaddrs()
    manager = await client.create_pullpoint_manager(timedelta(seconds=60), lambda: None)
    pull = {"Timeout": timedelta(seconds=1), "MessageLimit": 5}
    answer = await manager.get_service().PullMessages(pull)
    heard = [
        (each.Topic._value_1, message.PropertyOperation, message.Data.SimpleItem[0].Value)
        for each in answer.NotificationMessage
        for message in [each.Message._value_1]
    ]
    assert ("tns1:Device/Trigger/DigitalInput", "Initialized", "false") in heard
    await manager._call_subscription_renew()
    await manager.shutdown()
    device_io = await client.create_deviceio_service()
    assert [each.token for each in await device_io.GetDigitalInputs()] == ["in1", "in2"]
    (relay, _) = await device_io.GetRelayOutputs()
    assert (relay.token, relay.Properties.Mode) == ("relay1", "Bistable")
    await device_io.SetRelayOutputState({"RelayOutputToken": "relay1", "LogicalState": "active"})
    await client.close()
    signals = camera.signals
    assert (signals.renewed, signals.unsubscribed) == (1, 1)
    assert signals.commands == [("relay1", "active")]
