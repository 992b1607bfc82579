"""A threat that is not held at once: it is tried again, and what held nothing is told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

from roomwitness.errors import WitnessError

from .background import end
from .errors import LegalFileIncomplete, RoomIdle, RoomNotFound, RoomWithoutCamera
from .status import Problem

_LOGGER = logging.getLogger(__name__)

# A report that the disk refuses is not given up before so many further tries, so far apart.
_TRIES, AGAIN_S = 60, 5.0
# How long a report that could hold nothing is shown.
_SHOWN = timedelta(hours=1)
# How long a report that is on its way may take at the stop.
_STOP_S = 1.0

_NOTHING_TO_HOLD = (RoomIdle, LegalFileIncomplete, RoomWithoutCamera)

type Report = Callable[[], Awaitable[str]]
# A room, and the camera whose panic button it was; None: a wall switch, a page, an automation.
type _Place = tuple[str, str | None]


class Presses:
    """Whoever reports a threat looks at no page in that moment: nothing of it may be lost unsaid.

    ``notify`` is told of rooms whose problems may have changed.
    """

    def __init__(self, notify: Callable[[str], None], clock: Callable[[], datetime]) -> None:
        self._notify = notify
        self._clock = clock
        self.again_s = AGAIN_S
        self._unheld: dict[_Place, datetime] = {}
        self._left: dict[_Place, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def report(
        self,
        report: Report,
        room_id: str,
        camera_id: str | None = None,
        again_s: float | None = None,
    ) -> str:
        """Report a threat; returns what ``report`` does.

        What the disk refuses goes on beside, every ``again_s`` seconds, whatever the caller is
        told.

        Raises:
            RoomIdle, LegalFileIncomplete, RoomWithoutCamera: there was nothing to hold; a problem
                says so for an hour.
            WitnessError: as ``report``; but for ``RoomNotFound`` it is tried again.
        """
        place = room_id, camera_id
        try:
            return await self._try(report, place)
        except (*_NOTHING_TO_HOLD, RoomNotFound):
            raise
        except Exception:
            waits = place in self._left
            self._left[place] = _TRIES
            if not waits:  # Pressed again meanwhile: one report is enough, and has its time anew.
                task = asyncio.create_task(self._insist(report, place, again_s or self.again_s))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            raise

    async def _try(self, report: Report, place: _Place) -> str:
        try:
            held = await report()
        except _NOTHING_TO_HOLD:
            self._held_nothing(place)
            raise
        if self._unheld.pop(place, None):
            self._notify(place[0])
        return held

    async def _insist(self, report: Report, place: _Place, again_s: float) -> None:
        try:
            while self._left[place]:
                self._left[place] -= 1
                await asyncio.sleep(again_s)
                try:
                    await self._try(report, place)
                except (*_NOTHING_TO_HOLD, RoomNotFound):
                    return
                except Exception as err:
                    what = err.key if isinstance(err, WitnessError) else type(err).__name__
                    _LOGGER.warning("A threat could not be reported yet, trying again: %s", what)
                else:
                    return
            self._held_nothing(place)
        finally:
            del self._left[place]

    def _held_nothing(self, place: _Place) -> None:
        self._unheld[place] = self._clock()
        self._notify(place[0])

    def problems(self, room_id: str) -> Iterator[Problem]:
        """Reports in the room that held nothing, of the last hour."""
        now = self._clock()
        for (room, camera_id), pressed in self._unheld.items():
            if room == room_id and now - pressed < _SHOWN:
                if camera_id is None:
                    yield Problem(key="threat_held_nothing", room_id=room)
                else:
                    yield Problem(key="panic_held_nothing", room_id=room, camera_id=camera_id)

    async def stop(self) -> None:
        """Give up; a report that is on its way gets a moment."""
        if tasks := tuple(self._tasks):
            _, left = await asyncio.wait(tasks, timeout=_STOP_S)
            await end(*left)
