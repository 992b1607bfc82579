"""A meeting whose keys are gone and whose files are not: nothing holds it any more."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.errors import WitnessError
from roomwitness.policy.words import HoldKind, MeetingState
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.witness import RoomConfig, Witness
from roomwitness.witness.errors import KeysDestroyed, RoomIdle
from tests.camera import Camera

from .house import POLICY, House, now, until

REVIEW = timedelta(seconds=2)


class Folders:
    """Folders of segments that cannot be removed, as on a disk that became read-only."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

        def refuse(_path: object) -> None:
            raise OSError(30, "read-only")

        patch.setattr(shutil, "rmtree", refuse)

    def mended(self) -> None:
        self._patch.undo()


def room(house: House, camera: Camera, pre_roll_s: float = 0.0) -> RoomConfig:
    policy = replace(POLICY, review_window=REVIEW, pre_roll=timedelta(seconds=pre_roll_s))
    return house.room(camera.source(), bound=False, policy=policy)


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Folders:
    return Folders(monkeypatch)


@pytest.fixture
async def ghost(camera: Camera, house: House, folders: Folders) -> Witness:
    """A site with one calm meeting that is past its time and cannot be erased whole."""
    witness = await house.started(room(house, camera))
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.stop_meeting("r1")
    await until(lambda: "erasure_failed" in {p.key for p in witness.problems()})
    return witness


def set_back(witness: Witness, by: timedelta) -> None:
    """Our clock is set back, so that the window seems to be open again."""
    for each in (witness, witness._threats, witness.holds):
        each._clock = lambda: now() - by


async def test_a_press_finds_nothing_where_the_keys_are_destroyed(
    ghost: Witness, folders: Folders
) -> None:
    (meeting,) = ghost.meetings("r1")
    assert meeting.state is MeetingState.REVIEW
    for back in (timedelta(0), timedelta(hours=1)):
        set_back(ghost, back)
        with pytest.raises(RoomIdle):
            await ghost.report_threat("r1")
        with pytest.raises(WitnessError) as caught:
            await ghost.holds.place(meeting.id, HoldKind.LEGAL, "dnr 1")
        assert caught.value.key == KeysDestroyed.key
    assert ghost.status("r1").evidence_held == 0
    set_back(ghost, timedelta(0))
    folders.mended()
    await until(lambda: not ghost.meetings("r1"))
    await ghost.stop()


async def test_it_is_so_after_a_restart_and_pre_roll_begins_a_meeting(
    ghost: Witness, house: House, camera: Camera, folders: Folders
) -> None:
    (meeting,) = ghost.meetings("r1")
    await ghost.stop()
    again = await house.started(room(house, camera))
    set_back(again, timedelta(hours=1))
    with pytest.raises(RoomIdle):
        await again.report_threat("r1")
    set_back(again, timedelta(0))
    await again.set_rooms([room(house, camera, 5.0)])
    begun = await again.report_threat("r1")
    assert begun != meeting.id
    assert [m.id for m in again.meetings("r1") if m.held] == [begun]
    await again.stop()
    folders.mended()


async def test_a_store_that_cannot_be_read_refuses_nobody(
    camera: Camera, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = replace(POLICY, review_window=timedelta(minutes=5))
    witness = await house.started(house.room(camera.source(), bound=False, policy=policy))
    meeting = await witness.start_meeting("r1")
    await witness.stop_meeting("r1")

    def broken(_meeting: str) -> bool:
        raise VaultUnwritable

    monkeypatch.setattr(witness._vault, "keys_gone", broken)
    assert await witness.report_threat("r1") == meeting
    monkeypatch.undo()
    await witness.stop()
