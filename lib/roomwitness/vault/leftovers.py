"""What lies in folders and key stores and is not in the index: taken away, or kept.

An index may be new, or older than what there is, so its silence proves nothing. What goes is what
the custody log says was erased, and what a kill left of a recording that had not begun: a folder
without a file, made before its key (``Vault.begin_recording``), of which the log does not know.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roomwitness import files

from .keys import KeyStore
from .trial import TRIAL


@dataclass(frozen=True, slots=True)
class Fate:
    """What the custody log says of a recording that was begun: its meeting, and what of that."""

    meeting: str
    erased: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Leftover:
    """What there is of a recording that the index does not list."""

    recording: str
    ephemeral: bool = False
    held: bool = False
    folder: bool = False
    files: bool = False

    @property
    def nothing_yet(self) -> bool:
        """Whether it can be what a kill left before a recording, or a trial, had begun."""
        if self.held or self.files:
            return False
        return self.folder or self.recording.startswith(TRIAL)


class Account(Protocol):
    """The custody log, asked only if there is something to ask about."""

    def fates(self) -> Mapping[str, Fate]:
        """Of each recording that was begun; empty if the log cannot be read."""
        ...

    def going(self, leftovers: Sequence[Leftover], fates: Mapping[str, Fate]) -> bool:
        """Log that these are destroyed now; whether that could be done, else they stay."""
        ...


class NoAccount:
    """Where there is no log: it knows of nothing, and takes everything."""

    def fates(self) -> Mapping[str, Fate]:
        """Nothing."""
        return {}

    def going(self, _leftovers: Sequence[Leftover], _fates: Mapping[str, Fate]) -> bool:
        """Nobody is told."""
        return True


def goes(leftover: Leftover, fates: Mapping[str, Fate]) -> bool:
    """Whether nothing is lost by its going that was not to be lost."""
    fate = fates.get(leftover.recording)
    return leftover.nothing_yet if fate is None else fate.erased


def find(known: Set[str], ephemeral: KeyStore, held: KeyStore, segments: Path) -> list[Leftover]:
    """What is there besides the ``known`` recordings, in order of id.

    Raises:
        VaultUnwritable: a key store cannot be read.
        OSError: the folder cannot.
    """
    folders = {path.name: path for path in segments.iterdir()} if segments.is_dir() else {}
    keys = ephemeral.ids(), held.ids()
    found = []
    for name in sorted((folders.keys() | keys[0] | keys[1]) - known):
        folder = folders.get(name)
        is_folder = folder is not None and folder.is_dir()
        if not (is_folder or name in keys[0] or name in keys[1]):
            continue  # A file beside the folders is nobody's recording.
        some = folder is not None and is_folder and any(folder.iterdir())
        found.append(Leftover(name, name in keys[0], name in keys[1], is_folder, some))
    return found


def destroy(
    leftovers: Iterable[Leftover], ephemeral: KeyStore, held: KeyStore, segments: Path
) -> None:
    """Keys first, then folders; may be repeated.

    Raises:
        VaultUnwritable: a key store cannot be changed.
    """
    gone = list(leftovers)
    held.destroy(one.recording for one in gone if one.held)
    ephemeral.destroy(one.recording for one in gone if one.ephemeral)
    for one in gone:
        if one.folder:
            shutil.rmtree(segments / one.recording, ignore_errors=True)
    with suppress(OSError):  # Without their keys they are noise; the next start looks again.
        files.sync_folder(segments)


def settle(
    known: Set[str], ephemeral: KeyStore, held: KeyStore, segments: Path, account: Account
) -> tuple[list[Leftover], list[tuple[Leftover, Fate | None]]]:
    """Destroy what may go; gives that, and what stays, with what the log says of it.

    Raises:
        VaultUnwritable, OSError.
    """
    found = find(known, ephemeral, held, segments)
    fates = account.fates() if found else {}
    gone = [one for one in found if goes(one, fates)]
    if gone and account.going(gone, fates):
        destroy(gone, ephemeral, held, segments)
        gone = [one for one in gone if not (segments / one.recording).exists()]
    else:
        gone = []
    left = {one.recording for one in found} - {one.recording for one in gone}
    return gone, [(one, fates.get(one.recording)) for one in found if one.recording in left]
