"""The site's keys on disk: one file, for its owner only. They are never in the config entry."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

from roomwitness import files

from . import age
from .errors import IdentityInvalid
from .keys import key_id
from .wrapping import KeyRing


@lru_cache(64)
def _id(recipient: str) -> str:
    """Kept, because a post-quantum key takes a millisecond, and it is asked for all the time."""
    return key_id(age.parse_recipient(recipient))


@dataclass(frozen=True, slots=True)
class Custodian:
    """One who may open evidence: the public half of their key, and what people call them."""

    recipient: str
    label: str = ""

    @property
    def id(self) -> str:
        """What logs and stores call them.

        Raises:
            IdentityInvalid: the recipient is not one.
        """
        return _id(self.recipient)

    @property
    def shown(self) -> str:
        """Label and id."""
        return f"{self.label} ({self.id})" if self.label else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeys:
    """What a site needs to go on; no custodian's secret is among it.

    In ``sealed`` mode recordings are wrapped for custodians only. ``previous_site_identity`` is
    there while wraps are moved from one site key to the next; ``retired`` are ids of custodians.
    """

    origin: str
    custodians: tuple[Custodian, ...]
    site_identity: str = field(repr=False)
    log_private_key: str = field(repr=False)
    sealed: bool = False
    retired: tuple[str, ...] = ()
    previous_site_identity: str | None = field(default=None, repr=False)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read the file; None if there is none, or it is not one of ours."""
        try:
            found = json.loads(path.read_text())
            found["custodians"] = tuple(Custodian(**item) for item in found["custodians"])
            found["retired"] = tuple(found["retired"])
            stored = cls(**found)
            age.Identity.from_string(stored.site_identity)
            return stored if all(custodian.id for custodian in stored.custodians) else None
        except OSError, ValueError, TypeError, KeyError, IdentityInvalid:
            return None

    def adding(self, custodian: Custodian) -> Self:
        """The same with one more custodian."""
        retired = tuple(name for name in self.retired if name != custodian.id)
        return replace(self, custodians=(*self.custodians, custodian), retired=retired)

    def retiring(self, custodian_id: str) -> Self:
        """The same without that custodian."""
        left = tuple(c for c in self.custodians if c.id != custodian_id)
        return replace(self, custodians=left, retired=(*self.retired, custodian_id))

    def rotating(self, site: age.Identity) -> Self:
        """The same with a new key for the site; the one that it has opens until wraps are moved."""
        return replace(self, site_identity=str(site), previous_site_identity=self.site_identity)

    @property
    def site_id(self) -> str:
        """What logs and stores call the site's key."""
        return key_id(age.Identity.from_string(self.site_identity).recipient)

    @property
    def ring(self) -> KeyRing:
        """The keys as the vault uses them."""
        previous = self.previous_site_identity
        return KeyRing(
            site=age.Identity.from_string(self.site_identity),
            custodians=tuple(age.parse_recipient(c.recipient) for c in self.custodians),
            sealed=self.sealed,
            previous=None if previous is None else age.Identity.from_string(previous),
            retired=frozenset(self.retired),
        )

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; the bytes of the one before are overwritten.

        Raises:
            OSError: the folder cannot be written.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        destroy_old(path)
        before = os.open(path, os.O_RDWR | os.O_CLOEXEC) if path.exists() else None
        try:
            if before is not None:
                with suppress(OSError):  # Only so that a kill leaves it where it is found.
                    os.link(path, _old(path))
            files.replace(path, json.dumps(asdict(self), indent=2).encode(), sync=True)
            if before is not None:
                _overwrite(before)
        finally:
            if before is not None:
                os.close(before)
        _old(path).unlink(missing_ok=True)
        files.sync_folder(path.parent)


def destroy_old(path: Path) -> None:
    """Overwrite and remove what a kill left of the file before this one, or of one after it.

    Raises:
        OSError: the folder cannot be written.
    """
    for left in (_old(path), path.with_name(path.name + files.NEW)):
        if not left.exists():
            continue
        if not (path.exists() and left.samefile(path)):  # Else killed before there was a new one.
            fd = os.open(left, os.O_RDWR | os.O_CLOEXEC)
            try:
                _overwrite(fd)
            finally:
                os.close(fd)
        left.unlink()
        files.sync_folder(path.parent)


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def _overwrite(fd: int) -> None:
    size = os.fstat(fd).st_size
    os.lseek(fd, 0, os.SEEK_SET)
    files.write_all(fd, bytes(size))
    os.fsync(fd)
