"""Rules that guard evidence: each change is on record, and they outlive their room."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody import LogUnwritable, encode_entry
from roomwitness.errors import WitnessError
from roomwitness.policy.steady import Steady
from roomwitness.policy.words import HoldKind, MeetingState, RoomPolicy
from roomwitness.witness import RoomConfig, Witness, rules
from roomwitness.witness.errors import PersonStillNeeded
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.rules import Guard
from tests.camera import Camera

from .house import LEGAL, POLICY, House, now, until

LONG = replace(POLICY, review_window=timedelta(hours=1))
TWO = replace(LONG, two_people=True)
DAY = timedelta(days=1)


def guards(house: House, room: str = "r1") -> list[tuple[bool, bool, bool]]:
    return [
        (e["two_people"], e["erase_at_review"], e["removed"])
        for e in house.entries()
        if e["kind"] == "rules_set" and e["room"] == room
    ]


def room(house: House, policy: RoomPolicy = LONG, room_id: str = "r1") -> RoomConfig:
    return house.room(bound=False, policy=policy, room_id=room_id)


def keys(witness: Witness) -> set[str]:
    return {problem.key for problem in witness.problems()}


def after(witness: Witness, passed: timedelta) -> None:
    clock: Callable[[], datetime] = lambda: now() + passed  # noqa: E731
    for each in (witness, witness.holds):
        each._clock = clock


async def held(witness: Witness, by: str | None = None, room_id: str = "r1") -> str:
    await witness.start_meeting(room_id)
    meeting = await witness.report_threat(room_id, by)
    await witness.stop_meeting(room_id)
    return meeting


async def test_each_change_is_logged_once_with_names_and_values_only(house: House) -> None:
    witness = await house.started(room(house))
    assert guards(house) == [(False, False, False)]
    await witness.set_rooms([room(house)])
    assert guards(house) == [(False, False, False)]
    await witness.set_rooms([room(house, TWO)])
    await witness.set_rooms([room(house)])
    assert guards(house)[1:] == [(True, False, False), (False, False, False)]
    await witness.stop()
    (entry, *_) = [e for e in house.entries() if e["kind"] == "rules_set"]
    assert entry.keys() == {
        "kind", "time", "room", "two_people", "erase_at_review", "hold_period_s",
        "review_window_s", "decision", "removed",
    }  # fmt: skip
    assert (entry["hold_period_s"], entry["review_window_s"]) == (30 * 86400.0, 3600.0)


async def test_a_change_made_while_stopped_is_seen_at_the_start(house: House) -> None:
    witness = await house.started(room(house), room(house, room_id="r2"))
    await witness.stop()
    again = await house.started(room(house, replace(LONG, hold_period=DAY)))
    assert guards(house) == [(False, False, False)] * 2
    assert guards(house, "r2") == [(False, False, False), (False, False, True)]
    await again.stop()
    third = await house.started(room(house, replace(LONG, hold_period=DAY)))
    assert len(guards(house)) == len(guards(house, "r2")) == 2, "what the log says is not news"
    await third.stop()


async def test_a_change_is_logged_before_it_counts_and_waits_for_the_disk(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = await house.started(room(house, TWO))
    counted: list[bool] = []
    real = Ledger.note_all

    def look(ledger: Ledger, leaves: Any) -> int:
        counted.append(witness._wishes.of("r1").policy.two_people)
        return real(ledger, leaves)

    monkeypatch.setattr(Ledger, "note_all", look)
    await witness.set_rooms([room(house)])
    assert counted == [True], "the old rule, while the new one is written down"

    def refuse(*_: object) -> int:
        raise LogUnwritable

    monkeypatch.setattr(Ledger, "note_all", refuse)
    await witness.set_rooms([room(house, TWO)])
    await witness.set_rooms([room(house)])
    assert len(guards(house)) == 2
    assert not witness._wishes.of("r1").policy.two_people, "rooms are taken all the same"
    monkeypatch.undo()
    await until(lambda: len(guards(house)) == 4)
    await witness.stop()
    assert house.log().count("rules_set") == 4


async def test_rules_that_nobody_signed_guard_nothing(house: House) -> None:
    """Whoever can write in the log's file must not make one person enough for a removed room."""
    witness = await house.started(room(house, TWO))
    await held(witness)
    await witness.stop()
    weaker = replace(Guard.of(room(house, TWO)), two_people=False, erase_at_review=True)
    line = encode_entry(rules.KIND, now(), {"room": "r1", **weaker.fields()})
    with (house.config.root / "custody" / "log.jsonl").open("ab") as log:
        log.write(line + b"\n")
    again = await house.started()
    policy = again._wishes.of("r1").policy
    assert (policy.two_people, policy.erase_at_review) == (True, False)
    await again.stop()


def test_the_last_entry_of_each_room_counts_and_what_is_none_does_not() -> None:
    guard = Guard.of(
        RoomConfig(id="a", cameras=(), policy=TWO, legal_file=LEGAL, calendar_bound=False)
    )
    other = replace(guard, two_people=False, removed=True)
    entries = [
        {"room": "a", **guard.fields()},
        {"room": "c"},
        {"room": "d", **guard.fields(), "hold_period_s": "long"},
        {"room": "a", **other.fields()},
        {"room": "b", **guard.fields()},
    ]
    assert rules.read(entries) == {"a": other, "b": guard}
    assert rules.read(entries[:1]) == {"a": guard}
    assert rules.read([]) == {}


