"""Meetings that staff start by hand: forgotten ones end, and nothing waits for them for ever."""

from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.errors import WitnessError
from roomwitness.policy.words import HoldKind, Meeting, MeetingState
from roomwitness.witness import Witness
from tests.camera import Camera

from .house import POLICY, House, booking, now

S = MeetingState
HOUR = timedelta(hours=1)
LONG = replace(POLICY, review_window=HOUR)


def the_meeting(witness: Witness, meeting_id: str) -> Meeting:
    found = witness._ledger.get(meeting_id)
    assert found is not None
    return found


def later(witness: Witness, passed: timedelta) -> None:
    witness._clock = lambda: now() + passed


async def test_a_forgotten_one_ends_and_the_booking_that_waits_begins(
    camera: Camera, house: House
) -> None:
    witness = await house.started(house.room(camera.source(), policy=LONG))
    await witness.reconcile("r1", [])
    forgotten = await witness.start_meeting("r1")
    planned_end = the_meeting(witness, forgotten).planned_end
    assert planned_end is not None
    await witness.reconcile("r1", [booking(3600, 5 * 3600)])
    later(witness, 2 * HOUR)
    await witness.tick()
    assert witness.status("r1").meeting_id == forgotten
    later(witness, 3 * HOUR)
    await witness.tick()
    await witness.tick()
    over = the_meeting(witness, forgotten)
    assert (over.state, over.ended) == (S.REVIEW, planned_end)
    assert over.deadline == planned_end + HOUR
    assert witness.status("r1").state is S.RECORDING
    assert witness.status("r1").meeting_id != forgotten
    await witness.stop()


async def test_staff_let_it_go_on_and_a_booking_only_says_itself_when_it_ends(
    house: House,
) -> None:
    policy = replace(LONG, manual_length=HOUR)
    witness = await house.started(house.room(policy=policy), house.room(room_id="r2"))
    await witness.reconcile("r1", [])
    with pytest.raises(WitnessError) as refused:
        await witness.go_on("r1")
    assert refused.value.key == "room_idle"
    meeting = await witness.start_meeting("r1")
    await witness.stop()
    witness = await house.started(house.room(policy=policy), house.room(room_id="r2"))
    later(witness, HOUR / 2)
    await witness.go_on("r1")
    later(witness, HOUR * 1.2)
    await witness.tick()
    assert the_meeting(witness, meeting).state is S.RECORDING
    later(witness, HOUR * 1.6)
    await witness.tick()
    assert the_meeting(witness, meeting).state is S.REVIEW
    later(witness, timedelta(0))
    await witness.reconcile("r2", [booking(-1, 600)])
    with pytest.raises(WitnessError) as refused:
        await witness.go_on("r2")
    assert refused.value.key == "transition_not_allowed"
    await witness.stop()
    assert house.log().count("go_on") == 1


async def test_one_that_an_earlier_version_began_ends_too(house: House) -> None:
    room = house.room(bound=False, policy=LONG)
    witness = await house.started(room)
    meeting = await witness.start_meeting("r1")
    old = replace(the_meeting(witness, meeting), planned_end=None)
    await witness._upkeep.run(witness._ledger._store, old, now())
    await witness.stop()
    witness = await house.started(room)
    await witness.tick()
    assert old.started is not None
    assert the_meeting(witness, meeting).planned_end == old.started + 3 * HOUR
    later(witness, 3 * HOUR)
    await witness.tick()
    assert the_meeting(witness, meeting).state is S.REVIEW
    await witness.stop()


async def test_a_hold_period_of_nothing_is_a_day(house: House) -> None:
    policy = replace(LONG, hold_period=timedelta(0), erase_at_review=True)
    witness = await house.started(house.room(bound=False, policy=policy))
    meeting = await witness.start_meeting("r1")
    await witness.report_threat("r1")
    await witness.holds.place(meeting, HoldKind.LEGAL, "dnr 1")
    await witness.stop_meeting("r1")
    holds = the_meeting(witness, meeting).open_holds
    assert [h.review_date - h.created for h in holds] == 2 * [timedelta(days=1)]
    await witness.tick()
    assert the_meeting(witness, meeting).open_holds == holds
    await witness.stop()
    (rules,) = [e for e in house.entries() if e["kind"] == "rules_set"]
    assert rules["hold_period_s"] == 86400
