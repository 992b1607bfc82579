"""A change of a hold counts once it is in the custody log, whatever disk or kill does then."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody import LogUnwritable, SiteSigner, encode_entry
from roomwitness.custody.entry import decode_entry
from roomwitness.errors import WitnessError
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState, RoomPolicy
from roomwitness.vault import age
from roomwitness.vault.errors import VaultFull, VaultUnwritable
from roomwitness.vault.index import Index
from roomwitness.vault.keys import KeyStore
from roomwitness.witness.entries import hold_fields, kind_of
from roomwitness.witness.erasures import Due
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.replay import Late, replayed
from tests.lib.vault.conftest import fork

from . import test_erasures
from .house import House, until
from .test_erasures import CUSTODIAN, Desk, T

POLICY = RoomPolicy(hold_period=timedelta(days=90))
S = MeetingState


class Fails:
    """The index and the held key store, of which each change may be refused."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def begin(self, *, index: bool = True, keys: bool = True) -> None:
        def refuse(*_: object) -> None:
            raise VaultFull

        if index:
            self._patch.setattr(Index, "change", refuse)
        if keys:
            self._patch.setattr(KeyStore, "change", refuse)
            self._patch.setattr(KeyStore, "destroy", refuse)

    def end(self) -> None:
        self._patch.undo()


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    return Fails(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    meeting = desk.ledger.create(Meeting(id="m", room_id="r1", origin="manual", planned_start=T), T)
    meeting = desk.ledger.apply(meeting, events.Start(), T, POLICY)
    desk.ledger.recordings.begin(meeting, "c", T)
    yield desk
    desk.close()


def apply(desk: Desk, event: events.Event, at: datetime = T) -> Meeting:
    meeting = desk.ledger.get("m")
    assert meeting is not None
    return desk.ledger.apply(meeting, event, at, POLICY)


def again(desk: Desk) -> Desk:
    desk.close()
    fresh = Desk(desk.root)
    fresh.ledger.recordings.recovered(fresh.vault.recover(), T)
    desk.vault, desk.ledger, desk.erasures = fresh.vault, fresh.ledger, fresh.erasures
    return desk


def stored(desk: Desk) -> Meeting:
    (meeting,) = desk.vault.meetings()
    return meeting


def held_keys(desk: Desk) -> bool:
    recordings = {recording.id for recording in desk.vault.recordings("m")}
    return bool(recordings) and recordings <= desk.vault._held.ids()


def hold(name: str, kind: HoldKind = HoldKind.LEGAL) -> Hold:
    review = T + timedelta(days=30)
    return Hold(id=name, kind=kind, reason="Anna", created=T, review_date=review, placed_by="p-1")


@pytest.mark.parametrize("index", [True, False])
def test_a_threat_counts_at_once_and_is_carried_out_when_the_disk_is_back(
    desk: Desk, fails: Fails, index: bool
) -> None:
    fails.begin(index=index)
    assert apply(desk, events.ReportThreat("h", "p-1")).held
    assert desk.ledger.behind
    with pytest.raises(VaultFull):
        desk.ledger.catch_up()
    assert stored(desk).held is not index
    fails.end()
    desk.ledger.catch_up()
    assert not desk.ledger.behind
    assert stored(desk).held
    assert held_keys(desk)
    assert "carried_out_late" not in desk.kinds(), "nothing was late for anybody who looks"


def test_a_threat_that_only_the_log_has_is_held_after_the_next_start(
    desk: Desk, fails: Fails
) -> None:
    fails.begin()
    before = apply(desk, events.ReportThreat("h", "p-1"))
    fails.end()
    assert not stored(desk).holds
    assert again(desk).ledger.get("m") == stored(desk) == before
    assert stored(desk).holds[0].review_date == T + POLICY.hold_period
    assert held_keys(desk)
    assert desk.vault.export_identities("m", CUSTODIAN)
    assert desk.vault.check() == []
    assert desk.ledger.disagreements() == frozenset()
    assert desk.kinds().count("carried_out_late") == 1
    assert again(desk).kinds().count("carried_out_late") == 1, "once is enough"


def test_a_release_that_only_the_log_has_is_carried_out_and_the_erasure_is_the_usual_one(
    desk: Desk, fails: Fails
) -> None:
    apply(desk, events.ReportThreat("h"))
    apply(desk, events.End())
    fails.begin()
    assert apply(desk, events.ReleaseHold("h", "Anna", "p-2")).state is S.RELEASED
    fails.end()
    assert stored(desk).held
    released = again(desk).ledger.get("m")
    assert released is not None
    assert (released.state, released.deadline) == (S.RELEASED, T)
    assert desk.vault._held.ids() == frozenset()
    assert desk.vault.has_key(desk.vault.recordings("m")[0].id), "nothing is erased by it"
    (receipt,) = desk.erasures.run([Due(released, "G-7", POLICY)], T)
    assert receipt.meeting_id == "m"
    assert desk.vault.check() == []
    assert again(desk).ledger.meetings == ()


def test_an_erasure_first_stores_when_the_hold_was_released(desk: Desk, fails: Fails) -> None:
    """Which backups carry its wrap is asked of that row."""
    apply(desk, events.ReportThreat("h"))
    apply(desk, events.End())
    fails.begin()
    released = apply(desk, events.ReleaseHold("h", ""))
    fails.end()
    assert desk.erasures.run([Due(released, "G-7", POLICY)], T)
    assert stored(desk).state is S.ERASED
    assert stored(desk).holds[0].released == T
    assert not desk.ledger.behind


def test_what_others_change_meanwhile_takes_it_along(desk: Desk, fails: Fails) -> None:
    fails.begin()
    apply(desk, events.ReportThreat("h"))
    fails.end()
    other = Meeting(id="n", room_id="r2", origin="manual", planned_start=T)
    desk.ledger.create(other, T)
    assert {m.id for m in desk.vault.meetings() if m.held} == {"m"}
    assert not held_keys(desk)
    assert held_keys(again(desk)), "the keys follow the index"
    assert "carried_out_late" not in desk.kinds()


def test_an_entry_that_could_not_be_signed_counts_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr("roomwitness.custody.log.replace", refuse)
        assert apply(desk, events.ReportThreat("h")).held
    assert desk.ledger.behind
    desk.ledger.catch_up()
    assert stored(desk).held
    assert desk.kinds()[-1] == "report_threat"


def test_a_start_on_a_disk_that_still_fails_holds_in_memory_and_tries_again(
    desk: Desk, fails: Fails
) -> None:
    fails.begin()
    apply(desk, events.ReportThreat("h"))
    desk.close()
    fails.end()
    real = Index.save_meetings
    refused = []

    def refuse(
        self: Index, meetings: list[Meeting], logged: int | None = None, *, copied: bool = False
    ) -> None:
        if meetings:
            refused.append(meetings)
            raise VaultUnwritable
        real(self, meetings, logged, copied=copied)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Index, "save_meetings", refuse)
        fresh = Desk(desk.root)
        fresh.vault.recover()
        assert refused
        assert fresh.ledger.behind
        assert [m.held for m in fresh.ledger.meetings] == [True]
    fresh.ledger.catch_up()
    assert stored(fresh).held
    fresh.close()


