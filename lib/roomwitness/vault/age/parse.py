"""Which kind of key a text is: the one place that knows all kinds."""

from functools import lru_cache

from roomwitness.vault.errors import IdentityOnToken

from .hybrid import HybridIdentity, HybridRecipient
from .plugin import PluginRecipient
from .recipient import AnyIdentity
from .tag import TagRecipient
from .token import Person, TokenIdentity
from .x25519 import Identity, Recipient

type KnownRecipient = Recipient | HybridRecipient | TagRecipient | PluginRecipient
type KnownIdentity = Identity | HybridIdentity


@lru_cache(256)
def parse_recipient(text: str) -> KnownRecipient:
    """Read a recipient of any kind: ``age1...``, ``age1pq1...``, ``age1tag1...``, ``age1NAME1...``.

    Raises:
        IdentityInvalid: it is none of them.
    """
    match text.strip().rpartition("1")[0]:
        case "age":
            return Recipient.from_string(text)
        case "age1pq":
            return HybridRecipient.from_string(text)
        case "age1tag":
            return TagRecipient.from_string(text)
        case _:
            return PluginRecipient.from_string(text)


def try_recipient(text: str) -> None:
    """Encrypt something to a recipient that a person enters; runs its plugin, if it has one.

    Raises:
        IdentityInvalid: it is none.
        PluginMissing, PluginFailed: what only its plugin can do is not done.
    """
    recipient = parse_recipient(text)
    if isinstance(recipient, PluginRecipient):
        recipient.try_again()
    else:
        recipient.wrap(bytes(16))


def parse_identity(text: str) -> KnownIdentity:
    """Read ``AGE-SECRET-KEY-1...`` or ``AGE-SECRET-KEY-PQ-1...``.

    Raises:
        IdentityOnToken: the secret is in a token, and nobody is asked for it here.
        IdentityInvalid: it is neither.
    """
    prefix = text.strip().rpartition("1")[0]
    if prefix.startswith("AGE-PLUGIN-"):
        raise IdentityOnToken("this identity opens with its plugin, on its owner's computer")
    if prefix == "AGE-SECRET-KEY-PQ-":
        return HybridIdentity.from_string(text)
    return Identity.from_string(text)


def parse_custodian(text: str, person: Person) -> AnyIdentity:
    """Read an identity of any kind, ``AGE-PLUGIN-NAME-1...`` too, with somebody there to ask.

    Raises:
        IdentityInvalid: it is none.
    """
    if text.strip().startswith("AGE-PLUGIN-"):
        return TokenIdentity.from_string(text, person)
    return parse_identity(text)


def post_quantum(recipient: KnownRecipient) -> bool:
    """Whether a quantum computer would not open what is encrypted to this recipient."""
    return isinstance(recipient, HybridRecipient) or (
        isinstance(recipient, PluginRecipient) and recipient.name == "tagpq"
    )
