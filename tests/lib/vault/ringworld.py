"""Key stores with custodians of their own, and children that die while changing them."""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roomwitness.vault import age, keys
from roomwitness.vault.errors import KeyMissing
from roomwitness.vault.keyfile import StoredKeys
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.wrapping import KeyRing, Rewrapped, Wrapping

from .conftest import fork

fork.set_forkserver_preload(["tests.lib.vault.conftest", "tests.lib.vault.ringworld"])


class Ring:
    """Key stores in a folder, and what is in them by rights."""

    def __init__(self, root: Path, ring: KeyRing) -> None:
        self.root = root
        self.ephemeral = KeyStore(root / "cache" / "ephemeral-keys.db")
        self.held = KeyStore(root / "held" / "held-keys.db")
        self.wrapping = Wrapping(self.ephemeral, self.held, ring)
        self.secrets: dict[str, str] = {}
        self.ephemeral.open()
        self.held.open()

    def begin(self) -> str:
        name = f"r{len(self.secrets)}"
        recipient, wraps = self.wrapping.ring.new_key()
        self.ephemeral.put(name, wraps)
        self.secrets[name] = str(recipient)
        return name

    def rewrap(self, limit: int = 200) -> Rewrapped:
        result = Rewrapped(more=True)
        while result.more:
            result = result.then(self.wrapping.rewrap(limit=limit))
        return result

    def opens(self, name: str, identity: age.Identity) -> bool:
        try:
            found = self.wrapping.by_custodian(name, identity)
        except KeyMissing:
            return False
        assert str(found.recipient) == self.secrets[name]
        return True

    def bytes(self) -> bytes:
        return b"".join(p.read_bytes() for p in sorted(self.root.rglob("*")) if p.is_file())

    def close(self) -> None:
        self.ephemeral.close()
        self.held.close()


class Doomed(sqlite3.Connection):
    """Dies by SIGKILL before so many more statements are run."""

    left = 0

    def execute(self, *args: Any) -> sqlite3.Cursor:
        if args[0].startswith(("BEGIN", "COMMIT", "DELETE")):
            Doomed.left -= 1
            if Doomed.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*args)


def killed_at_statement(step: int, work: Callable[[Path], None], root: Path) -> bool:
    child = fork.Process(target=_doomed, args=(step, work, root))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), "the child failed by itself"
    return child.exitcode != 0


def _doomed(step: int, work: Callable[[Path], None], root: Path) -> None:
    Doomed.left = step
    connect = sqlite3.connect

    class Module:
        def __getattr__(self, name: str) -> Any:
            return getattr(sqlite3, name)

        @staticmethod
        def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            return connect(*args, **kwargs, factory=Doomed)

    keys.sqlite3 = Module()  # type: ignore[attr-defined]
    work(root)
    os._exit(0)


def exchange(root: Path) -> None:
    """One custodian for another, and the site's key for a new one."""
    after = StoredKeys.load(root / "site.json")
    assert after is not None
    ring = Ring(root, after.ring)
    ring.rewrap(limit=1)
    ring.close()


def save(root: Path, *keys_: StoredKeys) -> None:
    """Write these key files, one after the other."""
    for stored in keys_:
        stored.save(root / "site.json")