def _report_and_die(root: Path, keys: tuple[str, str, bytes], step: str) -> None:
    site, custodian, log = keys
    test_erasures.SITE = age.Identity.from_string(site)
    test_erasures.CUSTODIAN = age.Identity.from_string(custodian)
    test_erasures.SIGNER = SiteSigner.from_private_bytes(test_erasures.ORIGIN, log)
    desk = Desk(root)

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    places: dict[str, tuple[type, str]] = {
        "signature": (Ledger, "_sign"),
        "row": (Index, "save_meetings"),
        "keys": (KeyStore, "put"),
        "memory": (Ledger, "catch_up"),
    }
    setattr(*places[step], die)
    apply(desk, events.ReportThreat("h"))


@pytest.mark.parametrize("step", ["signature", "memory", "row", "keys"])
def test_a_kill_after_the_entry(desk: Desk, step: str) -> None:
    desk.close()
    keys = str(test_erasures.SITE), str(CUSTODIAN), test_erasures.SIGNER.private_bytes
    child = fork.Process(target=_report_and_die, args=(desk.root, keys, step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert stored_after(desk).held
    assert held_keys(desk)
    assert desk.ledger.disagreements() == frozenset()


def stored_after(desk: Desk) -> Meeting:
    fresh = Desk(desk.root)
    fresh.ledger.recordings.recovered(fresh.vault.recover(), T)
    desk.vault, desk.ledger, desk.erasures = fresh.vault, fresh.ledger, fresh.erasures
    return stored(desk)


def test_a_log_that_was_put_back_or_set_aside_is_read_from_where_it_is(desk: Desk) -> None:
    apply(desk, events.ReportThreat("h"))
    log = desk.root / "vault" / "custody" / "log.jsonl"
    desk.close()
    log.write_bytes(log.read_bytes().replace(b'"start"', b'"stort"'))
    fresh = Desk(desk.root)
    assert fresh.ledger.tampered
    assert stored(fresh).held
    meeting = fresh.ledger.get("m")
    assert meeting is not None
    with pytest.MonkeyPatch.context() as patch:
        Fails(patch).begin()
        fresh.ledger.apply(meeting, events.PlaceHold(hold("h2")), T, POLICY)
    assert len(stored(again(fresh)).holds) == 2
    fresh.close()


def test_a_mark_inside_a_line_of_another_log_ends_nothing(desk: Desk) -> None:
    apply(desk, events.ReportThreat("h"))
    log = desk.root / "vault" / "custody" / "log.jsonl"
    desk.vault.index.save_meetings([], log.read_bytes().index(b'"before"'))
    again(desk)
    assert stored(desk).held
    assert "carried_out_late" not in desk.kinds()
    log.unlink()
    with pytest.raises(LogUnwritable):
        list(desk.ledger.log.since(0))


def test_the_daily_check_finds_a_hold_that_index_and_log_tell_differently(desk: Desk) -> None:
    apply(desk, events.ReportThreat("h"))
    apply(desk, events.PlaceHold(hold("h2")))
    apply(desk, events.ReleaseHold("h2", ""))
    assert desk.ledger.disagreements() == frozenset()
    for name, released in (("h", T), ("h2", None)):
        right = stored(desk)
        wrong = tuple(replace(h, released=released) if h.id == name else h for h in right.holds)
        desk.vault.save_meeting(replace(right, holds=wrong))
        assert desk.ledger.disagreements() == {"hold-as-logged"}
        desk.vault.save_meeting(right)
    desk.vault.save_meeting(replace(stored(desk), holds=()))
    assert desk.ledger.disagreements() == {"hold-as-logged"}


def _event(word: str, name: str, by: str, at: datetime, kind: HoldKind) -> events.Event:
    match word:
        case "threat":
            return events.ReportThreat(f"{at:%j}", by)
        case "place":
            review = at + timedelta(days=9)
            placed = Hold(
                id=f"{at:%j}", kind=kind, reason="", created=at, review_date=review, placed_by=by
            )
            return events.PlaceHold(placed)
        case "extend":
            return holds.ExtendHold(name, at + timedelta(days=3), "", by)
        case "ask":
            return holds.AskRelease(name, "", by)
        case "withdraw":
            return holds.WithdrawRelease(name, by)
        case "release":
            return events.ReleaseHold(name, "", by)
        case "lapse":
            return events.LapseHold(name)
        case _:
            return events.End()


words = ("threat", "place", "extend", "ask", "withdraw", "release", "lapse", "end")
steps = st.tuples(st.sampled_from(words), st.integers(0, 3), st.sampled_from(["p-1", "p-2"]))


@given(st.lists(steps, max_size=12), st.sampled_from(list(HoldKind)), st.integers(0, 12))
def test_what_is_read_from_the_log_is_what_was_decided(
    chosen: list[tuple[str, int, str]], kind: HoldKind, since: int
) -> None:
    """From any entry on, except reasons; a hold that is there, or ended, is not changed by it."""
    lapsing = replace(POLICY, erase_at_review=True)
    begun = Meeting(id="m", room_id="r", origin="manual", planned_start=T, state=S.RECORDING)
    true, read = begun, begun
    for number, (word, which, by) in enumerate(chosen):
        at = T + timedelta(days=20 * number)
        name = true.holds[which % len(true.holds)].id if true.holds else "none"
        event = _event(word, name, by, at, kind)
        try:
            after = events.advance(true, event, at, lapsing)
        except WitnessError:
            continue
        entry = decode_entry(encode_entry(kind_of(event), at, hold_fields(event, after)))
        read = replayed(after if number < since or word == "end" else read, Late(entry))
        assert read in (after, replace(after, holds=read.holds))
        assert read.holds == after.holds
        true = after


def test_entries_of_a_newer_version_are_left_alone() -> None:
    begun = Meeting(id="m", room_id="r", origin="manual", planned_start=T, state=S.RECORDING)
    at = T.astimezone(UTC).isoformat()
    for entry in (
        {"kind": "place_hold", "hold": "h", "hold_kind": "unheard of", "review_date": 1.0},
        {"kind": "place_hold", "hold": "h", "hold_kind": "legal"},
        {"kind": "bend_hold", "hold": "h"},
    ):
        assert replayed(begun, Late({"time": at, **entry})) is begun


async def test_a_press_counts_while_the_index_fails_which_is_told(
    house: House, fails: Fails
) -> None:
    witness = await house.started(house.room(bound=False))
    await witness.start_meeting("r1")

    def told() -> set[str]:
        return {p.key for p in witness.problems() if p.camera_id is None}

    fails.begin()
    meeting = await witness.report_threat("r1")
    await until(lambda: told() == {"vault_full"})
    assert witness.status("r1").evidence_held == 1
    fails.end()
    await until(lambda: not told())
    vault = house.vault()
    assert [m.id for m in vault.meetings() if m.held] == [meeting]
    vault.close()
    await witness.stop()
