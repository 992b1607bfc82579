"""A disk that fills: running meetings are finished, others wait, and staff is told."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from roomwitness.errors import WitnessError
from roomwitness.policy.words import MeetingState
from roomwitness.vault.intake import MIN_FREE_BYTES, Intake
from roomwitness.witness import Witness
from tests.camera import Camera

from .house import House, booking, until

RATE = 500_000  # Bytes a second: what is assumed of a camera that nobody measured.
HALF_AN_HOUR = 1800 * RATE

type SetFree = Callable[[int], None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SetFree:
    def set_free(size: int) -> None:
        monkeypatch.setattr(Intake, "free_bytes", lambda _self: size + MIN_FREE_BYTES)

    return set_free


def keys(witness: Witness) -> set[str]:
    return {problem.key for problem in witness.problems()}


async def test_a_booked_meeting_waits_for_room_and_then_begins(
    camera: Camera, house: House, free: SetFree
) -> None:
    free(1_000_000)
    witness = await house.started(house.room(camera.source()))
    await witness.reconcile("r1", [booking(-1, 600)])
    await until(lambda: {"meeting_refused_disk", "vault_nearly_full"} <= keys(witness))
    assert not witness.status("r1").recording
    (refused,) = [p for p in witness.problems() if p.key == "meeting_refused_disk"]
    assert refused.room_id == "r1"
    assert refused.placeholders == {"needed": "0.3", "free": "0.0"}
    await witness.tick()
    assert house.log_kinds().count("meeting_refused") == 1
    free(2 * HALF_AN_HOUR)
    await until(lambda: witness.status("r1").recording)
    assert "meeting_refused_disk" not in keys(witness)
    await witness.stop()
    (entry,) = [e for e in house.entries() if e["kind"] == "meeting_refused"]
    assert entry["for_want_of"] == "disk"


async def test_what_a_running_meeting_needs_is_promised_to_it(
    camera: Camera, house: House, free: SetFree
) -> None:
    first = house.room(camera.source(), bound=False)
    other = replace(first, id="r2")
    free(2 * HALF_AN_HOUR - 1)
    witness = await house.started(first, other)
    await witness.start_meeting("r1")
    with pytest.raises(WitnessError) as refused:
        await witness.start_meeting("r2")
    assert refused.value.key == "meeting_refused_disk"
    assert refused.value.placeholders == {"needed": "0.9", "free": "0.9"}
    assert "meeting_refused_disk" not in keys(witness)  # Whoever pressed was told.
    assert witness.status("r2").state == "idle"
    await until(lambda: witness.status("r1").recording)
    free(2 * HALF_AN_HOUR)
    await witness.start_meeting("r2")
    await witness.stop()


async def test_a_room_keeps_to_its_quota_and_evidence_is_never_erased_for_it(
    camera: Camera, house: House
) -> None:
    room = replace(house.room(camera.source(), bound=False), quota_bytes=HALF_AN_HOUR + 1)
    witness = await house.started(room)
    await witness.start_meeting("r1")
    meeting = await witness.report_threat("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.stop_meeting("r1")
    with pytest.raises(WitnessError) as refused:
        await witness.start_meeting("r1")
    assert refused.value.key == "meeting_refused_quota"
    assert witness.status("r1").state is MeetingState.HELD
    witness._upkeep.space._measured = None
    await witness.tick()
    assert "quota_nearly_used" in keys(witness)
    assert witness.status("r1").used_bytes > 0
    await witness.holds.release(meeting, "not needed any more")
    await witness.tick()
    witness._upkeep.space._measured = None
    await witness.tick()
    assert witness.status("r1").used_bytes == 0
    assert "quota_nearly_used" not in keys(witness)
    await witness.start_meeting("r1")
    await witness.stop()


async def test_a_booking_that_is_over_is_refused_no_more(
    camera: Camera, house: House, free: SetFree
) -> None:
    free(0)
    witness = await house.started(house.room(camera.source()))
    await witness.reconcile("r1", [booking(-1, 600)])
    await until(lambda: "meeting_refused_disk" in keys(witness))
    await witness.reconcile("r1", [])
    await until(lambda: "meeting_refused_disk" not in keys(witness))
    await witness.stop()


async def test_a_disk_that_is_gone_is_told_as_such(
    camera: Camera, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))

    def gone(_path: object) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr(os, "statvfs", gone)
    with pytest.raises(WitnessError) as refused:
        await witness.start_meeting("r1")
    assert refused.value.key == "vault_unwritable"
    await witness.stop()
