"""Setting up: the site, its cameras, its rooms; and everything that can be told wrongly."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, SubentryFlowContext
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.room_witness import camera_flow, discovery, paths
from custom_components.room_witness.const import DOMAIN
from custom_components.room_witness.rooms import room_config
from roomwitness.capture import StreamInfo, StreamSource
from roomwitness.onvif import discover
from roomwitness.vault.age import Identity
from roomwitness.witness import StoredKeys
from tests.camera import Camera, VideoProfile
from tests.camera.discovery import Discovery
from tests.peers import free_port

from .conftest import LEGAL_FILE, TIMES, MakeSite, camera_subentry, room_subentry


async def test_a_site_is_set_up_and_its_identity_confirmed(hass: HomeAssistant) -> None:
    flow = hass.config_entries.flow
    result: Any = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["step_id"] == "user"
    Path(hass.config.path("in_the_way")).write_text("")
    result = await flow.async_configure(
        result["flow_id"], {"vault": hass.config.path("in_the_way", "vault")}
    )
    assert result["errors"] == {"vault": "vault_unwritable"}
    result = await flow.async_configure(result["flow_id"], {"vault": paths.default_vault(hass)})
    assert result["step_id"] == "first_custodian"
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "custodian"})
    identity = result["description_placeholders"]["identity"]
    for wrong in ("", identity[-5:], identity[:6], "AAAAAA"):
        result = await flow.async_configure(result["flow_id"], {"confirm": wrong})
        assert result["errors"] == {"confirm": "identity_not_confirmed"}
    result = await flow.async_configure(result["flow_id"], {"confirm": identity[-6:].lower()})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    entry = result["result"]
    recipient = str(Identity.from_string(identity).recipient)
    assert entry.data["custodians"] == [{"recipient": recipient, "label": ""}]
    everything = "".join(
        path.read_text(errors="replace")
        for path in Path(hass.config.config_dir).rglob("*")
        if path.is_file()
    )
    assert identity not in everything + repr(entry.data)
    assert paths.keys_file(hass).stat().st_mode & 0o077 == 0
    again = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert again["reason"] == "single_instance_allowed"

    assert await hass.config_entries.async_remove(entry.entry_id)
    stored = StoredKeys.load(paths.keys_file(hass))
    result = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flow.async_configure(result["flow_id"], {"vault": paths.default_vault(hass)})
    assert result["step_id"] == "known_site"
    result = await flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert StoredKeys.load(paths.keys_file(hass)) == stored
    await hass.async_block_till_done()


class Subentries:
    """Drives one subentry flow."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> None:
        self._flow = hass.config_entries.subentries
        self._key = (entry.entry_id, kind)
        self.result: Any = None

    async def start(self, subentry_id: str | None = None) -> Any:
        context = (
            SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=subentry_id)
            if subentry_id
            else SubentryFlowContext(source=SOURCE_USER)
        )
        self.result = await self._flow.async_init(self._key, context=context)
        return self.result

    async def go(self, **user_input: Any) -> Any:
        self.result = await self._flow.async_configure(self.result["flow_id"], user_input)
        return self.result


