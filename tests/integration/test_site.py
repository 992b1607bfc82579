"""The site as a whole: loading, unloading, faults that a person must mend, diagnostics."""

import asyncio
import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import homeassistant
import pytest
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from syrupy.assertion import SnapshotAssertion

from custom_components.room_witness import paths
from custom_components.room_witness.const import DOMAIN
from custom_components.room_witness.diagnostics import async_get_config_entry_diagnostics
from roomwitness.capture import CaptureError
from roomwitness.errors import WitnessError
from roomwitness.vault.keys import KeyStore
from tests.camera import Camera

from .conftest import (
    CALENDAR,
    LAMP,
    TIMES,
    MakeSite,
    camera_subentry,
    room_subentry,
    until,
)
from .test_room import STATE, SWITCH, book, call, state

HERE = Path(__file__).parents[2] / "custom_components" / "room_witness"


def issue_ids(hass: HomeAssistant) -> set[str]:
    return {key for domain, key in ir.async_get(hass).issues if domain == DOMAIN}


async def test_a_reload_goes_on_with_the_running_meeting(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, -2, 600)
    await until(hass, lambda: state(hass, STATE) == "recording")
    meeting = hass.states.get(STATE).attributes["meeting_id"]  # type: ignore[union-attr]
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(hass, lambda: state(hass, STATE) == "recording")
    assert hass.states.get(STATE).attributes["meeting_id"] == meeting  # type: ignore[union-attr]
    vault = Path(hass.config.path("room_witness", "vault", "segments"))
    await until(hass, lambda: list(vault.rglob("*.tail")))
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert list(vault.rglob("*.mp4.age"))
    assert not list(vault.rglob("*.part")), "what was open is sealed when Home Assistant stops"


async def test_without_its_keys_a_site_does_not_start_and_says_why(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(), load=False)
    paths.keys_file(hass).rename(paths.keys_file(hass).with_suffix(".bak"))
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert issue_ids(hass) == {"site_keys_missing"}
    paths.keys_file(hass).with_suffix(".bak").rename(paths.keys_file(hass))
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert issue_ids(hass) == set()


