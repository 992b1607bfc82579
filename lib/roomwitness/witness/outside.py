"""Those outside who attest the log's heads, if the site wants any; nothing else waits for them.

The newest kept head is sent as soon as there is one; a failure is tried again after 1, 2, 4 ... 30
minutes. What of each was sent, and since when one waits, is in ``custody/outside.json``.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiohttp

from roomwitness.custody.checkpoints import Kept
from roomwitness.errors import WitnessError
from roomwitness.files import replace

from .background import end
from .destinations import Destination, Heads, Run, WitnessConfig, WitnessDestination
from .errors import Disagrees
from .status import Problem
from .timestamping import TimestampConfig, TimestampDestination

_LOGGER = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=30)
_LATE = timedelta(days=1)


def wait(failures: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    return min(_FIRST_WAIT * (1 << min(failures - 1, 10)), _LONGEST_WAIT)


@dataclass(slots=True)
class Standing:
    """How it stands with one destination: the size that it attested, and since when it fails."""

    done: int = 0
    waiting: datetime | None = None
    failures: int = 0
    again: datetime | None = None
    error: str | None = None

    def ready(self, now: datetime) -> bool:
        """Whether to try; a clock that was set back must not make it wait for longer."""
        return self.again is None or not now < self.again <= now + _LONGEST_WAIT

    def succeeded(self, size: int) -> None:
        """It attested a log of so many entries."""
        self.done, self.waiting, self.failures = size, None, 0
        self.again = self.error = None

    def failed(self, error: str, now: datetime) -> None:
        """It did not."""
        self.waiting = self.waiting or now
        self.failures += 1
        self.again, self.error = now + wait(self.failures), error

    def problem(self, now: datetime) -> str | None:
        """What a person must know: a refusal at once, silence only after a day."""
        if self.error is None or self.waiting is None:
            return None
        patient = self.error.endswith("_unreachable") and now - self.waiting < _LATE
        return None if patient else self.error


class Outside:
    """Sends heads to all destinations; ``changed`` is called when there may be other problems."""

    def __init__(
        self,
        heads: Heads,
        folder: Path,
        run: Run,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._heads = heads
        self._path = folder / "outside.json"
        self._run = run
        self._clock = clock
        self._changed = changed
        self._destinations: tuple[Destination, ...] = ()
        self._configured: tuple[object, ...] | None = None
        self._standing: dict[str, Standing] | None = None
        self._task: asyncio.Task[None] | None = None

    def configure(
        self,
        session: aiohttp.ClientSession,
        witnesses: Sequence[WitnessConfig] = (),
        timestamps: TimestampConfig | None = None,
    ) -> None:
        """Send to these from now on.

        Raises:
            LogTampered, TimestampInvalid: a verifier key or root is malformed.
        """
        wanted = (session, tuple(witnesses), timestamps)
        if wanted == self._configured:
            return
        found: list[Destination] = [
            WitnessDestination(each, self._heads, session, self._run) for each in witnesses
        ]
        if timestamps is not None:
            found.append(TimestampDestination(timestamps, self._heads, session, self._run))
        self._configured = wanted
        self.set(found)

    def set(self, destinations: Sequence[Destination]) -> None:
        """Take these from now on; what was true of others is forgotten."""
        self._destinations = tuple(destinations)
        for destination in destinations:  # A correction is tried at once.
            if self._standing is not None and destination.key in self._standing:
                self._standing[destination.key].again = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(self._forever(), name="roomwitness out")

    async def stop(self) -> None:
        """End; what was on its way is sent again after the next start."""
        await end(self._task)

    async def _forever(self) -> None:
        while True:
            try:
                await self.look(self._clock())
            except (WitnessError, OSError) as err:
                _LOGGER.warning("What is sent outside cannot be kept: %s", type(err).__name__)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self, now: datetime) -> None:
        """Send the newest head to whoever has not attested it and is to be tried now."""
        kept = self._heads.kept.newest
        if kept is None or not kept.size or not self._destinations:
            return
        if self._standing is None:
            self._standing = await self._run(self._read)
        standing = self._standing
        due = [
            destination
            for destination in self._destinations
            # Also if it attested more: the log was cut back, and it must be told what there is now.
            if (found := standing.setdefault(destination.key, Standing())).done != kept.size
            and found.ready(now)
        ]
        if due:
            await asyncio.gather(*(self._send(to, standing[to.key], kept, now) for to in due))
            await self._run(self._write)
            self._changed()

    async def _send(self, to: Destination, standing: Standing, kept: Kept, now: datetime) -> None:
        before = standing.error
        try:
            await to.send(kept)
            standing.succeeded(kept.size)
        except WitnessError as err:
            standing.failed(err.key, now)
            if isinstance(err, Disagrees) and before != err.key:
                note = partial(self._heads.note, err.key, witness=to.name)
                await self._run(note, now)
        except OSError:
            standing.failed("log_unwritable", now)
        if standing.error not in (None, before):
            _LOGGER.warning("%s did not attest the custody log: %s", to.name, standing.error)

    def _read(self) -> dict[str, Standing]:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(self._path.read_bytes())
            return {
                str(key): Standing(
                    done=int(each["done"]),
                    waiting=None
                    if each["waiting"] is None
                    else datetime.fromtimestamp(each["waiting"], UTC),
                )
                for key, each in found.items()
            }
        return {}

    def _write(self) -> None:
        standing = self._standing or {}
        kept = {
            to.key: {"done": each.done, "waiting": each.waiting and each.waiting.timestamp()}
            for to in self._destinations
            if (each := standing.get(to.key)) is not None
        }
        replace(self._path, json.dumps(kept, indent=1).encode(), sync=False)

    def problems(self) -> Iterator[Problem]:
        """Whoever refuses, contradicts, or has been silent for a day."""
        now, standing = self._clock(), self._standing or {}
        found: dict[str, list[str]] = {}
        for to in self._destinations:
            key = standing.get(to.key, Standing()).problem(now)
            if key is not None:
                found.setdefault(key, []).append(to.name)
        for key, names in found.items():
            yield Problem(key=key, placeholders={"names": ", ".join(names)})
