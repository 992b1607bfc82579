"""How a camera's media comes, chosen in its form and used for its recordings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component

from custom_components.room_witness.const import DOMAIN
from custom_components.room_witness.repairs import async_create_fix_flow
from tests.background import Background
from tests.camera import Camera, CameraConfig
from tests.peers.certificates import Certificate, make
from tests.peers.gateway import Gateway

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_flows import Subentries
from .test_room import SWITCH, state

WORD = {"username": "cam", "password": "pa ss"}


@pytest.fixture
async def udp_camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss", udp=True)
    async with Camera(config) as found:
        yield found


def chosen(result: Any) -> str | None:
    """What the form suggests as transport."""
    inner = result["data_schema"].schema["connection"].schema.schema
    (key,) = (k for k in inner if k == "transport")
    suggested: str | None = (key.description or {}).get("suggested_value")
    return suggested


async def test_a_camera_with_only_udp_is_found_out_and_the_choice_is_kept(
    hass: HomeAssistant, make_site: MakeSite, udp_camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    told = {"stream_url": udp_camera.url, **WORD}
    result = await flow.go(**told, connection={"transport": "tcp"})
    assert result["errors"] == {"base": "transport_refused"}
    assert chosen(result) == "tcp"
    result = await flow.go(**told, connection={"transport": "automatic"})
    assert result["step_id"] == "details"
    assert result["description_placeholders"]["transport"] == "UDP"
    result = await flow.go(name="Hall", audio=False)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry_id,) = entry.subentries
    assert entry.subentries[subentry_id].data["connection"] == {"transport": "automatic"}
    assert chosen(await flow.start(subentry_id)) == "automatic"
    await flow.go(**told, connection={"transport": "udp"})
    result = await flow.go(name="Hall", audio=False)
    assert result["type"] is FlowResultType.ABORT
    assert entry.subentries[subentry_id].data["connection"] == {"transport": "udp"}
    assert chosen(await flow.start(subentry_id)) == "udp"
    await hass.async_block_till_done()


def issues(hass: HomeAssistant) -> set[str]:
    """Keys of the repairs that are shown."""
    found = ir.async_get(hass).issues.values()
    return {i.translation_key or "" for i in found if i.domain == DOMAIN and i.active}


async def switch(hass: HomeAssistant, action: str) -> None:
    await hass.services.async_call("switch", action, {"entity_id": SWITCH}, blocking=True)


async def test_a_meeting_is_recorded_over_udp_and_silence_is_a_repair(
    hass: HomeAssistant, make_site: MakeSite, calendar: str, udp_camera: Camera
) -> None:
    camera = camera_subentry(udp_camera, connection={"transport": "udp"})
    entry = await make_site(camera, room_subentry())
    status = entry.runtime_data.witness.status
    await switch(hass, "turn_on")
    await until(hass, lambda: status("room1").bytes > 0)
    assert issues(hass) == set()
    udp_camera.faults.stall = True
    udp_camera.rtsp.drop()
    await until(hass, lambda: "stream_udp_silent" in issues(hass))
    udp_camera.faults.stall = False
    await until(hass, lambda: issues(hass) == set())
    await switch(hass, "turn_off")
    await until(hass, lambda: state(hass, "sensor.room_12_last_erasure") != "unknown")
    receipt = hass.states.get("sensor.room_12_last_erasure")
    assert receipt is not None
    assert receipt.attributes["segments"] == 2


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Certificate, Certificate]:
    return make(tmp_path / "first.pem"), make(tmp_path / "second.pem")


@pytest.fixture
async def tls_camera(
    certificates: tuple[Certificate, Certificate],
) -> AsyncIterator[RemoteCamera]:
    tls = certificates[0].server()
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss", tls=tls)
    found = RemoteCamera(config)
    await found.run(found.__aenter__)
    yield found
    await found.run(found.__aexit__)
    found.host.stop()


class RemoteCamera(Camera):
    """In a thread of its own: a handshake that we break off is an error in its event loop."""

    def __init__(self, config: CameraConfig) -> None:
        super().__init__(config)
        self.host = Background()
        self.host.start()

    async def run(self, work: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        await asyncio.wrap_future(self.host.submit(work(*args)))

    async def exchange(self, certificate: Certificate) -> None:
        """It was reset: it made itself a new certificate."""
        await self.run(self.rtsp.stop)
        self.config.tls = certificate.server()
        await self.run(self.rtsp.start)


async def test_a_certificate_is_confirmed_when_it_is_first_seen_and_when_it_changed(
    hass: HomeAssistant,
    make_site: MakeSite,
    tls_camera: RemoteCamera,
    certificates: tuple[Certificate, Certificate],
) -> None:
    first, second = certificates
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    told = {"stream_url": tls_camera.url, **WORD}
    result = await flow.go(**told, connection={"transport": "udp"})
    assert result["errors"] == {"base": "transport_insecure"}
    result = await flow.go(**{**told, "password": "wrong"})
    assert result["step_id"] == "certificate"
    assert result["description_placeholders"] == {"fingerprint": first.fingerprint}
    result = await flow.go()
    assert (result["step_id"], result["errors"]) == ("stream", {"base": "camera_auth_failed"})
    result = await flow.go(**told)
    assert result["step_id"] == "details"
    assert result["description_placeholders"]["transport"] == "TCP + TLS"
    result = await flow.go(name="Hall", audio=False)
    (subentry_id,) = entry.subentries
    assert entry.subentries[subentry_id].data["fingerprint"] == first.fingerprint

    await tls_camera.exchange(second)
    await flow.start(subentry_id)
    result = await flow.go(**told)
    assert result["step_id"] == "certificate_changed"
    assert result["description_placeholders"] == {
        "pinned": first.fingerprint,
        "fingerprint": second.fingerprint,
    }
    await flow.go()
    result = await flow.go(name="Hall", audio=False)
    assert result["reason"] == "reconfigure_successful"
    assert entry.subentries[subentry_id].data["fingerprint"] == second.fingerprint
    await hass.async_block_till_done()


async def test_a_camera_by_onvif_with_tls(
    hass: HomeAssistant,
    make_site: MakeSite,
    tls_camera: RemoteCamera,
    certificates: tuple[Certificate, Certificate],
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="onvif")
    told = {"host": "127.0.0.1", "port": tls_camera.onvif.port, **WORD}
    assert (await flow.go(**told))["step_id"] == "certificate"
    assert (await flow.go())["step_id"] == "details"
    await flow.go(name="Hall", audio=False)
    (subentry,) = entry.subentries.values()
    assert subentry.data["fingerprint"] == certificates[0].fingerprint
    await hass.async_block_till_done()


async def test_a_changed_certificate_is_a_repair_that_mends_the_running_meeting(
    hass: HomeAssistant,
    make_site: MakeSite,
    calendar: str,
    tls_camera: RemoteCamera,
    certificates: tuple[Certificate, Certificate],
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    first, second = certificates
    camera = camera_subentry(tls_camera, fingerprint=first.fingerprint)
    entry = await make_site(camera, room_subentry())
    status = entry.runtime_data.witness.status
    await switch(hass, "turn_on")
    await until(hass, lambda: status("room1").bytes > 0)
    await tls_camera.exchange(second)
    await until(hass, lambda: "certificate_changed" in issues(hass))
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.is_fixable
    manager = hass.data["repairs"]["flow_manager"]
    result = await manager.async_init(DOMAIN, data={"issue_id": issue.issue_id})
    assert result["step_id"] == "confirm"
    assert result["description_placeholders"] == {
        "camera": "Door camera",
        "pinned": first.fingerprint,
        "fingerprint": second.fingerprint,
    }
    result = await manager.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.subentries["camera1"].data["fingerprint"] == second.fingerprint
    before = status("room1").bytes
    await until(hass, lambda: status("room1").bytes > before)
    assert issues(hass) == set()
    await switch(hass, "turn_off")


async def test_the_repair_of_a_certificate_that_needs_no_answer(
    hass: HomeAssistant,
    make_site: MakeSite,
    tls_camera: RemoteCamera,
    certificates: tuple[Certificate, Certificate],
) -> None:
    first, second = certificates
    entry = await make_site(camera_subentry(tls_camera, fingerprint=first.fingerprint))
    about = {"key": "certificate_changed", "camera_id": "camera1"}

    async def asked() -> Any:
        flow = await async_create_fix_flow(hass, "id", {**about})
        flow.hass = hass
        return await flow.async_step_init()

    result = await asked()  # The confirmed one is back.
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.subentries["camera1"].data["fingerprint"] == first.fingerprint
    await tls_camera.run(tls_camera.rtsp.stop)
    assert (await asked())["reason"] == "camera_unreachable"
    await tls_camera.exchange(second)
    flow = await async_create_fix_flow(hass, "id", {**about})
    flow.hass = hass
    assert (await flow.async_step_init())["type"] is FlowResultType.FORM  # type: ignore[attr-defined]
    hass.config_entries.async_remove_subentry(entry, "camera1")
    result = await flow.async_step_confirm({})  # type: ignore[attr-defined]
    assert result["reason"] == "camera_gone"
    assert (await asked())["reason"] == "camera_gone"
    await hass.async_block_till_done()


async def test_a_camera_behind_an_http_tunnel(
    hass: HomeAssistant, make_site: MakeSite, calendar: str, camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    told = {"stream_url": camera.url, **WORD}
    async with Gateway(camera.rtsp.port) as gate:
        wrong = {"transport": "http", "tunnel_port": camera.onvif.port}
        result = await flow.go(**told, connection=wrong)
        assert result["errors"] == {"base": "transport_refused"}
        right = {"transport": "http", "tunnel_port": gate.port}
        result = await flow.go(**told, connection=right)
        assert result["step_id"] == "details"
        assert result["description_placeholders"]["transport"] == "HTTP"
        await flow.go(name="Hall", audio=False)
        (subentry_id,) = entry.subentries
        assert entry.subentries[subentry_id].data["connection"] == right
        hass.config_entries.async_add_subentry(entry, room_subentry(cameras=[subentry_id]))
        await hass.async_block_till_done()
        await switch(hass, "turn_on")
        await until(hass, lambda: entry.runtime_data.witness.status("room1").bytes > 0)
        assert gate.gets == 2  # To look at it, and to record.
        assert issues(hass) == set()
        await switch(hass, "turn_off")
