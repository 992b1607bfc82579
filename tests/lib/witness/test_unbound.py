"""A calendar that is a room's no more: it says nothing of the room any longer."""

from dataclasses import replace

from roomwitness.policy.words import MeetingState
from roomwitness.witness import RoomConfig, Witness
from tests.camera import Camera

from .house import House, booking, until


def unbound(room: RoomConfig) -> RoomConfig:
    return replace(room, calendar_bound=False)


def states(witness: Witness) -> list[MeetingState]:
    return [meeting.state for meeting in witness.meetings("r1")]


async def test_what_it_said_and_that_it_was_lost_is_forgotten(camera: Camera, house: House) -> None:
    room = house.room(camera.source())
    witness = await house.started(room)
    await witness.reconcile("r1", [booking(20, 60), booking(900, 999, "b2"), booking(9, 8, "b3")])
    await witness.calendar_lost("r1")
    assert states(witness) == [MeetingState.PREFLIGHT]
    assert {p.key for p in witness.problems()} == {"calendar_missing", "booking_invalid"}
    assert witness.status("r1").next_booking is not None
    await witness.set_rooms([unbound(room)])
    await witness.tick()
    assert witness.problems() == ()
    status = witness.status("r1")
    assert (status.next_booking, status.problem, status.state) == (None, None, "idle")
    await witness.calendar_lost("r1")  # By whoever was reading it meanwhile.
    await witness.reconcile("r1", [booking(900, 999)])
    assert (witness.problems(), witness.status("r1").next_booking) == ((), None)
    await witness.set_rooms([])
    await witness.calendar_lost("r1")
    assert witness.problems() == ()
    await witness.stop()


async def test_the_meeting_that_runs_is_recorded_to_its_end(camera: Camera, house: House) -> None:
    room = house.room(camera.source())
    witness = await house.started(room)
    await witness.reconcile("r1", [booking(-5, 6)])
    await witness.set_rooms([unbound(room)])
    await witness.tick()
    assert states(witness) == [MeetingState.RECORDING]
    await until(lambda: states(witness) in ([MeetingState.REVIEW], []))
    await witness.stop()


async def test_bound_again_it_is_recorded_after_all(camera: Camera, house: House) -> None:
    room, ahead = house.room(camera.source()), booking(20, 60)
    witness = await house.started(room)
    await witness.reconcile("r1", [ahead])
    await witness.set_rooms([unbound(room)])
    await witness.tick()
    assert states(witness) == []
    await witness.set_rooms([room])
    await witness.reconcile("r1", [ahead])
    assert states(witness) == [MeetingState.PREFLIGHT]
    await witness.stop()
