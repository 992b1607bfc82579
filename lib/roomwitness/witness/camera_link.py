"""What one camera tells besides its stream, while somebody listens (docs/onvif.md)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from roomwitness.onvif.errors import OnvifError
from roomwitness.onvif.events import Change, Kind, Notification, Operation, Seen, take
from roomwitness.onvif.pullpoint import listen
from roomwitness.onvif.source import OnvifSource

from .background import end
from .config import CameraConfig

# Losing and renewing a subscription is nothing to wake people for.
GRACE_S = 20.0
_MOST = 64  # Properties of a camera that we keep.


@dataclass(frozen=True, slots=True)
class CameraState:
    """What is known of a camera. ``listening``: its events are heard now.

    ``motion`` and ``tampered`` are None before the camera told of any; ``inputs`` and ``relays``
    are by token, True while active (of an input: its contact is closed).
    """

    listening: bool = False
    motion: bool | None = None
    tampered: bool | None = None
    inputs: Mapping[str, bool] = field(default_factory=dict)
    relays: Mapping[str, bool] = field(default_factory=dict)


class Told(StrEnum):
    """What a link tells its owner."""

    SEEN = "seen"  # Its state is another one.
    CHANGED = "changed"  # Something may be wrong, or mended.
    PRESSED = "pressed"
    TAMPERED = "tampered"
    TAMPER_ENDED = "tamper_ended"


class CameraLink:
    """Listens from its making to ``stop``; ``tell`` is called in the event loop.

    ``before`` is the link that this one takes over from, when a camera has moved or has another
    password: what was known of its inputs still is, so that a press in between counts.
    """

    def __init__(
        self,
        camera: CameraConfig,
        source: OnvifSource,
        tell: Callable[[Told], None],
        before: CameraLink | None = None,
    ) -> None:
        self.camera = camera
        self.state = CameraState()
        self.error: OnvifError | None = None
        self.was_pressed = False  # The panic button when we first heard of it.
        self._tell = tell
        self._seen: dict[tuple[Kind, str], Seen] = {}
        self._button = Seen()
        if before is not None and before.camera.panic == camera.panic:
            self._button, self.was_pressed = before._button, before.was_pressed
        self._loop = asyncio.get_running_loop()
        self._silent_since: float | None = self._loop.time()
        self._waking = self._loop.call_later(GRACE_S, tell, Told.CHANGED)
        self._task = asyncio.create_task(
            listen(source, self._take, self._alive), name="roomwitness events"
        )

    @property
    def silent(self) -> bool:
        """Whether its events have not been heard for longer than renewing takes."""
        since = self._silent_since
        return since is not None and self._loop.time() - since >= GRACE_S

    async def stop(self) -> None:
        """Unsubscribe and end."""
        self._waking.cancel()
        await end(self._task)

    def _alive(self, error: OnvifError | None) -> None:
        self.error = error
        if self.state.listening is (error is None):
            return
        self.state = replace(self.state, listening=error is None)
        self._waking.cancel()
        if error is None:
            self._silent_since = None
        else:
            self._silent_since = self._loop.time()
            self._waking = self._loop.call_later(GRACE_S, self._tell, Told.CHANGED)
        self._tell(Told.CHANGED)

    def _take(self, notification: Notification) -> None:
        self._press(notification)
        key = notification.kind, notification.source
        if key not in self._seen and len(self._seen) >= _MOST:
            return
        self._seen[key] = take(self._seen.get(key, Seen()), notification)[0]
        gone = notification.operation is Operation.DELETED
        if gone and notification.kind in (Kind.MOTION, Kind.TAMPER):
            del self._seen[key]  # The rule is no more: what it said last counts no longer.
        before, self.state = self.state, self._look()
        if before == self.state:
            return
        if before.tampered is not self.state.tampered and (before.tampered or self.state.tampered):
            self._tell(Told.TAMPERED if self.state.tampered else Told.TAMPER_ENDED)
        else:
            self._tell(Told.SEEN)

    def _press(self, notification: Notification) -> None:
        panic = self.camera.panic
        if panic is None or (notification.kind, notification.source) != (Kind.INPUT, panic.token):
            return
        if panic.when_open and notification.active is not None:
            notification = replace(notification, active=not notification.active)
        self._button, change = take(self._button, notification)
        was, self.was_pressed = (
            self.was_pressed,
            change is Change.WAS_ACTIVE or (self.was_pressed and bool(self._button.active)),
        )
        if change is Change.BEGAN:
            self._tell(Told.PRESSED)
        elif was is not self.was_pressed:
            self._tell(Told.CHANGED)

    def _look(self) -> CameraState:
        def any_of(kind: Kind) -> bool | None:
            known = [seen.active for (of, _), seen in self._seen.items() if of is kind]
            return any(known) if known else None

        def each_of(kind: Kind) -> dict[str, bool]:
            return {
                source: seen.active
                for (of, source), seen in self._seen.items()
                if of is kind and seen.active is not None
            }

        return replace(
            self.state,
            motion=any_of(Kind.MOTION),
            tampered=any_of(Kind.TAMPER),
            inputs=each_of(Kind.INPUT),
            relays=each_of(Kind.RELAY),
        )
