"""Identities that a plugin opens, on a token or wherever (c2sp.org/age-plugin, "identity-v1").

For the custodian's own computer: somebody must be there to enter a PIN or touch the token.
"""

import os
from dataclasses import dataclass, field
from typing import Protocol, Self

from roomwitness.vault.errors import AgeFormatError

from . import process
from .header import Stanza, unb64

TIMEOUT = 300.0
"""Seconds that the plugin, and whoever it asks, has for one file."""

_FILE_KEY = 16


class Person(Protocol):
    """Whoever sits in front of the plugin; None says that they do not want to."""

    def tell(self, message: str) -> None:
        """Show what the plugin says."""

    def ask(self, message: str, *, secret: bool) -> str | None:
        """Let them enter something; ``secret`` is not shown while it is typed."""

    def choose(self, message: str, yes: str, no: str | None) -> bool | None:
        """Let them choose between two words, or confirm the one."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """An identity of ``age-plugin-NAME``, written ``AGE-PLUGIN-NAME-1...``."""

    name: str
    text: str = field(repr=False)
    person: Person = field(repr=False)

    @classmethod
    def from_string(cls, text: str, person: Person) -> Self:
        """Read ``AGE-PLUGIN-NAME-1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        text = text.strip()
        return cls(process.plugin_name(text, "age-plugin-", "-", upper=True), text, person)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Give the file key, or None if the stanza is not for this identity.

        Raises:
            PluginMissing: the plugin is not on ``PATH``.
            PluginFailed: the token is not there, the PIN is wrong, nobody answers, or it breaks the
                protocol.
        """
        answers = _Answers(self.name, self.person)
        told = (
            Stanza(("add-identity", self.text), b""),
            Stanza(("recipient-stanza", "0", *stanza.args), stanza.body),
        )
        # Not a reduced environment: this is a person's own session, with its token daemon.
        process.talk(self.name, "identity-v1", told, answers.take, os.environ, TIMEOUT)
        return answers.file_key


class _Answers:
    """What the plugin says in phase 2, in which it leads."""

    def __init__(self, name: str, person: Person) -> None:
        self._name = name
        self._person = person
        self.file_key: bytes | None = None

    def take(self, command: Stanza) -> Stanza:
        kind, args = command.args[0], command.args[1:]
        if kind == "file-key":
            if args != ("0",) or self.file_key is not None or len(command.body) != _FILE_KEY:
                raise AgeFormatError("malformed file-key")
            self.file_key = command.body
            return process.OK
        message = command.body.decode(errors="replace")
        if kind == "error":
            self._person.tell(f"age-plugin-{self._name}: {message}")
            raise AgeFormatError("it reports an error")
        return self._asked(kind, args, message) if kind in process.ASKS else process.UNSUPPORTED

    def _asked(self, kind: str, args: tuple[str, ...], message: str) -> Stanza:
        if kind == "msg":
            self._person.tell(message)
            return process.OK
        if kind == "confirm":
            if len(args) not in (1, 2):
                raise AgeFormatError("malformed confirm")
            yes, *no = (unb64(word).decode(errors="replace") for word in args)
            chosen = self._person.choose(message, yes, no[0] if no else None)
            return (
                process.FAIL if chosen is None else Stanza(("ok", "yes" if chosen else "no"), b"")
            )
        entered = self._person.ask(message, secret=kind == "request-secret")
        return process.FAIL if entered is None else Stanza(("ok",), entered.encode())