async def test_blueprints_that_cannot_be_put_in_place_stop_nothing(
    hass: HomeAssistant, make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    Path(hass.config.path("blueprints")).write_text("in the way")
    entry = await make_site()
    assert entry.state is ConfigEntryState.LOADED
    assert "The blueprints could not be put in place" in caplog.text
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("vault", b"in the way", "vault_unwritable"),
        ("vault/index.db", b"rubbish " * 600, "store_error"),
    ],
    ids=["unwritable", "damaged"],
)
async def test_a_vault_that_cannot_be_opened(
    hass: HomeAssistant,
    make_site: MakeSite,
    name: str,
    content: bytes,
    key: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = await make_site(load=False)
    path = Path(hass.config.path("room_witness", name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert issue_ids(hass) == {key}
    assert path.read_bytes() == content
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]
    path.unlink()
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert issue_ids(hass) == set()


async def test_a_camera_that_fails_is_a_repair_that_goes_when_it_is_back(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: camera.rtsp.plays)
    await camera.fault("refuse_rtsp")
    await until(hass, lambda: issue_ids(hass))
    assert issue_ids(hass) == {"camera_unreachable_room1_camera1"}
    issue = ir.async_get(hass).issues[DOMAIN, "camera_unreachable_room1_camera1"]
    assert issue.translation_placeholders == {"room": "Room 12", "camera": "Door camera"}
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    await camera.fault("accept_rtsp")
    await until(hass, lambda: not issue_ids(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "off"
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]


async def test_a_tampered_log_and_lost_keys_are_repairs(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    room = room_subentry(calendar=CALENDAR)
    entry = await make_site(camera_subentry(camera), room)
    await book(hass, -2, 600)
    await until(hass, lambda: state(hass, STATE) == "recording")
    await hass.config_entries.async_unload(entry.entry_id)
    log = Path(hass.config.path("room_witness", "vault", "custody", "log.jsonl"))
    log.write_bytes(log.read_bytes().replace(b'"start"', b'"stort"'))
    shutil.rmtree(paths.ephemeral_dir(hass))
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert {"log_tampered", "ephemeral_keys_lost"} <= issue_ids(hass)


async def test_a_calendar_that_disappears_and_comes_back(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, -2, 600)
    await until(hass, lambda: state(hass, STATE) == "recording")
    (local,) = hass.config_entries.async_entries("local_calendar")
    await hass.config_entries.async_unload(local.entry_id)
    await until(hass, lambda: "calendar_missing_room1" in issue_ids(hass))
    assert state(hass, STATE) == "recording", "what was known is still recorded"
    await hass.config_entries.async_setup(local.entry_id)
    await until(hass, lambda: not issue_ids(hass))


@pytest.mark.parametrize("how", ["fails", "empty booking"])
async def test_a_calendar_that_gives_nonsense(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    async def events(_self: CalendarEntity, *_: Any) -> list[CalendarEvent]:
        if how == "fails":
            raise HomeAssistantError("ends before it starts")
        now = dt_util.now() + timedelta(hours=1)
        return [CalendarEvent(start=now, end=now, summary="x", uid=None)]

    entity = hass.data["calendar"].get_entity(CALENDAR)
    monkeypatch.setattr(type(entity), "async_get_events", events)
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    key = "calendar_missing_room1" if how == "fails" else "booking_invalid_room1"
    await until(hass, lambda: key in issue_ids(hass))


async def test_a_lamp_that_cannot_be_switched_does_not_stop_the_recording(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[ServiceCall] = []

    async def broken(service: ServiceCall) -> None:
        calls.append(service)
        raise HomeAssistantError("the bulb is out")

    hass.services.async_register("homeassistant", "turn_on", broken)
    await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: calls)
    assert calls[0].data["entity_id"] == LAMP or calls[0].data["entity_id"] == [LAMP]
    await until(hass, lambda: "could not be switched" in caplog.text)
    assert state(hass, SWITCH) == "on"
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]


async def test_diagnostics_say_how_and_never_who_or_where(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    snapshot: SnapshotAssertion,
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await asyncio.sleep(0)
    await call(hass, "stop")
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert found == snapshot
    for secret in ("pa ss", "127.0.0.1", "Room 12", "Door", "rtsp", "municipality"):
        assert secret not in json.dumps(found)


def leaves(tree: dict[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        here = f"{path}/{key}"
        found |= leaves(value, here) if isinstance(value, dict) else {here: value}
    return found


def test_english_and_swedish_say_the_same_things() -> None:
    english, swedish = (
        leaves(json.loads((HERE / "translations" / f"{name}.json").read_text()))
        for name in ("en", "sv")
    )
    assert english.keys() == swedish.keys()
    for key, text in english.items():
        names = re.findall(r"\{(\w+)\}", text)
        assert sorted(names) == sorted(re.findall(r"\{(\w+)\}", swedish[key])), key
        assert text.strip()
        assert swedish[key].strip()
    same = {k for k in english if english[k] == swedish[k] and len(english[k]) > 20}
    assert same == set()


def test_what_is_required_is_pinned_as_home_assistant_pins_it() -> None:
    constraints = Path(homeassistant.__file__).with_name("package_constraints.txt").read_text()
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", constraints, re.MULTILINE))
    wanted = json.loads((HERE / "manifest.json").read_text())["requirements"]
    ours = dict(requirement.split("==") for requirement in wanted)
    assert ours["av"] == pins["av"], "without it no keyframe could be tried"
    assert {name: pins.get(name, pin) for name, pin in ours.items()} == ours


def below(error: type[WitnessError]) -> set[type[WitnessError]]:
    found = set(error.__subclasses__())
    return found.union(*map(below, found))


def test_every_error_and_problem_has_its_words() -> None:
    texts = json.loads((HERE / "translations" / "en.json").read_text())
    code = "".join(
        path.read_text()
        for folder in (HERE, HERE.parents[1] / "lib")
        for path in sorted(folder.rglob("*.py"))
    )
    named = set(re.findall(r'Problem\(\s*(?:key=)?"(\w+)"', code))
    fail = {error.key for error in below(CaptureError)} - {"connection_lost"}
    assert len(named) > 10
    assert (named | fail) - texts["issues"].keys() == set()
    unused = {key for key in texts["issues"] if f'"{key}"' not in code}
    assert unused == set()
    actions = json.loads((HERE / "icons.json").read_text())["services"]
    assert actions.keys() == texts["services"].keys()
    learn = (HERE.parents[1] / "docs" / "troubleshooting.md").read_text()
    for key in texts["issues"]:
        assert f'<a id="{key}"></a>' in learn


def wraps(hass: HomeAssistant) -> frozenset[str]:
    """Recordings whose keys are in the store that no backup takes."""
    store = KeyStore(paths.ephemeral_dir(hass) / "ephemeral-keys.db")
    store.open()
    try:
        return store.ids()
    finally:
        store.close()


async def one_calm_and_one_held(hass: HomeAssistant) -> None:
    """Two meetings, neither of which is due for a long time."""
    for held in (False, True):
        await call(hass, "start")
        await until(hass, lambda: state(hass, STATE) == "recording")
        if held:
            await call(hass, "report_threat")
        await call(hass, "stop")


TOMORROW = {**TIMES, "review_window": {"days": 1}}


async def test_a_site_that_is_deleted_leaves_nothing_that_is_not_held(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(times=TOMORROW))
    await one_calm_and_one_held(hass)
    assert len(await hass.async_add_executor_job(wraps, hass)) == 2
    await hass.config_entries.async_remove(entry.entry_id)
    assert len(await hass.async_add_executor_job(wraps, hass)) == 1
    assert issue_ids(hass) == set()
    await make_site(camera_subentry(camera), room_subentry(times=TOMORROW))
    assert state(hass, "sensor.room_12_evidence_held") == "1"
    assert state(hass, "sensor.room_12_last_erasure") not in ("unknown", "unavailable")
    assert issue_ids(hass) == set()


async def test_what_cannot_be_erased_when_the_site_is_deleted_is_a_repair_that_stays(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(times=TOMORROW))
    await one_calm_and_one_held(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    held = paths.held_dir(hass)
    held.rename(held.with_name("elsewhere"))
    held.write_text("in the way")
    await hass.config_entries.async_remove(entry.entry_id)
    assert issue_ids(hass) == {"unheld_left"}
    assert ir.async_get(hass).issues[DOMAIN, "unheld_left"].is_persistent
    assert len(await hass.async_add_executor_job(wraps, hass)) == 2, "it may be evidence"
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]
    held.unlink()
    held.with_name("elsewhere").rename(held)
    entry = await make_site(camera_subentry(camera), room_subentry(times=TOMORROW))
    assert issue_ids(hass) == set()
    await hass.config_entries.async_remove(entry.entry_id)
    assert issue_ids(hass) == set()
    assert len(await hass.async_add_executor_job(wraps, hass)) == 1


async def test_while_it_is_disabled_a_repair_says_that_nothing_is_erased(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert issue_ids(hass) == set(), "a reload is no reason"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    issue = ir.async_get(hass).issues[DOMAIN, "site_disabled"]
    assert issue.is_persistent, "it is there after a restart too"
    since = (issue.translation_placeholders or {})["since"]
    assert since.startswith(f"{dt_util.utcnow():%Y-%m}")
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert issue_ids(hass) == set()
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await hass.config_entries.async_remove(entry.entry_id)
    assert issue_ids(hass) == set(), "nothing is left to be erased"


async def test_that_is_said_too_of_one_that_could_not_start(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    assert await hass.config_entries.async_unload(entry.entry_id)
    keys = paths.keys_file(hass)
    keys.rename(keys.with_name("elsewhere"))
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    issue = ir.async_get(hass).issues[DOMAIN, "site_disabled"]
    hass.config_entries.async_update_entry(entry, title="Another name")
    assert ir.async_get(hass).issues[DOMAIN, "site_disabled"] == issue, "since when it is so"
    keys.with_name("elsewhere").rename(keys)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert issue_ids(hass) == set()
