"""Whole lives of meetings: a real camera, a real vault, the clock on the wall."""

import hashlib
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause, HoldKind, MeetingState
from roomwitness.vault.age import Identity
from roomwitness.vault.errors import KeyMissing
from roomwitness.witness import LegalFile
from tests.camera import Camera, CameraConfig
from tests.lib.capture.memory import decode

from .house import POLICY, House, booking, now, until

S = MeetingState


async def test_a_calm_meeting_is_recorded_and_erased(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source()))
    seen: list[str] = []
    leave = witness.changes.subscribe(lambda room: seen.append(witness.status(room).state))
    await witness.changes.told()  # Of the room that was configured.
    await witness.reconcile("r1", [booking(1, 5)])
    assert witness.status("r1").state is S.PREFLIGHT
    await until(lambda: witness.status("r1").recording)
    await until(lambda: witness.status("r1").segments >= 2)
    status = witness.status("r1")
    assert status.cameras["c1"].state == "recording"
    assert status.bytes > 0

    beside = house.vault()
    (recording,) = beside.recordings(status.meeting_id or "")
    segment = beside.segments(recording.id)[0]
    assert decode(b"".join(beside.read_segment(segment))).frames >= 8
    sealed = segment.path.read_bytes()

    await until(lambda: witness.status("r1").state is S.REVIEW)
    assert witness.status("r1").next_erasure is not None
    await until(lambda: witness.status("r1").last_receipt)
    receipt = witness.status("r1").last_receipt
    assert receipt is not None
    assert (receipt.recordings, receipt.decision) == (1, "G-7")
    assert witness.status("r1").state == "idle"
    with pytest.raises(KeyMissing):
        b"".join(beside.read_segment(segment))
    assert not segment.path.exists()
    everything = b"".join(p.read_bytes() for p in house.root.rglob("*") if p.is_file())
    assert sealed[:200] not in everything
    beside.close()
    await until(lambda: seen[-1] == "idle")
    leave()
    await witness.stop()
    # What changes twice before it is told of is told once: a busy machine may pass some over.
    wanted = iter(["idle", "preflight", "recording", "review", "idle"])
    told = [s for i, s in enumerate(seen) if i == 0 or seen[i - 1] != s]
    assert all(state in wanted for state in told), told
    assert (told[-1], "recording" in told) == ("idle", True)
    kinds = house.log()
    for kind in ("meeting_planned", "start", "recording_begun", "end", "erasure_begun", "erased"):
        assert kinds.count(kind) == 1
    assert kinds.index("start") < kinds.index("recording_begun") < kinds.index("end")


async def test_a_threat_is_held_and_opens_with_the_age_program(
    camera: Camera, house: House, tmp_path: Path
) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    assert await witness.report_threat("r1") == meeting
    assert witness.status("r1").evidence_held == 1
    await until(lambda: witness.status("r1").segments >= 3)
    await witness.stop_meeting("r1")
    assert witness.status("r1").state is S.HELD
    witness._clock = lambda: now() + timedelta(days=1)  # Its review window is over.
    await witness.tick()
    assert witness.status("r1").evidence_held == 1
    witness._clock = now

    vault = house.vault()
    custodian = Identity.from_string(house.keys.custodian_identity)
    (recording,) = vault.recordings(meeting)
    identities = vault.export_identities(meeting, custodian)
    key = tmp_path / "key.txt"
    key.write_text(identities[recording.id])
    segments = vault.segments(recording.id)
    total = 0.0
    for segment in segments:
        opened = subprocess.run(
            ["age", "-d", "-i", key, segment.path], capture_output=True, check=True
        )
        total += decode(opened.stdout).seconds + 0.1
    assert recording.ended is not None
    length = (recording.ended - recording.started).total_seconds()
    gaps = sum((g.end - g.start).total_seconds() for g in vault.gaps(recording.id))
    assert total == pytest.approx(length - gaps, abs=0.6), "within one GOP"

    await witness.hand_over(meeting)
    assert witness.status("r1").state is S.HANDED_OVER
    await witness.holds.place(meeting, HoldKind.ACCESS_REQUEST, "request 12")
    await witness.holds.release(meeting, "the court has it")
    await until(lambda: witness.status("r1").last_receipt)
    assert vault.recordings(meeting) == []
    vault.close()
    await witness.stop()
    kinds = house.log()
    assert {"report_threat", "hand_over", "place_hold", "release_hold", "erased"} <= set(kinds)