async def test_a_camera_picked_from_what_was_discovered(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    responder = Discovery("Door", "127.0.0.1", camera.onvif.port)
    await responder.start(0)
    look = partial(discover, 0.4, [("127.0.0.1", responder.port)])
    monkeypatch.setattr(discovery, "discover", look)
    assert (await flow.start())["type"] is FlowResultType.MENU
    result = await flow.go(next_step_id="discovered")
    assert result["step_id"] == "discovered"
    (option,) = [
        o
        for o in result["data_schema"].schema["found"].config["options"]
        if str(camera.onvif.port) in o["label"]
    ]
    result = await flow.go(found=option["value"])
    assert result["step_id"] == "onvif"
    result = await flow.go(
        host="127.0.0.1", port=camera.onvif.port, username="cam", password="wrong"
    )
    assert result["errors"] == {"base": "onvif_auth_failed"}
    result = await flow.go(
        host="127.0.0.1", port=camera.onvif.port, username="cam", password="pa ss"
    )
    assert result["step_id"] == "details"
    assert result["description_placeholders"]["width"] == "160"
    result = await flow.go(name=" ", audio=True)
    assert result["errors"] == {"name": "name_missing"}
    result = await flow.go(name="Door", audio=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == "Door"
    assert subentry.data["stream_url"] == camera.url
    assert subentry.data["audio"] is True
    await hass.async_block_till_done()
    monkeypatch.setattr(discovery, "discover", partial(discover, 0.2))
    responder.stop()
    await flow.start()
    result = await flow.go(next_step_id="discovered")
    assert result["step_id"] in ("none_found", "discovered")


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ("refuse_rtsp", "camera_unreachable"),
        ("no_keyframes", "stream_no_keyframe"),
        ("kill", "onvif_unreachable"),
    ],
)
async def test_what_is_wrong_with_a_camera_is_said_and_can_be_tried_again(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    key: str,
) -> None:
    async def here(source: StreamSource) -> StreamInfo:
        raise AssertionError("what a camera sends was read in Home Assistant's process")

    monkeypatch.setattr(camera_flow, "probe", here)
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="onvif")
    told = {
        "host": " 127.0.0.1 ",
        "port": camera.onvif.port,
        "username": "cam",
        "password": "pa ss",
    }
    await camera.fault(fault)
    result = await flow.go(**told)
    assert result["errors"] == {"base": key}
    if fault == "no_keyframes":
        await camera.fault("no_keyframes", False)
        assert (await flow.go(**told))["step_id"] == "details"


