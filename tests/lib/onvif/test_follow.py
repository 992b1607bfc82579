"""A camera whose address changed is found again, by real datagrams on the loopback."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from roomwitness.onvif import (
    DeviceId,
    Identity,
    OnvifSource,
    another,
    describe,
    discover,
    endpoint_of,
    follow,
)
from roomwitness.onvif.following import PORT
from tests.camera import Camera, CameraConfig
from tests.camera.broken import BrokenOnvif
from tests.camera.discovery import Discovery
from tests.peers import free_port

USER, WORD = "admin", "pass <word>"


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user=USER, password=WORD)) as found:
        found.onvif.house.serial = "SN-1"
        yield found


def gone(camera: Camera) -> OnvifSource:
    return OnvifSource("127.0.0.1", free_port(), camera.config.user, camera.config.password)


async def test_it_is_found_by_its_endpoint_and_known_by_its_serial_number(camera: Camera) -> None:
    source = OnvifSource("127.0.0.1", camera.onvif.port, USER, WORD)
    info = await describe(source)
    known = DeviceId(info.endpoint, info.identity.serial)
    assert known == DeviceId(str(camera.onvif.house.endpoint), "SN-1")
    assert "SN-1" not in repr(known)
    responders = [
        Discovery("other", "127.0.0.1", free_port()),
        Discovery("impostor", "127.0.0.1", free_port(), camera.onvif.house.endpoint),
        Discovery("door", "127.0.0.1", camera.onvif.port, camera.onvif.house.endpoint),
    ]
    for responder in responders:
        await responder.start(0)
    found = await discover(0.4, [("127.0.0.1", r.port) for r in responders])
    for responder in responders:
        responder.stop()
    assert await follow(gone(camera), known, found) == source
    # Where it is already, or without a serial number to know it by, nothing is followed.
    assert await follow(source, known, [c for c in found if c.port == source.port]) is None
    assert await follow(gone(camera), replace(known, serial=""), found) is None
    assert await follow(gone(camera), replace(known, endpoint="x"), found) is None
    assert await follow(gone(camera), replace(known, serial="SN-2"), found) is None


async def test_an_impostor_gets_no_password(camera: Camera) -> None:
    endpoint = str(camera.onvif.house.endpoint)
    for mistake in ("basic_only", "xaddr_nowhere", "digest_only"):
        impostor = BrokenOnvif(CameraConfig(user=USER, password="another"), mistake)
        await impostor.start()
        responder = Discovery("door", "127.0.0.1", impostor.port, camera.onvif.house.endpoint)
        await responder.start(0)
        found = await discover(0.2, [("127.0.0.1", responder.port)])
        assert await follow(gone(camera), DeviceId(endpoint, "SN-1"), found) is None
        responder.stop()
        await impostor.stop()
        assert impostor.told
        assert "Authorization" not in impostor.told[0]
        assert "Security>" not in impostor.told[0]
        assert not any(WORD in told or "Basic" in told for told in impostor.told)


async def test_an_endpoint_that_only_discovery_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    responder = Discovery("door", "127.0.0.1", 8123, uuid4())
    await responder.start(0)
    monkeypatch.setattr(f"{follow.__module__}.PORT", responder.port)
    assert PORT == 3702
    there = OnvifSource("127.0.0.1", 8123)
    assert await endpoint_of(there, 0.3) == str(responder.endpoint)
    assert await endpoint_of(replace(there, port=8124), 0.3) == ""
    responder.stop()


def test_another_is_only_who_surely_is() -> None:
    found = Identity("", "", "", "SN-1")
    assert another(DeviceId("", "SN-2"), found)
    assert not another(DeviceId("", "SN-1"), found)
    assert not another(DeviceId("", ""), found)
    assert not another(DeviceId("", "SN-2"), replace(found, serial=""))
