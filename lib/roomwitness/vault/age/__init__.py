"""The age v1 file format (c2sp.org/age): X25519, post-quantum, token and plugin recipients."""

from .file import CHUNK, Encryptor, decrypt, decrypt_prefix, decrypt_stream, encrypt
from .hybrid import HybridIdentity, HybridRecipient, generate_hybrid_identity
from .parse import (
    KnownIdentity,
    KnownRecipient,
    parse_custodian,
    parse_identity,
    parse_recipient,
    post_quantum,
    try_recipient,
)
from .plugin import PluginRecipient
from .recipient import AnyIdentity
from .tag import TagRecipient
from .token import Person, TokenIdentity
from .x25519 import Identity, Recipient, generate_identity

__all__ = [
    "CHUNK",
    "AnyIdentity",
    "Encryptor",
    "HybridIdentity",
    "HybridRecipient",
    "Identity",
    "KnownIdentity",
    "KnownRecipient",
    "Person",
    "PluginRecipient",
    "Recipient",
    "TagRecipient",
    "TokenIdentity",
    "decrypt",
    "decrypt_prefix",
    "decrypt_stream",
    "encrypt",
    "generate_hybrid_identity",
    "generate_identity",
    "parse_custodian",
    "parse_identity",
    "parse_recipient",
    "post_quantum",
    "try_recipient",
]
