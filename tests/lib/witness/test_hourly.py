"""A checkpoint is kept at every hold, release and erasure, and each hour whatever happens."""

from datetime import UTC, datetime, timedelta

from roomwitness.custody import verify_log
from roomwitness.custody.checkpoints import kept_notes
from roomwitness.policy.steady import Steady
from roomwitness.policy.words import HoldKind
from roomwitness.witness import Witness
from tests.camera import Camera

from .house import House, now, until

HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def opened(house: House, clock: Clock) -> Witness:
    witness = Witness(house.config, clock=clock)
    await witness.start()
    assert witness._ticker is not None
    witness._ticker.cancel()  # The test ticks.
    return witness


def kept(house: House) -> list[datetime]:
    return [each.time for each, _ in kept_notes(house.config.root / "custody")]


async def test_each_hour_also_when_nothing_happens_and_across_restarts(house: House) -> None:
    clock = Clock()
    witness = await opened(house, clock)
    begun = clock.now.replace(microsecond=0)
    assert kept(house) == [begun]
    await witness.tick()
    clock.now += HOUR - timedelta(seconds=2)
    await witness.tick()
    assert kept(house) == [begun]
    await witness.stop()
    witness = await opened(house, clock)  # The hour goes on where it was.
    await witness.tick()
    assert kept(house) == [begun]
    clock.now += timedelta(seconds=2)
    await witness.tick()
    await witness.tick()
    assert house.log_kinds() == ["checkpoint"]
    assert kept(house) == [begun, clock.now.replace(microsecond=0)]
    clock.now -= timedelta(days=1)  # A clock that is set back does not stop it.
    await witness.tick()
    assert house.log_kinds() == ["checkpoint"] * 2
    witness._upkeep._steady = Steady(rest=timedelta(0))  # The test's clock leaps.
    clock.now += timedelta(days=40)
    for _ in range(60):
        clock.now += HOUR
        await witness.tick()
    assert len(kept(house)) < 55, "old ones are let go"
    await witness.stop()
    assert verify_log(house.config.root / "custody").kept == len(kept(house))


async def test_at_every_hold_release_and_erasure(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").recording)

    def sizes() -> int:
        return len(list(kept_notes(house.config.root / "custody")))

    assert sizes() == 1
    await witness.report_threat("r1")
    assert sizes() == 2
    await witness.stop_meeting("r1")
    await witness.holds.place(meeting, HoldKind.ACCESS_REQUEST, "case 7")
    assert sizes() == 3
    await witness.holds.extend(meeting, now() + timedelta(days=400), "appeal")
    assert sizes() == 5  # Of two holds.
    await witness.hand_over(meeting)
    assert sizes() == 6
    await witness.holds.release(meeting, "closed")
    assert sizes() == 8  # Two holds ended.
    await until(lambda: witness.status("r1").last_receipt)
    assert sizes() == 9
    assert house.log()[-1] == "erased"
    await witness.stop()


async def test_a_checkpoint_that_cannot_be_kept_holds_nothing_up(
    camera: Camera, house: House
) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    folder = house.config.root / "custody" / "checkpoints"
    folder.rename(folder.with_name("away"))
    folder.write_text("not a folder")
    await witness.start_meeting("r1")
    await witness.report_threat("r1")
    assert witness.status("r1").evidence_held == 1
    await witness.stop()
    assert house.log_kinds()[-1] in ("recording_ended", "report_threat")
