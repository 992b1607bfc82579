"""Recording lamps on relay outputs of cameras: on while a room records, off otherwise.

What was sent is believed until the camera says otherwise; a camera that says nothing is told again
every minute while the lamp is to be on, because a restart of the camera puts it out.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from roomwitness.onvif import Connection, OnvifError, OnvifSource, io
from roomwitness.onvif.errors import OnvifAuthFailed
from roomwitness.onvif.pullpoint import wait_s

from .background import end
from .config import RelayLamp, RoomConfig
from .status import Problem

_AGAIN_S = 60.0
# One lost packet is nothing to tell people of.
_FAILURES = 2


@dataclass(slots=True)
class _Lamp:
    wanted: bool
    shown: bool | None = None  # None: nobody knows, for example after a crash.
    told: bool | None = None  # By the camera, last.
    sent_at: float = 0.0
    failures: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Lamps:
    """Each relay that is a room's lamp, and what the face says of lamps that are its own.

    ``source`` gives a camera's address, ``told`` the relays' states as it tells them; ``notify`` is
    told of rooms whose problems may have changed. The face sets ``gone``: whether a lamp of that
    room is not there now; it may be asked from any thread.
    """

    def __init__(
        self,
        source: Callable[[str], OnvifSource | None],
        told: Callable[[str], Mapping[str, bool]],
        notify: Callable[[str], None],
    ) -> None:
        self._source = source
        self._told = told
        self._notify = notify
        self._lamps: dict[RelayLamp, _Lamp] = {}
        self._rooms: dict[RelayLamp, list[str]] = {}
        self._failed: dict[str, bool] = {}
        self.gone: Callable[[str], bool] = lambda _: False

    def sync(self, rooms: Mapping[str, RoomConfig], recording: Callable[[str], bool]) -> None:
        """Have every lamp show what is; returns at once. A lamp that no room has is put out."""
        self._rooms = {}
        for room in rooms.values():
            if room.lamp is not None:
                self._rooms.setdefault(room.lamp, []).append(room.id)
        for key in self._rooms.keys() | self._lamps.keys():
            if key not in self._rooms and self._source(key.camera_id) is None:
                del self._lamps[key]  # Gone with its camera.
                continue
            belongs = (rooms[room_id] for room_id in self._rooms.get(key, ()))
            on = any(room.cameras and recording(room.id) for room in belongs)
            self._want(key, on=on)

    def _want(self, key: RelayLamp, *, on: bool) -> None:
        lamp = self._lamps.setdefault(key, _Lamp(on))
        if lamp.wanted is not on:
            lamp.wanted = on
            lamp.changed.set()
        old = asyncio.get_running_loop().time() - lamp.sent_at > _AGAIN_S
        if old and on and lamp.shown and lamp.told is None:
            lamp.shown = None
        self._work(key, lamp)

    def _work(self, key: RelayLamp, lamp: _Lamp) -> None:
        if lamp.task is not None and not lamp.task.done():
            return
        if lamp.shown is not lamp.wanted:
            lamp.task = asyncio.create_task(self._show(key, lamp), name="roomwitness lamp")
        elif key not in self._rooms:
            del self._lamps[key]

    def heard(self, camera_id: str) -> None:
        """A camera told something: its relay was switched by another, or fell back by a restart."""
        for key, lamp in tuple(self._lamps.items()):
            if key.camera_id == camera_id:
                told = self._told(camera_id).get(key.token)
                before, lamp.told = lamp.told, told
                if told is not before and told is not None and told is not lamp.wanted:
                    lamp.shown = told
                    self._work(key, lamp)

    async def _show(self, key: RelayLamp, lamp: _Lamp) -> None:
        refusals = 0
        while lamp.shown is not (on := lamp.wanted):
            lamp.changed.clear()
            source = self._source(key.camera_id)
            if source is None:
                lamp.failures = _FAILURES  # The camera is gone, or is known by its stream alone.
                self._notify_rooms(key)
                return
            try:
                async with Connection(source) as device:
                    await io.set_relay(device, key.token, active=on)
            except OnvifError as err:
                refusals = refusals + 1 if isinstance(err, OnvifAuthFailed) else 0
                lamp.failures += 1
                lamp.shown = None  # It may have been switched though we did not hear of it.
                if lamp.failures == _FAILURES:
                    self._notify_rooms(key)
                pause = wait_s(lamp.failures, refusals, random.random())  # noqa: S311
                try:
                    async with asyncio.timeout(pause):
                        await lamp.changed.wait()
                except TimeoutError:
                    pass
                continue
            failed, lamp.failures = lamp.failures, 0
            lamp.shown, lamp.sent_at = on, asyncio.get_running_loop().time()
            if failed >= _FAILURES:
                self._notify_rooms(key)

    def _notify_rooms(self, key: RelayLamp) -> None:
        for room_id in self._rooms.get(key, ()):
            self._notify(room_id)

    def failed(self, room_id: str, *, on: bool | None) -> None:
        """The face could not switch a room's own lamp on or off; None: it could."""
        before = self._failed.get(room_id)
        if on is None:
            self._failed.pop(room_id, None)
        else:
            self._failed[room_id] = on
        if before is not on:
            self._notify(room_id)

    def problems(self, room: RoomConfig) -> Iterator[Problem]:
        """Whether the room's lamps say what is."""
        wrong = {self._failed[room.id]} if room.id in self._failed else set()
        lamp = None if room.lamp is None else self._lamps.get(room.lamp)
        if lamp is not None and lamp.failures >= _FAILURES:
            wrong.add(lamp.wanted)
        for on in sorted(wrong):
            yield Problem(key="lamp_not_lit" if on else "lamp_not_out", room_id=room.id)

    def ahead(self, room: RoomConfig) -> Iterator[Problem]:
        """For the check before a meeting: also a lamp that nobody could switch once it begins."""
        yield from self.problems(room)
        if room.id not in self._failed and self.gone(room.id):
            yield Problem(key="lamp_missing", room_id=room.id)

    async def stop(self) -> None:
        """Leave the lamps as they are: a restart in mid-meeting must not blink them."""
        await end(*(lamp.task for lamp in self._lamps.values()))
