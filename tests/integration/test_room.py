"""A room in Home Assistant: what its people see from the booking to the receipt."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from syrupy.assertion import SnapshotAssertion

from custom_components.room_witness.const import DOMAIN
from roomwitness.custody import verify_log
from roomwitness.policy.words import Meeting
from tests.camera import Camera

from .conftest import (
    CALENDAR,
    LAMP,
    LEGAL_FILE,
    TIMES,
    MakeSite,
    camera_subentry,
    room_subentry,
    until,
)

STATE = "sensor.room_12_state"
SWITCH = "switch.room_12_meeting"


def state(hass: HomeAssistant, entity_id: str) -> str:
    found = hass.states.get(entity_id)
    assert found is not None, entity_id
    return found.state


async def book(
    hass: HomeAssistant,
    start: float,
    seconds: float,
    summary: str = "Anna A",
    entity_id: str = CALENDAR,
) -> None:
    begin = dt_util.now() + timedelta(seconds=start)
    await hass.services.async_call(
        "calendar",
        "create_event",
        {
            "entity_id": entity_id,
            "summary": summary,
            "start_date_time": begin.isoformat(),
            "end_date_time": (begin + timedelta(seconds=seconds)).isoformat(),
        },
        blocking=True,
    )


async def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN, action, {"entity_id": SWITCH, **data}, blocking=True
    )


async def test_entities_of_a_room(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    snapshot: SnapshotAssertion,
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    registry = er.async_get(hass)
    entities = sorted(
        er.async_entries_for_config_entry(registry, entry.entry_id), key=lambda e: e.entity_id
    )
    assert {e.config_subentry_id for e in entities} == {"room1", "camera1", None}
    events = "binary_sensor.door_camera_event_connection"
    await until(hass, lambda: state(hass, events) == "on")
    for found in entities:
        assert hass.states.get(found.entity_id) == snapshot(name=found.entity_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert sorted(d.name or "" for d in devices) == ["Door camera", "Room 12", "Room Witness"]


async def test_a_booking_is_recorded_shown_and_erased(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    assert state(hass, STATE) == "idle"
    await book(hass, 3600, 900, "Later")
    await until(hass, lambda: state(hass, "sensor.room_12_next_booking") != "unknown")
    await book(hass, -2, 8)
    await until(hass, lambda: state(hass, "binary_sensor.room_12_recording") == "on")
    assert state(hass, STATE) == "recording"
    assert state(hass, SWITCH) == "on"
    await until(hass, lambda: state(hass, LAMP) == "on")
    folder = Path(hass.config.path("room_witness", "vault", "segments"))
    await until(hass, lambda: list(folder.rglob("*.tail")))
    await until(hass, lambda: state(hass, STATE) == "review")
    await until(hass, lambda: state(hass, LAMP) == "off")
    assert state(hass, "sensor.room_12_next_erasure") != "unknown"
    await until(hass, lambda: state(hass, "sensor.room_12_last_erasure") != "unknown")
    assert not list(folder.rglob("*.age"))
    receipt = hass.states.get("sensor.room_12_last_erasure")
    assert receipt is not None
    assert receipt.attributes["segments"] == 1
    assert verify_log(Path(hass.config.path("room_witness", "vault", "custody"))).size > 5
    ours = [r for r in caplog.records if r.name.startswith(("roomwitness", "custom_components"))]
    kept = [
        path.read_bytes()
        for path in Path(hass.config.path("room_witness")).rglob("*")
        if path.is_file()
    ]
    assert not any("Anna A" in record.getMessage() for record in ours)
    assert not any(b"Anna A" in data for data in kept)
    assert not [r for r in ours if r.levelname in ("WARNING", "ERROR")]


async def test_a_cancelled_booking_ends_at_once(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, -2, 600)
    await until(hass, lambda: state(hass, STATE) == "recording")
    component = hass.data["calendar"]
    entity = component.get_entity(CALENDAR)
    (event,) = await entity.async_get_events(
        hass, dt_util.now() - timedelta(hours=1), dt_util.now() + timedelta(hours=1)
    )
    await entity.async_delete_event(event.uid)
    await until(hass, lambda: state(hass, STATE) in ("review", "idle"))


async def test_a_threat_by_the_button_and_its_release(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry())
    await hass.services.async_call("switch", "turn_on", {"entity_id": SWITCH}, blocking=True)
    await hass.services.async_call("switch", "turn_on", {"entity_id": SWITCH}, blocking=True)
    await until(hass, lambda: state(hass, STATE) == "recording")
    await hass.services.async_call(
        "button", "press", {"entity_id": "button.room_12_report_threat"}, blocking=True
    )
    await until(hass, lambda: state(hass, "sensor.room_12_evidence_held") == "1")
    await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
    await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
    assert state(hass, STATE) == "held"
    await call(hass, "hold", kind="access_request", reason="Request 12")
    await call(hass, "release", reason="Decision 13")
    await until(hass, lambda: state(hass, "sensor.room_12_last_erasure") != "unknown")
    assert state(hass, "sensor.room_12_evidence_held") == "0"


async def test_actions_answer_and_refuse_by_name(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry())
    for action, data, key in (
        ("stop", {}, "room_idle"),
        ("report_threat", {}, "room_idle"),
        ("release", {"reason": "none there"}, "meeting_not_found"),
        ("hold", {"kind": "legal", "reason": "none", "meeting_id": "x"}, "meeting_not_found"),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await call(hass, action, **data)
        assert caught.value.translation_key == key
    answer = await hass.services.async_call(
        DOMAIN, "start", {"entity_id": SWITCH}, blocking=True, return_response=True
    )
    assert answer is not None
    meeting = answer[SWITCH]["meeting_id"]  # type: ignore[index,call-overload]
    assert hass.states.get(STATE).attributes["meeting_id"] == meeting  # type: ignore[union-attr]
    with pytest.raises(ServiceValidationError, match="already running"):
        await call(hass, "start")
    await call(hass, "report_threat")
    await call(hass, "stop")
    await call(hass, "start")
    await call(hass, "report_threat")
    await call(hass, "stop")
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, "release", reason="which one")
    assert caught.value.translation_key == "meeting_ambiguous"
    await call(hass, "release", reason="this one", meeting_id=meeting)
    assert state(hass, "sensor.room_12_evidence_held") == "1"


async def test_the_switch_lets_a_meeting_that_was_started_by_hand_go_on(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    times = {**TIMES, "manual_length": {"hours": 1}}
    entry = await make_site(camera_subentry(camera), room_subentry(times=times, calendar=CALENDAR))

    async def switched_on() -> Meeting:
        await hass.services.async_call("switch", "turn_on", {"entity_id": SWITCH}, blocking=True)
        (meeting,) = entry.runtime_data.witness.meetings("room1")
        assert meeting.planned_end is not None
        return meeting

    first, again = await switched_on(), await switched_on()
    assert first.id == again.id
    assert again.planned_end > first.planned_end == first.planned_start + timedelta(hours=1)
    await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
    await until(hass, lambda: state(hass, STATE) == "idle")
    await book(hass, -2, 600)
    await until(hass, lambda: state(hass, STATE) == "recording")
    booked = await switched_on()
    assert booked.origin == "booking"
    assert await switched_on() == booked


async def test_rooms_come_and_go_without_interrupting_others(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: state(hass, STATE) == "recording")
    meeting = hass.states.get(STATE).attributes["meeting_id"]  # type: ignore[union-attr]
    hass.config_entries.async_add_subentry(
        entry, room_subentry("room2", "Room 14", legal_file={**LEGAL_FILE, "purpose": " "})
    )
    await until(hass, lambda: hass.states.get("sensor.room_14_state"))
    assert hass.states.get(STATE).attributes["meeting_id"] == meeting  # type: ignore[union-attr]
    issues = ir.async_get(hass).issues
    issue = issues[DOMAIN, "legal_file_incomplete_room2"]
    assert issue.translation_placeholders == {"fields": "Purpose", "room": "Room 14"}
    with pytest.raises(ServiceValidationError, match="legal file is incomplete: Purpose"):
        await hass.services.async_call(
            DOMAIN, "start", {"entity_id": "switch.room_14_meeting"}, blocking=True
        )
    hass.config_entries.async_remove_subentry(entry, "room2")
    await until(hass, lambda: hass.states.get("sensor.room_14_state") is None)
    assert (DOMAIN, "legal_file_incomplete_room2") not in issues
    hass.config_entries.async_remove_subentry(entry, "room1")
    await until(hass, lambda: hass.states.get(STATE) is None)
    await until(hass, lambda: entry.runtime_data.witness.problems() == ())


async def test_the_rooms_area_is_given_to_its_device(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    area = ar.async_get(hass).async_create("Town hall")
    entry = await make_site(camera_subentry(camera), room_subentry(area=area.id))
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert {d.name: d.area_id for d in devices if d.area_id} == {"Room 12": area.id}


async def test_the_room_is_checked_on_demand(
    hass: HomeAssistant, camera: Camera, make_site: MakeSite, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry())

    async def check() -> Any:
        answer = await hass.services.async_call(
            DOMAIN, "preflight", {"entity_id": SWITCH}, blocking=True, return_response=True
        )
        assert answer is not None
        return answer[SWITCH]

    assert await check() == {"passed": True, "problems": []}
    await camera.fault("refuse_rtsp")
    wrong = {"check": "camera_unreachable", "camera": "Door camera"}
    assert await check() == {"passed": False, "problems": [wrong]}
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    assert any("camera_unreachable" in issue for _, issue in ir.async_get(hass).issues)


async def test_the_preflight_event_and_its_button(
    hass: HomeAssistant, camera: Camera, make_site: MakeSite, calendar: str
) -> None:
    """Staff learn before the booking that something is wrong, and that it is mended."""
    await camera.fault("refuse_rtsp")
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    event, problem = "event.room_12_preflight", "binary_sensor.room_12_problem"
    assert state(hass, event) == "unknown"
    await book(hass, 300, 900)

    def told() -> tuple[str, list[str]] | None:
        found = hass.states.get(event)
        if found is None or found.state == "unknown":
            return None
        return found.attributes["event_type"], found.attributes["failed_checks"]

    await until(hass, lambda: told() == ("failed", ["camera_unreachable"]))
    assert state(hass, problem) == "on"
    issues = ir.async_get(hass).issues
    assert (DOMAIN, "camera_unreachable_room1_camera1") in issues
    await camera.fault("accept_rtsp")
    await camera.fault("clock_offset_s", 7200.0)
    press = {"entity_id": "button.room_12_check_now"}
    await hass.services.async_call("button", "press", press, blocking=True)
    assert told() == ("failed", ["device_clock_off"])
    assert (DOMAIN, "camera_unreachable_room1_camera1") not in issues
    issue = issues[DOMAIN, "device_clock_off_room1_camera1"]
    names = {"offset": "+2 h 00 min", "camera": "Door camera", "room": "Room 12"}
    assert issue.translation_placeholders == names
    await camera.fault("clock_offset_s", 0.0)
    await hass.services.async_call("button", "press", press, blocking=True)
    assert told() == ("passed", [])
    assert state(hass, problem) == "off"
    assert not [issue_id for domain, issue_id in issues if domain == DOMAIN]
    before = state(hass, event)
    await hass.services.async_call("button", "press", press, blocking=True)
    assert state(hass, event) != before  # Whoever asks is told again.


async def test_pre_roll_is_shown_and_a_threat_begins_a_recording(
    hass: HomeAssistant, camera: Camera, make_site: MakeSite, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry(pre_roll=10))
    pre_roll, recording = "binary_sensor.room_12_pre_roll", "binary_sensor.room_12_recording"
    await until(hass, lambda: state(hass, pre_roll) == "on")
    shown = hass.states.get(STATE)
    assert shown is not None
    assert (shown.state, shown.attributes["pre_roll_seconds"]) == ("idle", 10)
    assert state(hass, recording) == "off"
    await until(hass, lambda: camera.rtsp.plays == 1)
    await hass.services.async_call(
        "button", "press", {"entity_id": "button.room_12_report_threat"}, blocking=True
    )
    await until(hass, lambda: state(hass, recording) == "on")
    assert state(hass, pre_roll) == "off"
    assert state(hass, "sensor.room_12_evidence_held") == "1"
    await until(hass, lambda: state(hass, LAMP) == "on")
    await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
    assert state(hass, STATE) == "held"
    assert camera.rtsp.plays == 1
    await until(hass, lambda: state(hass, pre_roll) == "on")
