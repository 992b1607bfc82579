"""Somebody writes lines behind the custody log while Home Assistant is stopped."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody import SealedFile, files_root
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import HoldKind, Meeting, MeetingState, RoomPolicy
from roomwitness.vault import SegmentSummary, age
from roomwitness.witness.replay import Late, replayed
from tests.lib.custody.test_unsigned import forge

from .house import House
from .test_erasures import Desk, T
from .test_replay import again, apply, hold, stored

LATER = T + timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting that is held, with one recording that has ended."""
    desk = Desk(tmp_path)
    meeting = desk.ledger.create(Meeting(id="m", room_id="r1", origin="manual", planned_start=T), T)
    meeting = desk.ledger.apply(meeting, events.Start(), T, RoomPolicy())
    recording = desk.ledger.recordings.begin(meeting, "c", T).recording
    writer = desk.vault.segment_writer(recording.id, T)
    writer.write(b"seen " * 4000)
    writer.close(SegmentSummary(start=T, end=T, media_seconds=1.0, frames=1, lost_packets=0))
    apply(desk, events.ReportThreat("h", "p-1"))
    desk.ledger.recordings.end(apply(desk, events.End()), T)
    yield desk
    desk.close()


def custody(desk: Desk) -> Path:
    return desk.root / "vault" / "custody"


FORGED = (
    {"kind": "release_hold", "meeting": "m", "hold": "h", "by": "p-2"},
    {"kind": "lapse_hold", "meeting": "m", "hold": "h"},
    {"kind": "ask_release", "meeting": "m", "hold": "h", "by": "p-2"},
    {"kind": "extend_hold", "meeting": "m", "hold": "h", "review_date": T.timestamp() + 1},
)


@pytest.mark.parametrize("forged", FORGED, ids=lambda entry: str(entry["kind"]))
def test_no_forged_line_ends_a_hold_or_brings_its_end_nearer(
    desk: Desk, forged: dict[str, object]
) -> None:
    before = stored(desk)
    desk.close()
    forge(custody(desk), forged)
    for _ in range(2):  # The second start finds the line signed.
        assert again(desk).ledger.get("m") == stored(desk) == before
    assert desk.kinds().count("unsigned_adopted") == 1
    assert "carried_out_late" not in desk.kinds()
    assert desk.ledger.disagreements() == frozenset()
    released = apply(desk, events.ReleaseHold("h", "over", "p-3"), LATER)
    assert released.state is MeetingState.RELEASED
    assert desk.ledger.disagreements() == frozenset()


def test_a_kill_between_taking_in_and_carrying_out_makes_nothing_credible(desk: Desk) -> None:
    desk.close()
    forge(custody(desk), FORGED[0])
    desk.ledger.log.open(T)  # Killed here: the line is signed, and the index knows nothing of it.
    desk.ledger.log.close()
    assert again(desk).ledger.get("m") == stored(desk)
    assert stored(desk).held


def test_what_protects_is_carried_out_also_if_nobody_signed_it(desk: Desk) -> None:
    apply(desk, holds.AskRelease("h", "", "p-2"))
    until = stored(desk).holds[0].review_date + timedelta(days=9)
    desk.close()
    placed = {"hold_kind": "legal", "review_date": until.timestamp(), "by": None}
    forge(
        custody(desk),
        {"kind": "withdraw_release", "meeting": "m", "hold": "h", "by": None},
        {"kind": "extend_hold", "meeting": "m", "hold": "h", "review_date": until.timestamp()},
        {"kind": "place_hold", "meeting": "m", "hold": "h2", **placed},
    )
    first, second = again(desk).ledger.get("m").holds  # type: ignore[union-attr]
    assert (first.release_asked, first.review_date) == (None, until)
    assert (second.id, second.kind) == ("h2", HoldKind.LEGAL)
    assert desk.kinds().count("carried_out_late") == 3
    assert desk.ledger.disagreements() == frozenset()


def test_a_recording_exchanged_together_with_index_and_log_is_found(desk: Desk) -> None:
    (recording,) = desk.vault.recordings("m")
    (segment,) = desk.vault.segments(recording.id)
    recipient = age.generate_identity().recipient
    desk.close()
    data = age.encrypt(b"nothing happened", [recipient])
    segment.path.write_bytes(data)
    digest = sha256(data).hexdigest()
    sql(desk, f"UPDATE segment SET bytes = {len(data)}, sha256 = '{digest}'")
    root = files_root([SealedFile(segment.path.name, len(data), digest)])
    fields = {"recording": recording.id, "files": 1, "files_root": root}
    forge(custody(desk), {"kind": "recording_amended", **fields})
    assert again(desk).ledger.disagreements() == {"recording-as-logged"}


def test_evidence_that_is_removed_with_a_forged_erasure_is_missed(desk: Desk) -> None:
    (recording,) = desk.vault.recordings("m")
    desk.close()
    shutil.rmtree(desk.root / "vault" / "segments" / recording.id)
    for table in ("segment", "recording", "hold", "meeting"):
        sql(desk, f"DELETE FROM {table}")
    forge(custody(desk), {"kind": "erased", "meeting": "m"})
    found = again(desk).ledger.disagreements()
    assert found == {"logged-recording-listed", "hold-as-logged"}


def sql(desk: Desk, statement: str) -> None:
    with closing(sqlite3.connect(desk.root / "vault" / "index.db")) as db:
        db.execute(statement)
        db.commit()


def test_lines_behind_a_log_at_work_are_told_by_the_daily_check(desk: Desk) -> None:
    forge(custody(desk), {"kind": "hold"})
    assert desk.ledger.disagreements() == {"log-signed"}


@pytest.mark.parametrize("kind", ["place_hold", "extend_hold", "report_threat"])
@given(st.dictionaries(
    st.sampled_from(["time", "hold", "hold_kind", "review_date", "by", "meeting"]),
    st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.just("h")
    | st.just("legal") | st.lists(st.none(), max_size=1) | st.just("2026-11-02T09:00:00"),
))  # fmt: skip
def test_nonsense_that_nobody_signed_ends_nothing(kind: str, fields: dict[str, object]) -> None:
    begun = Meeting(
        id="m", room_id="r", origin="manual", planned_start=T, started=T,
        state=MeetingState.HELD, holds=(hold("h"),),
    )  # fmt: skip
    entry = {"time": T.isoformat(), **fields, "kind": kind}
    after = replayed(begun, Late(entry, vouched=False))
    assert after.holds[0].released is None
    assert after.holds[0].review_date >= begun.holds[0].review_date
    assert after.state is MeetingState.HELD
    for each in after.holds:
        assert isinstance(each.created, datetime)
        assert each.created.tzinfo is not None
        assert each.placed_by is None or isinstance(each.placed_by, str)


async def test_the_start_tells_a_person(house: House) -> None:
    await (await house.started()).stop()
    forge(house.root / "vault" / "custody", {"kind": "erased", "meeting": "m"})
    witness = await house.started()
    (problem,) = witness.problems()
    assert (problem.key, problem.placeholders) == ("log_unsigned", {"count": "1"})
    await witness.stop()
    again_ = await house.started()
    assert again_.problems() == ()
    await again_.stop()
