"""Recipients that need a program of their own to encrypt (c2sp.org/age-plugin, "recipient-v1").

We are the client. The program gets the file key by its standard input, never by its arguments, has
ten seconds in all and nobody to ask.
"""

import os
import time
from dataclasses import dataclass
from typing import Self

from roomwitness.vault.errors import AgeFormatError, PluginFailed

from . import process
from .header import Stanza
from .recipient import Wrapped

TIMEOUT = 10.0
"""Seconds that a plugin has for one file key."""
REST = 600.0
"""Seconds that a plugin which took too long is left alone: recordings begin meanwhile."""

# What a program of this computer may need; what else is in our environment is not its business.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
# When a plugin last took too long, by the monotonic clock.
_hung: dict[str, float] = {}


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
        return cls(process.plugin_name(text, "age1", "", upper=False), text)

    def __str__(self) -> str:
        return self.text

    @property
    def program(self) -> str | None:
        """Where the plugin is, if it is on ``PATH``."""
        return process.program(self.name)

    @property
    def rest(self) -> float:
        """Seconds for which it is still left alone, because it took too long."""
        return max(0.0, _hung.get(self.name, -REST) + REST - time.monotonic())

    def try_again(self) -> None:
        """Encrypt something though it may be left alone; if that works, it is not any longer.

        Raises:
            PluginMissing, PluginFailed: as ``wrap``.
        """
        self._talk(bytes(16))
        _hung.pop(self.name, None)

    def wrap(self, file_key: bytes) -> Wrapped:
        """Let the plugin encrypt the file key; waits for it, at most ``TIMEOUT``.

        Raises:
            PluginMissing: it is not on ``PATH``.
            PluginFailed: it fails, asks for somebody, takes too long, took too long less than
                ``REST`` ago, or does not keep to the protocol.
        """
        if self.rest:
            raise PluginFailed(f"age-plugin-{self.name} took too long", plugin=self.name)
        return self._talk(file_key)

    def _talk(self, file_key: bytes) -> Wrapped:
        begun = time.monotonic()
        answers = _Answers()
        told = (
            Stanza(("add-recipient", self.text), b""),
            Stanza(("wrap-file-key",), file_key),
            Stanza(("extension-labels",), b""),
        )
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            process.talk(self.name, "recipient-v1", told, answers.take, environment, TIMEOUT)
        except PluginFailed:
            if time.monotonic() - begun >= TIMEOUT:
                _hung[self.name] = time.monotonic()
            raise
        if not answers.stanzas:
            raise PluginFailed(f"age-plugin-{self.name} encrypted nothing", plugin=self.name)
        return Wrapped(tuple(answers.stanzas), frozenset(answers.labels or ()))


class _Answers:
    """What the plugin says in phase 2, in which it leads."""

    def __init__(self) -> None:
        self.stanzas: list[Stanza] = []
        self.labels: tuple[str, ...] | None = None

    def take(self, command: Stanza) -> Stanza:
        kind, args = command.args[0], command.args[1:]
        if kind == "recipient-stanza":
            # One file key was sent, so its number is 0; a passphrase's stanza would stand alone.
            if len(args) < 2 or args[0] != "0" or args[1] == "scrypt":
                raise AgeFormatError("malformed recipient-stanza")
            self.stanzas.append(Stanza(args[1:], command.body))
        elif kind == "labels":
            if self.labels is not None or len(set(args)) != len(args):
                raise AgeFormatError("labels twice")
            self.labels = args
        elif kind == "error":
            # Its words stay out: they may hold anything, and our errors are logged.
            raise AgeFormatError("it reports an error")
        else:
            return process.FAIL if kind in process.ASKS else process.UNSUPPORTED
        return process.OK