async def test_a_threat_can_be_reported_after_the_meeting(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.stop_meeting("r1")
    assert await witness.report_threat("r1") == meeting
    witness._clock = lambda: now() + timedelta(days=1)
    await witness.tick()
    assert witness.status("r1").evidence_held == 1
    await witness.stop()


async def test_a_restart_goes_on_with_the_same_meeting(camera: Camera, house: House) -> None:
    room = house.room(camera.source())
    calendar = [booking(-1, 60)]
    first = await house.started(room)
    await first.reconcile("r1", calendar)
    await until(lambda: first.status("r1").segments >= 1)
    meeting = first.status("r1").meeting_id
    await first.stop()
    second = await house.started(room)
    await second.reconcile("r1", calendar)
    assert second.status("r1").meeting_id == meeting
    await until(lambda: second.status("r1").segments >= 1)
    await second.reconcile("r1", [])
    vault = house.vault()
    (recording,) = vault.recordings(meeting or "")
    assert GapCause.RESTART in {g.cause for g in vault.gaps(recording.id)}
    covered = vault.covered_until(recording.id)
    assert recording.ended is not None
    assert abs(covered - recording.ended) < timedelta(seconds=1.1)
    vault.close()
    await second.stop()


async def test_two_cameras_and_one_of_them_down(camera: Camera, house: House) -> None:
    async with Camera(camera.config) as other:
        rooms = house.room(camera.source(), other.source())
        await other.fault("refuse_rtsp")
        witness = await house.started(rooms)
        await witness.reconcile("r1", [booking(3, 60)])
        await until(lambda: witness.problems())
        (problem,) = witness.problems()
        assert (problem.key, problem.camera_id) == ("camera_unreachable", "c2")
        assert witness.status("r1").problem == "camera_unreachable"
        await until(lambda: witness.status("r1").segments >= 1)
        await until(lambda: witness.problems())
        await other.fault("accept_rtsp")
        await until(lambda: not witness.problems())
        await until(lambda: other.rtsp.plays)
        vault = house.vault()
        meeting = witness.status("r1").meeting_id or ""
        await until(lambda: all(vault.segments(r.id) for r in vault.recordings(meeting)))
        gaps = {r.camera_id: vault.gaps(r.id) for r in vault.recordings(meeting)}
        assert any(g.cause is GapCause.CAMERA_UNREACHABLE for g in gaps["c2"])
        vault.close()
        await witness.stop()


async def test_a_room_that_is_taken_away_stops_recording(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.set_rooms([])
    await witness.tick()
    vault = house.vault()
    assert vault.meetings()[0].state is S.REVIEW
    vault.close()
    await witness.stop()


async def refused(witness: object, work: str, *args: object) -> str:
    with pytest.raises(WitnessError) as caught:
        await getattr(witness, work)(*args)
    return caught.value.key


async def test_what_cannot_be_is_refused_by_name(camera: Camera, house: House) -> None:
    open_room = house.room(camera.source(), bound=False)
    bare = house.room(camera.source(), room_id="r2", legal=LegalFile(purpose="x"))
    witness = await house.started(open_room, bare)
    assert await refused(witness, "start_meeting", "nowhere") == "room_not_found"
    assert await refused(witness, "stop_meeting", "r1") == "room_idle"
    assert await refused(witness, "report_threat", "r1") == "room_idle"
    assert await refused(witness.holds, "release", "no", "why") == "meeting_not_found"
    assert await refused(witness.holds, "place", "no", HoldKind.LEGAL, "why") == "meeting_not_found"
    assert await refused(witness, "start_meeting", "r2") == "legal_file_incomplete"
    meeting = await witness.start_meeting("r1")
    assert await refused(witness, "start_meeting", "r1") == "room_busy"
    assert await refused(witness, "hand_over", meeting) == "transition_not_allowed"
    keys = {p.key for p in witness.problems()}
    assert keys == {"legal_file_incomplete", "threat_held_nothing"}
    await witness.reconcile("r2", [booking(-1, 60)])
    assert witness.status("r2").recording is False
    await witness.calendar_lost("r2")
    assert "calendar_missing" in {p.key for p in witness.problems()}
    await witness.reconcile("r2", [booking(60, 1, "odd")])
    keys = {p.key for p in witness.problems()}
    assert keys == {"legal_file_incomplete", "threat_held_nothing", "booking_invalid"}
    status = witness.status("r2")
    assert status.next_booking is None
    await witness.reconcile("r2", [booking(600, 900, "next")])
    assert (witness.status("r2").next_booking or now()) > now() + POLICY.preflight_lead
    await witness.stop()


async def test_the_cameras_clock_is_in_index_and_custody_log(camera: Camera, house: House) -> None:
    await camera.fault("clock_offset_s", -7200.0)
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: "camera_offset" in house.log_kinds())
    await until(lambda: witness.status("r1").segments >= 4)
    await witness.stop_meeting("r1")
    beside = house.vault()
    (recording,) = beside.recordings(meeting)
    (event,) = beside.clock_events(recording.id)
    assert event.seconds == pytest.approx(-7200, abs=0.5)
    beside.close()
    await witness.stop()
    ended = next(e for e in house.entries() if e["kind"] == "recording_ended")
    assert ended["clock_offset_start_s"] == pytest.approx(-7200, abs=0.5)
    assert ended["clock_offset_end_s"] == pytest.approx(-7200, abs=0.5)


async def test_metadata_is_encrypted_listed_and_erased_with_its_recording(house: House) -> None:
    config = CameraConfig(width=160, height=96, gop=5, metadata=True)
    async with Camera(config) as camera:
        witness = await house.started(house.room(camera.source(), bound=False))
        meeting = await witness.start_meeting("r1")
        await until(lambda: witness.status("r1").segments >= 2)
        await witness.stop_meeting("r1")
        vault = house.vault()
        (recording,) = vault.recordings(meeting)
        media, files = vault.segments(recording.id), vault.metadata(recording.id)
        assert [f.start for f in files] == [s.start for s in media]
        assert files[0].path.name.endswith("-metadata.ndjson.age")
        assert hashlib.sha256(files[0].path.read_bytes()).hexdigest() == files[0].sha256
        plain = b"".join(vault.read_segment(files[0]))
        assert len(plain.splitlines()) == files[0].frames + 1
        assert b"MetadataStream" in plain
        assert vault.check() == []
        everything = b"".join(p.read_bytes() for p in house.root.rglob("*") if p.is_file())
        assert b"MetadataStream" not in everything
        await until(lambda: witness.status("r1").last_receipt)
        assert not any(f.path.exists() for f in files)
        assert vault.metadata(recording.id) == []
        vault.close()
        await witness.stop()


async def test_a_sound_that_cannot_be_recorded_is_a_problem_and_the_picture_goes_on(
    house: House,
) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5, sound="g726")) as camera:
        witness = await house.started(house.room(camera.source(), bound=False))
        await witness.start_meeting("r1")
        await until(lambda: witness.status("r1").segments >= 1)
        problems = [p for p in witness.problems() if p.key == "sound_unsupported"]
        assert [(p.camera_id, p.placeholders) for p in problems] == [("c1", {"codec": "G726-32"})]
        assert witness.status("r1").recording
        await witness.stop()


@pytest.mark.parametrize("offered", [True, False], ids=["refused", "not offered"])
async def test_a_wanted_sound_that_does_not_come_is_a_problem_and_the_picture_goes_on(
    house: House, offered: bool
) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5, audio=offered)) as camera:
        await camera.fault("refuse_sound")
        room = house.room(camera.source(audio=True), bound=False)
        witness = await house.started(room)
        await witness.start_meeting("r1")
        await until(lambda: witness.status("r1").segments >= 1)
        problems = [p.key for p in witness.problems() if p.camera_id == "c1"]
        assert problems == ["sound_withheld" if offered else "sound_missing"]
        assert witness.status("r1").recording
        await witness.stop()
