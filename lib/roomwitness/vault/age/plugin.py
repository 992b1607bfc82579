"""Recipients that need a program of their own to encrypt (c2sp.org/age-plugin, "recipient-v1").

We are the client. The program gets the file key by its standard input, never by its arguments, has
ten seconds in all and nobody to ask. Opening is the ``age`` program's work, on the custodian's
computer.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

from roomwitness.vault.errors import AgeFormatError, IdentityInvalid, PluginFailed, PluginMissing

from . import bech32, header
from .header import Stanza
from .recipient import Wrapped

TIMEOUT = 10.0
"""Seconds that a plugin has for one file key."""

_NAME = re.compile(r"[a-z0-9+\-._]+")
_MAX_COMMANDS = 256
_MAX_LINE = 4096
# What a program of this computer may need; what else is in our environment is not its business.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
# Somebody would have to answer these, and nobody is there.
_ASKS = frozenset({"msg", "confirm", "request-public", "request-secret"})


@dataclass(frozen=True, slots=True)
class PluginRecipient:
    """A recipient of ``age-plugin-NAME``, written ``age1NAME1...``."""

    name: str
    text: str

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``age1NAME1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        text = text.strip()
        try:
            prefix, _ = bech32.decode(text)
        except ValueError:
            raise IdentityInvalid("not an age key") from None
        name = prefix.removeprefix("age1")
        if name == prefix or not _NAME.fullmatch(name) or text != text.lower():
            raise IdentityInvalid("not an age key")
        return cls(name, text)

    def __str__(self) -> str:
        return self.text

    @property
    def program(self) -> str | None:
        """Where the plugin is on ``PATH``; folders relative to the present one don't count."""
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        path = os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())
        return shutil.which(f"age-plugin-{self.name}", path=path)

    def wrap(self, file_key: bytes) -> Wrapped:
        """Let the plugin encrypt the file key; waits for it, at most ``TIMEOUT``.

        Raises:
            PluginMissing: it is not on ``PATH``.
            PluginFailed: it fails, asks for somebody, takes too long or does not keep to the
                protocol.
        """
        program = self.program
        if program is None:
            raise PluginMissing(f"age-plugin-{self.name} is not here", plugin=self.name)
        try:
            with _running(program) as (ask, answer):
                for stanza in (
                    Stanza(("add-recipient", self.text), b""),
                    Stanza(("wrap-file-key",), file_key),
                    Stanza(("extension-labels",), b""),
                    Stanza(("done",), b""),
                ):
                    ask.write(stanza.encode())
                ask.flush()
                return _answers(ask, answer)
        except (OSError, AgeFormatError) as err:
            raise PluginFailed(f"age-plugin-{self.name}: {err}", plugin=self.name) from None


@contextmanager
def _running(program: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Its standard input and output, for a while; afterwards nothing of it runs."""
    with subprocess.Popen(  # noqa: S603 (found on PATH by a name that is checked; no shell)
        [program, "--age-plugin=recipient-v1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    ) as process:
        # A killed plugin ends our reading and writing, whatever it was about to do.
        alarm = threading.Timer(TIMEOUT, _kill, (process.pid,))
        alarm.daemon = True
        alarm.start()
        try:
            yield cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        finally:
            alarm.cancel()
            alarm.join()
            _kill(process.pid)


def _kill(group: int) -> None:
    """End a plugin and whatever it started; it is not reaped yet, so the number is its own."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _answers(ask: IO[bytes], answer: IO[bytes]) -> Wrapped:
    """Phase 2, in which the plugin leads."""
    stanzas: list[Stanza] = []
    labels: tuple[str, ...] | None = None
    for _ in range(_MAX_COMMANDS):
        command = header.read_stanza(lambda: answer.readline(_MAX_LINE + 2))
        kind, args = command.args[0], command.args[1:]
        reply = "ok"
        if kind == "done":
            if not stanzas:
                raise AgeFormatError("it encrypted nothing")
            return Wrapped(tuple(stanzas), frozenset(labels or ()))
        if kind == "recipient-stanza":
            # One file key was sent, so its number is 0; a passphrase's stanza would stand alone.
            if len(args) < 2 or args[0] != "0" or args[1] == "scrypt":
                raise AgeFormatError("malformed recipient-stanza")
            stanzas.append(Stanza(args[1:], command.body))
        elif kind == "labels":
            if labels is not None or len(set(args)) != len(args):
                raise AgeFormatError("labels twice")
            labels = args
        elif kind == "error":
            # Its words stay out: they may hold anything, and our errors are logged.
            raise AgeFormatError("it reports an error")
        else:
            reply = "fail" if kind in _ASKS else "unsupported"
        ask.write(Stanza((reply,), b"").encode())
        ask.flush()
    raise AgeFormatError("it does not come to an end")
