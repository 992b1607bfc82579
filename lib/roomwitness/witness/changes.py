"""Who is told that a room changed: one room in each turn of the event loop, each room once."""

import asyncio
from collections.abc import Callable


class Changes:
    """Listeners, and the rooms that they are still to be told of.

    Some changes concern every room, and what a face does for a room takes milliseconds: all of
    them told in one go block its event loop, sixteen rooms for a tenth of a second.
    """

    def __init__(self) -> None:
        self._listeners: list[tuple[Callable[[str], None], Callable[[], None]]] = []
        self._rooms: dict[str, None] = {}
        self._all_told = asyncio.Event()
        self._all_told.set()

    def of(self, *room_ids: str) -> None:
        """The rooms changed, or, with none of them, only the site.

        To be called in the event loop, which tells of it in later turns.
        """
        self._rooms.update(dict.fromkeys(room_ids))
        if self._all_told.is_set():
            self._all_told.clear()
            asyncio.get_running_loop().call_soon(self._tell)

    def subscribe(
        self, changed: Callable[[str], None], settled: Callable[[], None] = lambda: None
    ) -> Callable[[], None]:
        """Call ``changed(room_id)`` after each change; returns the way out.

        ``settled()`` is called once after the last of the rooms that changed together.
        """
        listener = changed, settled
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def told(self) -> None:
        """Wait until the listeners know of all that has changed so far."""
        await self._all_told.wait()

    def _tell(self) -> None:
        if not self._rooms:
            self._all_told.set()
            for _, settled in tuple(self._listeners):
                settled()
            return
        # First, so that a listener that fails keeps no other room from being told of.
        asyncio.get_running_loop().call_soon(self._tell)
        room_id = next(iter(self._rooms))
        del self._rooms[room_id]
        for changed, _ in tuple(self._listeners):
            changed(room_id)
