"""What every kind of recipient and identity can do, and the labels that keep kinds apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from roomwitness.vault.errors import RecipientsMixed

from .header import Stanza

POST_QUANTUM = "postquantum"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A file key for one recipient, and with whom it may share a file.

    All recipients of a file have the same labels (c2sp.org/age-plugin, "recipient-v1"), so that a
    recipient that a quantum computer opens does not undo one that it does not.
    """

    stanzas: tuple[Stanza, ...]
    labels: frozenset[str] = frozenset()


class AnyRecipient(Protocol):
    """Whom a file can be encrypted to; ``str()`` of it is its public text."""

    def wrap(self, file_key: bytes) -> Wrapped:
        """Encrypt the file key; may run a program, so never in an event loop."""


class AnyIdentity(Protocol):
    """What can open a file."""

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Give the file key, or None if the stanza is not for this identity."""


def together(wrapped: Iterable[Wrapped]) -> list[Stanza]:
    """Every stanza of one file.

    Raises:
        RecipientsMixed: these recipients may not share a file.
    """
    found = list(wrapped)
    if len({one.labels for one in found}) > 1:
        raise RecipientsMixed("recipients that may not share a file")
    return [stanza for one in found for stanza in one.stanzas]