async def test_a_camera_is_set_up_while_the_site_is_not_loaded(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site()
    assert await hass.config_entries.async_unload(entry.entry_id)
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    told = {"stream_url": camera.url, "username": "cam", "password": "pa ss"}
    assert (await flow.go(**told))["step_id"] == "details"


async def test_a_camera_by_its_stream_and_changed_later(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    result = await flow.go(stream_url=f"rtsp://127.0.0.1:{free_port()}/stream")
    assert result["errors"] == {"base": "camera_unreachable"}
    result = await flow.go(stream_url=camera.url, username="cam", password="pa ss")
    assert result["step_id"] == "details"
    result = await flow.go(name="Hall", audio=False)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry_id,) = entry.subentries
    camera.config.password = "new word"
    result = await flow.start(subentry_id)
    assert result["step_id"] == "stream"
    result = await flow.go(stream_url=camera.url, username="cam", password="pa ss")
    assert result["errors"] == {"base": "camera_auth_failed"}
    await flow.go(stream_url=camera.url, username="cam", password="new word")
    result = await flow.go(name="Hall 2", audio=True)
    assert result["type"] is FlowResultType.ABORT
    subentry = entry.subentries[subentry_id]
    assert (subentry.title, subentry.data["password"], subentry.data["audio"]) == (
        "Hall 2",
        "new word",
        True,
    )
    await hass.async_block_till_done()


async def test_a_known_camera_is_reconfigured_by_onvif(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(camera_subentry(camera))
    flow = Subentries(hass, entry, "camera")
    result = await flow.start("camera1")
    assert result["step_id"] == "onvif"
    await flow.go(host="127.0.0.1", port=camera.onvif.port, username="cam", password="pa ss")
    result = await flow.go(name="Front door", audio=False)
    assert result["type"] is FlowResultType.ABORT
    assert entry.subentries["camera1"].title == "Front door"
    await hass.async_block_till_done()


PROFILES = (
    VideoProfile("sub", "H264", 160, 96, 10, 300),
    VideoProfile("main", "H264", 1920, 1080, 25, 4000, audio=True),
    VideoProfile("gone", "H265", 2560, 1440, 25, 6000, uri="rtsp://127.0.0.1:9/gone"),
)


async def test_the_profile_is_the_users_choice_and_stays_it(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    camera.config.profiles, camera.config.media2 = PROFILES, True
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="onvif")
    told = {"host": "127.0.0.1", "port": camera.onvif.port, "username": "cam", "password": "pa ss"}
    result = await flow.go(**told)
    # The best does not play: others may, so they are offered.
    assert (result["step_id"], result["errors"]) == ("details", {"base": "camera_unreachable"})
    profile = next(k for k in result["data_schema"].schema if k == "profile")
    assert profile.default() == "gone"
    options = result["data_schema"].schema[profile].config["options"]
    assert [option["label"] for option in options] == [
        "160×96 H.264, 10 fps, 0.3 Mbit/s (Sub)",
        "1920×1080 H.264, 25 fps, 4 Mbit/s (Main)",
        "2560×1440 H.265, 25 fps, 6 Mbit/s (Gone)",
    ]
    result = await flow.go(name="Door", profile="gone", audio=False)
    assert result["errors"] == {"base": "camera_unreachable"}
    result = await flow.go(name="Door", profile="sub", audio=False)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert (subentry.data["profile"], subentry.data["stream_url"]) == ("sub", camera.url)

    await flow.start(subentry.subentry_id)
    result = await flow.go(**told)
    assert (result["step_id"], result["errors"]) == ("details", {})
    profile = next(k for k in result["data_schema"].schema if k == "profile")
    assert profile.default() == "sub"
    result = await flow.go(name="Door", profile="main", audio=True)
    assert result["type"] is FlowResultType.ABORT
    assert entry.subentries[subentry.subentry_id].data["profile"] == "main"
    await hass.async_block_till_done()


async def test_a_room_is_added_and_changed(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "room")
    assert (await flow.start())["reason"] == "no_cameras"
    hass.config_entries.async_add_subentry(entry, camera_subentry(camera))
    hass.config_entries.async_add_subentry(
        entry, room_subentry("other", "Other", calendar="calendar.taken")
    )
    await hass.async_block_till_done()
    good: dict[str, Any] = {
        "name": "Room 12",
        "cameras": ["camera1"],
        "times": TIMES,
        "legal_file": LEGAL_FILE,
    }
    await flow.start()
    for changes, errors in (
        ({"name": " "}, {"name": "name_missing"}),
        ({"cameras": []}, {"cameras": "camera_missing"}),
        ({"calendar": "calendar.taken"}, {"calendar": "calendar_taken"}),
        (
            {"times": {**TIMES, "review_window": {"days": 4}}},
            {"base": "review_window_too_long"},
        ),
        ({"times": {**TIMES, "hold_period": {"days": 0}}}, {"base": "hold_period_too_short"}),
        ({"times": {**TIMES, "lag": {"hours": 15}}}, {"base": "around_booking_too_long"}),
        ({"times": {**TIMES, "lead": {"hours": 15}}}, {"base": "around_booking_too_long"}),
        (
            {"times": {**TIMES, "manual_length": {"hours": 0}}},
            {"base": "manual_length_out_of_range"},
        ),
        (
            {"times": {**TIMES, "manual_length": {"days": 1}}},
            {"base": "manual_length_out_of_range"},
        ),
    ):
        result = await flow.go(**{**good, **changes})
        assert result["errors"] == errors
    result = await flow.go(**good)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    (room,) = [s for s in entry.subentries.values() if s.title == "Room 12"]
    assert hass.states.get("sensor.room_12_state")
    result = await flow.start(room.subentry_id)
    assert result["step_id"] == "reconfigure"
    result = await flow.go(
        **{**good, "name": "Room 13", "calendar": "calendar.own", "quota_gb": 20}
    )
    assert result["type"] is FlowResultType.ABORT
    changed = entry.subentries[room.subentry_id]
    assert room_config(entry, changed).quota_bytes == 20_000_000_000
    assert room_config(entry, changed).policy.manual_length == timedelta(hours=3)
    assert (changed.title, changed.data["calendar"]) == ("Room 13", "calendar.own")
    await hass.async_block_till_done()