policies = st.builds(
    RoomPolicy,
    two_people=st.booleans(),
    erase_at_review=st.booleans(),
    hold_period=st.timedeltas(DAY, 90 * DAY),
)


@given(st.none() | policies, st.lists(policies, max_size=4))
def test_removing_a_room_loosens_nothing(own: RoomPolicy | None, site: list[RoomPolicy]) -> None:
    def config(policy: RoomPolicy, name: str) -> RoomConfig:
        return RoomConfig(
            id=name, cameras=(), policy=policy, legal_file=LEGAL, calendar_bound=False
        )

    guard = None if own is None else Guard.of(config(own, "gone"))
    rooms = [config(policy, str(number)) for number, policy in enumerate(site)]
    found = rules.of_removed("gone", guard, rooms)
    known = [*site, *([] if own is None else [own])]
    assert found.policy.two_people == (any(p.two_people for p in known) or not known)
    assert found.policy.erase_at_review == (all(p.erase_at_review for p in known) and bool(known))
    assert found.cameras == ()
    if own is not None:
        assert found.policy.hold_period == own.hold_period
        assert found.legal_file.disposal_decision == LEGAL.disposal_decision


async def test_evidence_of_a_removed_room_asks_and_is_extended_and_released_by_two(
    house: House,
) -> None:
    witness = await house.started(room(house, TWO))
    meeting = await held(witness, "p-anna")
    assert "evidence_without_room" not in keys(witness)
    await witness.set_rooms([])
    (problem,) = witness.problems()
    assert problem.key == "evidence_without_room"
    assert problem.placeholders == {"count": "1", "meetings": meeting}
    after(witness, 31 * DAY)
    await witness.tick()
    (due,) = [p for p in witness.problems() if p.key == "hold_review_due"]
    assert (due.meeting_id, due.room_id) == (meeting, "r1")
    await witness.holds.extend(meeting, now() + 60 * DAY, "appeal")
    assert keys(witness) == {"evidence_without_room"}
    found, _ = await witness.listings.meetings(None)
    assert [each.meeting.id for each in found] == [meeting]
    await witness.hand_over(meeting)
    with pytest.raises(WitnessError) as refused:
        await witness.holds.release(meeting, "mine", by="p-anna")
    assert refused.value.key == "two_people_needed"
    assert not (await witness.holds.release(meeting, "closed", by="p-bo"))[0].released
    assert "release_pending" in keys(witness)
    assert (await witness.holds.release(meeting, "closed", by="p-cia"))[0].released
    await witness.tick()
    assert witness.problems() == ()
    assert house.vault().receipt_of(meeting).decision == LEGAL.disposal_decision  # type: ignore[union-attr]
    await witness.stop()


async def test_its_rules_hold_after_a_restart_and_somebody_who_is_needed_is_not_forgotten(
    house: House,
) -> None:
    witness = await house.started(room(house, TWO), room(house, room_id="r2"))
    anna = witness.people.pseudonym("anna")
    await held(witness, anna)
    await witness.stop()
    again = await house.started(room(house, room_id="r2"))
    with pytest.raises(PersonStillNeeded):
        await again.people.forget(anna)
    assert again._wishes.of("r1").policy.two_people
    await again.stop()


@pytest.mark.parametrize("site", [True, False])
async def test_a_hold_of_a_removed_room_ends_by_itself_only_if_room_and_site_chose_it(
    house: House, site: bool
) -> None:
    lapses = replace(LONG, erase_at_review=True)
    other = room(house, lapses if site else LONG, "r2")
    witness = await house.started(room(house, lapses), other)
    meeting = await held(witness)
    await witness.set_rooms([other])
    await witness.tick()
    assert [m.id for m in witness._ledger.meetings] == [meeting]
    witness._upkeep._steady = Steady(rest=timedelta(0))
    after(witness, 31 * DAY)
    await witness.tick()
    assert bool(witness._ledger.meetings) is not site
    await witness.stop()


async def test_calm_meetings_of_a_removed_room_keep_its_window_and_decision(
    camera: Camera, house: House
) -> None:
    one = house.room(camera.source(), bound=False, policy=replace(LONG, review_window=5 * DAY))
    witness = await house.started(one)
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.set_rooms([])
    await witness.tick()
    (over,) = witness._ledger.meetings
    assert over.state is MeetingState.REVIEW
    assert over.deadline is not None
    assert over.ended is not None
    assert over.deadline - over.ended == 5 * DAY
    await witness.holds.place(meeting, HoldKind.LEGAL, "dnr 4")
    await witness.holds.release(meeting, "dnr 5")
    await witness.stop()
    again = await house.started()
    await until(lambda: not again._ledger.meetings)
    vault = house.vault()
    receipt = vault.receipt_of(meeting)
    vault.close()
    assert receipt is not None
    assert receipt.decision == LEGAL.disposal_decision
    await again.stop()
