"""Checkpoints that are kept: ``checkpoints/SIZE-TIME.checkpoint``, with what others said of them.

Cosignatures are signature lines to be put behind the note, in ``SIZE-TIME.cosignatures``; a
timestamp of the ``.checkpoint`` file is ``SIZE-TIME.tsr``. So the file that was signed stays as is.
All are kept for two days, then one a day for a year, then one a month.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from roomwitness.files import replace

from .errors import LogUnwritable, own_errors

FOLDER, SUFFIX = "checkpoints", ".checkpoint"
COSIGNATURES, TIMESTAMP = ".cosignatures", ".tsr"
_ALL_OF_IT = (TIMESTAMP, COSIGNATURES, SUFFIX)
EVERY = timedelta(hours=1)
_ALL, _DAILY = timedelta(days=2), timedelta(days=366)
_AGAIN = timedelta(minutes=1)
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"([0-9]{12,})-([0-9]{8}T[0-9]{6}Z)")


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """A checkpoint that was kept of a log of ``size`` entries at ``time``."""

    size: int
    time: datetime

    @property
    def name(self) -> str:
        """Its file's name without the ending."""
        return f"{self.size:012d}-{self.time:{_TIME}}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read such a name; None if it is something else."""
        found = _NAME.fullmatch(name)
        try:
            return found and cls(
                int(found[1]), datetime.strptime(found[2], _TIME).replace(tzinfo=UTC)
            )
        except ValueError:
            return None


def due(last: datetime | None, now: datetime) -> bool:
    """Whether an hour has passed since the last one; also if the clock was set back behind it."""
    return last is None or not timedelta(0) <= now - last < EVERY


def superfluous(kept: Iterable[tuple[Kept, bool]], now: datetime) -> list[Kept]:
    """Which to let go; each comes with whether others attested it, which is worth more.

    Of each day, later of each month, the newest attested one stays, or else the newest.
    """
    found = sorted(kept)
    best: dict[str, tuple[bool, Kept]] = {}
    for each, attested in found[:-1]:
        age = now - each.time
        if age > _ALL:
            span = f"{each.time:%Y-%m-%d}" if age <= _DAILY else f"{each.time:%Y-%m}"
            best[span] = max(best.get(span, (attested, each)), (attested, each))
    stay = {each for _, each in best.values()}
    return [each for each, _ in found[:-1] if now - each.time > _ALL and each not in stay]


class Checkpoints:
    """The folder of one log."""

    def __init__(self, custody: Path) -> None:
        self._folder = custody / FOLDER
        self.last: datetime | None = None
        self.newest: Kept | None = None
        self._waiting: list[tuple[str, Kept]] | None = None

    def open(self) -> Self:
        """Find the newest."""
        found = self.all()
        self.newest = found[-1] if found else None
        self.last = found[-1].time if found else None
        return self

    def all(self) -> list[Kept]:
        """Those that there are, the smallest log first."""
        names = (path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))
        return sorted(kept for name in names if (kept := Kept.parse(name)) is not None)

    def keep(self, note: str, size: int, now: datetime) -> Kept:
        """Keep a checkpoint, synced.

        Raises:
            LogUnwritable: one is due again in a minute.
        """
        kept = Kept(size, now.astimezone(UTC).replace(microsecond=0))
        if self._waiting is not None:
            self._waiting.append((note, kept))
            self.last = kept.time
            return kept
        try:
            self._folder.mkdir(exist_ok=True)
            replace(self.path(kept), note.encode(), sync=True)
        except OSError as err:
            self.last = now - EVERY + _AGAIN
            raise LogUnwritable(f"errno {err.errno}") from None
        self.last, self.newest = kept.time, kept
        return kept

    def hold(self) -> None:
        """Write none until ``release``: somebody copies the folder file by file."""
        self._waiting = self._waiting or []

    def release(self) -> None:
        """Write those that waited.

        Raises:
            LogUnwritable: the rest is lost; a newer one is kept in a minute.
        """
        waiting, self._waiting = self._waiting or [], None
        for note, kept in waiting:
            self.keep(note, kept.size, kept.time)

    def note(self, kept: Kept) -> str:
        """The checkpoint, without what others said of it.

        Raises:
            OSError: it cannot be read.
        """
        return self.path(kept).read_bytes().decode()

    def add_cosignature(self, kept: Kept, line: str) -> None:
        """Keep a cosignature, in the place of an older one of the same witness.

        Raises:
            OSError: it cannot be written.
        """
        path, name = self.path(kept, COSIGNATURES), line.split(" ")[1]
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        others = [other for other in lines if other.split(" ")[1:2] != [name]]
        replace(path, "".join([*others, line]).encode(), sync=True)

    def add_timestamp(self, kept: Kept, response: bytes) -> None:
        """Keep a timestamp.

        Raises:
            OSError: it cannot be written.
        """
        replace(self.path(kept, TIMESTAMP), response, sync=True)

    def path(self, kept: Kept, suffix: str = SUFFIX) -> Path:
        """Where it, or its timestamp, is."""
        return self._folder / f"{kept.name}{suffix}"

    def tidy(self, now: datetime) -> None:
        """Let go of what need not be kept; what cannot be removed stays."""
        for kept in superfluous([(each, self._attested(each)) for each in self.all()], now):
            for suffix in _ALL_OF_IT:
                try:
                    self.path(kept, suffix).unlink(missing_ok=True)
                except OSError:
                    return

    def _attested(self, kept: Kept) -> bool:
        return any(self.path(kept, suffix).exists() for suffix in (COSIGNATURES, TIMESTAMP))

    def set_aside(self, size: int, now: datetime) -> int | None:
        """An older log was put back: move what was kept of more entries than it has.

        Gives the most entries that it had; None if there are none.

        Raises:
            LogUnwritable: it cannot be moved.
        """
        ahead = [kept for kept in self.all() if kept.size > size]
        if not ahead:
            return None
        folder = self._folder / f"rolled-back-{now.astimezone(UTC):{_TIME}}"
        with own_errors():
            folder.mkdir(exist_ok=True)
            for kept in ahead:
                for suffix in _ALL_OF_IT:
                    path = self.path(kept, suffix)
                    if path.exists():
                        path.rename(folder / path.name)
        self.open()
        return ahead[-1].size


def kept_notes(custody: Path) -> Iterator[tuple[Kept, str]]:
    """What is kept beside a log with its cosignatures; one that goes meanwhile is passed over."""
    store = Checkpoints(custody)
    for kept in store.all():
        try:
            note = store.note(kept)
        except FileNotFoundError:
            continue
        path = store.path(kept, COSIGNATURES)
        yield kept, note + (path.read_bytes().decode() if path.exists() else "")


def newest_cosigned(custody: Path, index: int) -> str | None:
    """The newest kept checkpoint that has entry ``index`` and a cosignature, with all of them."""
    store = Checkpoints(custody)
    for kept in reversed(store.all()):
        if kept.size <= index:
            break
        path = store.path(kept, COSIGNATURES)
        if path.exists():
            return store.note(kept) + path.read_bytes().decode()
    return None
