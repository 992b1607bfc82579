"""The cameras besides their streams: events, panic buttons, tampering (docs/onvif.md)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial

from roomwitness.errors import WitnessError
from roomwitness.onvif import OnvifSource
from roomwitness.policy.words import RUNNING

from .camera_link import CameraLink, CameraState, Told
from .config import CameraConfig, RoomConfig
from .ledger import Ledger
from .presses import AGAIN_S as _AGAIN_S
from .presses import Presses
from .status import Problem
from .tampering import Tampering


class Cameras:
    """One link for each camera with ONVIF.

    ``report`` reports a threat in a room once, ``presses`` does not give up; ``rooms`` are the
    rooms by id; ``notify`` is told of rooms whose problems may have changed.
    """

    def __init__(
        self,
        report: Callable[[str], Awaitable[str]],
        presses: Presses,
        rooms: Callable[[], Mapping[str, RoomConfig]],
        notify: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._report = report
        self._reports = presses
        self._rooms = rooms
        self.notify = notify
        self._clock = clock
        self._configured: dict[str, CameraConfig] = {}
        self._links: dict[str, CameraLink] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._presses: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._tampering = Tampering()

    def configure(self, cameras: Iterable[CameraConfig]) -> None:
        """Listen to these cameras and no others; what is unchanged is not interrupted."""
        wanted = self._configured = {camera.id: camera for camera in cameras}
        before: dict[str, CameraLink] = {}
        for camera_id, link in tuple(self._links.items()):
            new = wanted.get(camera_id)
            if new is None or (new.onvif, new.panic) != (link.camera.onvif, link.camera.panic):
                before[camera_id] = link
                self._end(camera_id)
        for camera_id in wanted.keys() - self._links.keys():
            camera = wanted[camera_id]
            if camera.onvif is not None:
                tell = partial(self._tell, camera_id)
                known = before.get(camera_id)
                self._links[camera_id] = CameraLink(camera, camera.onvif, tell, known)

    def _end(self, camera_id: str) -> None:
        task = asyncio.create_task(self._links.pop(camera_id).stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        self._tell(camera_id, Told.CHANGED)

    async def stop(self) -> None:
        """Unsubscribe everywhere; a press that is still being reported gets a moment."""
        links = tuple(self._links.values())
        self._links.clear()
        await asyncio.gather(*(link.stop() for link in links), *self._stopping)
        if self._presses:
            _, left = await asyncio.wait(self._presses, timeout=1.0)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def state(self, camera_id: str) -> CameraState:
        """The camera as it is known now."""
        link = self._links.get(camera_id)
        return CameraState() if link is None else link.state

    def source(self, camera_id: str) -> OnvifSource | None:
        """Where the camera's ONVIF service is; None if it has none, or is gone."""
        camera = self._configured.get(camera_id)
        return None if camera is None else camera.onvif

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call ``listener(camera_id)`` after each change of a camera; returns the way out."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def problems(self, room: RoomConfig) -> Iterator[Problem]:
        """What is wrong with the room's cameras besides their streams: a meeting begins with it."""
        for camera in room.cameras:
            if (link := self._links.get(camera.id)) is None:
                continue
            for key, there in (
                ("panic_not_heard", camera.panic is not None and link.silent),
                ("panic_was_active", link.was_pressed),
                ("camera_tampered", _tampered(link)),
            ):
                if there:
                    yield Problem(key=key, room_id=room.id, camera_id=camera.id)

    def _tell(self, camera_id: str, told: Told) -> None:
        if told is Told.PRESSED:
            for room_id in self._rooms_of(camera_id):
                task = asyncio.create_task(self._pressed(room_id, camera_id))
                self._presses.add(task)
                task.add_done_callback(self._presses.discard)
        elif told in (Told.TAMPERED, Told.TAMPER_ENDED):
            self._tampering.happened(camera_id, self._clock(), began=told is Told.TAMPERED)
        for listener in tuple(self._listeners):
            listener(camera_id)
        if told is not Told.SEEN:
            for room_id in self._rooms_of(camera_id):
                self.notify(room_id)

    def _rooms_of(self, camera_id: str) -> list[str]:
        return [
            room.id
            for room in self._rooms().values()
            if any(camera.id == camera_id for camera in room.cameras)
        ]

    async def _pressed(self, room_id: str, camera_id: str) -> None:
        """The panic button was pressed: what the room's own button does."""
        with suppress(WitnessError):  # Nobody is there to be told; a repair is.
            await self._reports.report(
                lambda: self._report(room_id), room_id, camera_id, again_s=_AGAIN_S
            )

    async def log_tampering(self, ledger: Ledger, run: Callable[..., Awaitable[None]]) -> None:
        """Have the custody log say what happened in running meetings; ``run`` does disk work.

        Raises:
            LogUnwritable: it is tried again at the next call.
        """
        rooms = self._rooms()
        cameras = {
            meeting.id: {camera.id for camera in rooms[meeting.room_id].cameras}
            for meeting in ledger.meetings
            if meeting.state in RUNNING and meeting.room_id in rooms
        }
        tampered = {key for key, link in self._links.items() if _tampered(link)}
        notes = self._tampering.due(cameras, tampered, self._clock())
        for note in notes:
            fields = {"meeting": note.meeting_id, "camera": note.camera_id}
            await run(partial(ledger.note, note.kind, note.at, **fields))
        self._tampering.noted(notes)


def _tampered(link: CameraLink) -> bool:
    """Of a camera that is not heard nothing is known."""
    return bool(link.state.listening and link.state.tampered)
