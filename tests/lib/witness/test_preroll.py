"""Pre-roll in a site: memory only, nothing in ordinary meetings, everything in a threat."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.capture import StreamSource
from roomwitness.policy.words import MeetingState, RoomPolicy
from roomwitness.vault.errors import VaultFull
from roomwitness.witness import RoomConfig, Witness, threats
from roomwitness.witness.errors import LegalFileIncomplete, RoomIdle
from tests.camera import Camera

from .house import LEGAL, POLICY, House, booking, now, until

ON = replace(POLICY, pre_roll=timedelta(seconds=15))


def files(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


@pytest.fixture
async def watched(camera: Camera, house: House) -> AsyncIterator[Witness]:
    """A site whose one room is watched, with a second or more in memory."""
    witness = await house.started(room(house, camera.source()))
    await watching(witness)
    yield witness
    await witness.stop()


def room(
    house: House, source: StreamSource, policy: RoomPolicy = ON, *, bound: bool = False
) -> RoomConfig:
    return house.room(source, policy=policy, bound=bound)


async def watching(witness: Witness, seconds: float = 1.5) -> None:
    """Wait until so much is in memory."""
    async with asyncio.timeout(20):
        while True:
            for watch in witness._watches._running.get("r1", {}).values():
                since = await watch.job.freeze()
                watch.job.thaw()
                if since is not None and now() - since > timedelta(seconds=seconds):
                    return
            await asyncio.sleep(0.05)


async def test_a_threat_outside_any_meeting_has_the_seconds_before(
    camera: Camera, house: House, watched: Witness
) -> None:
    assert watched.status("r1").pre_roll_s == 15
    assert watched.status("r1").state == "idle"
    assert not list((house.root / "vault" / "segments").rglob("*"))
    pressed = now()
    meeting_id = await watched.report_threat("r1", "u1")
    status = watched.status("r1")
    assert (status.state, status.meeting_id) == (MeetingState.RECORDING, meeting_id)
    assert status.evidence_held == 1
    assert status.pre_roll_s == 0, "it records: nobody watches besides"
    await until(lambda: watched.status("r1").segments >= 3)
    await watched.stop_meeting("r1")
    assert camera.rtsp.plays == 1, "one connection from before the press to the end"
    vault = house.vault()
    (meeting,) = vault.meetings()
    (recording,) = vault.recordings(meeting_id)
    segments = vault.segments(recording.id)
    gaps = vault.gaps(recording.id)
    assert meeting.state is MeetingState.HELD
    assert meeting.origin == "threat"
    before = pressed - segments[0].start
    assert timedelta(seconds=1.2) < before <= timedelta(seconds=15)
    assert abs(recording.started - segments[0].start) < timedelta(seconds=0.5)
    spans = sorted([(s.start, s.end) for s in segments] + [(g.start, g.end) for g in gaps])
    at = recording.started
    for begin, end in spans:
        assert begin - at < timedelta(seconds=0.1)
        at = max(at, end)
    assert meeting.ended is not None
    assert meeting.ended - at < timedelta(seconds=1.3)
    data = b"".join(vault.read_segment(segments[0]))
    assert data[4:8] == b"ftyp"
    vault.close()
    (begun,) = [e for e in house.entries() if e["kind"] == "recording_begun"]
    assert begun["pre_roll_s"] == pytest.approx(before.total_seconds(), abs=0.5)
    kinds = house.log_kinds()
    assert kinds.index("watching_begun") < kinds.index("report_threat")
    await watching(watched, 0.1)  # Afterwards it is watched again.


async def test_nothing_is_on_disk_before_a_threat(house: House, watched: Witness) -> None:
    before = {path: path.stat().st_size for path in files(house.root)}
    media = [path for path in before if path.suffix in (".age", ".part", ".tail", ".mp4")]
    assert media == []
    await watching(watched, 3.0)
    after = {path: path.stat().st_size for path in files(house.root)}
    assert after == before, "not one byte more while the room is watched"


async def test_an_ordinary_meeting_has_nothing_from_before(house: House, watched: Witness) -> None:
    began = now()
    meeting = await watched.start_meeting("r1")
    await until(lambda: watched.status("r1").segments >= 1)
    await watched.stop_meeting("r1")
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    segment = vault.segments(recording.id)[0]
    assert recording.started >= began
    assert segment.start > began - timedelta(seconds=0.1)
    vault.close()
    await until(lambda: watched.status("r1").pre_roll_s)


async def test_a_threat_in_a_meeting_does_not_reach_back_before_it(
    house: House, watched: Witness
) -> None:
    began = now()
    meeting = await watched.start_meeting("r1")
    assert await watched.report_threat("r1") == meeting
    await until(lambda: watched.status("r1").segments >= 1)
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    assert vault.segments(recording.id)[0].start > began - timedelta(seconds=0.1)
    vault.close()


async def test_a_threat_in_the_review_window_holds_both(camera: Camera, house: House) -> None:
    policy = replace(ON, review_window=timedelta(hours=1))
    witness = await house.started(room(house, camera.source(), policy))
    first = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").cameras)
    await witness.stop_meeting("r1")
    await watching(witness)
    second = await witness.report_threat("r1")
    assert second != first
    assert {m.id for m in witness.meetings("r1") if m.held} == {first, second}
    assert await witness.report_threat("r1") == second, "pressed again"
    assert len(witness.meetings("r1")) == 2
    await witness.stop()


async def test_it_ends_by_itself_and_stays_held(
    watched: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threats, "LENGTH", timedelta(seconds=2))
    await watched.report_threat("r1")
    await until(lambda: watched.status("r1").state is MeetingState.HELD)
    assert watched.status("r1").evidence_held == 1


async def test_off_and_without_a_legal_file_nothing_is_watched(
    camera: Camera, house: House
) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    await asyncio.sleep(0)
    await witness.tick()
    assert witness.status("r1").pre_roll_s == 0
    assert camera.rtsp.plays == 0
    with pytest.raises(RoomIdle):
        await witness.report_threat("r1")
    incomplete = house.room(
        camera.source(), policy=ON, bound=False, legal=replace(LEGAL, purpose=" ")
    )
    await witness.set_rooms([incomplete])
    await witness.tick()
    assert camera.rtsp.plays == 0
    with pytest.raises(LegalFileIncomplete):
        await witness.report_threat("r1")
    await witness.set_rooms([room(house, camera.source())])
    await watching(witness, 0.1)
    await witness.set_rooms([room(house, camera.source(), replace(ON, pre_roll=timedelta(0)))])
    await witness.tick()
    assert witness.status("r1").pre_roll_s == 0
    kinds = [k for k in house.log_kinds() if k.startswith("watching")]
    assert kinds == ["watching_begun", "watching_ended"]
    await witness.stop()


async def test_a_legal_file_emptied_in_the_review_window_still_holds(
    camera: Camera, house: House
) -> None:
    policy = replace(ON, review_window=timedelta(hours=1))
    witness = await house.started(room(house, camera.source(), policy))
    meeting = await witness.start_meeting("r1")
    await witness.stop_meeting("r1")
    emptied = house.room(
        camera.source(), policy=policy, bound=False, legal=replace(LEGAL, contact="")
    )
    await witness.set_rooms([emptied])
    assert await witness.report_threat("r1") == meeting
    assert len(witness.meetings("r1")) == 1
    await witness.stop()


async def test_another_camera_is_watched_anew(camera: Camera, house: House) -> None:
    witness = await house.started(room(house, camera.source(password="wrong")))
    await until(lambda: [p.key for p in witness.problems()] == ["camera_auth_failed"])
    meeting = await witness.report_threat("r1")  # What cannot be seen is a gap, and held.
    await witness.stop_meeting("r1")
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    assert vault.segments(recording.id) == []
    assert vault.gaps(recording.id)
    vault.close()
    await witness.set_rooms([room(house, camera.source())])
    await watching(witness, 0.1)
    assert not witness.problems()
    await witness.stop()


async def test_a_disk_that_is_full_leaves_no_half_meeting(
    camera: Camera, house: House, watched: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = watched._ledger
    real = ledger.apply

    def full(*_args: object) -> None:
        raise VaultFull

    monkeypatch.setattr(ledger, "apply", full)
    with pytest.raises(VaultFull):
        await watched.report_threat("r1")
    monkeypatch.setattr(ledger, "apply", real)
    (broken,) = watched.meetings("r1")
    assert broken.state is MeetingState.PLANNED
    await until(lambda: not watched.meetings("r1"))
    await watching(watched, 0.1)
    assert watched._watches.kept_since("r1", "c1") is None, "it ages again"
    await watched.report_threat("r1")
    assert watched.status("r1").evidence_held == 1
    assert camera.rtsp.plays == 1


async def test_a_booking_waits_for_the_threat_that_began_before_it(
    camera: Camera, house: House
) -> None:
    witness = await house.started(room(house, camera.source(), bound=True))
    await watching(witness, 0.1)
    threat = await witness.report_threat("r1")
    await witness.reconcile("r1", [booking(-1, 600)])
    assert witness.status("r1").meeting_id == threat
    await witness.stop_meeting("r1")
    await witness.tick()
    assert witness.status("r1").state is MeetingState.RECORDING
    assert witness.status("r1").meeting_id != threat
    await witness.stop()
