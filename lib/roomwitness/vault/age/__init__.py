"""The age v1 file format (c2sp.org/age): X25519, post-quantum, token and plugin recipients."""

from .file import CHUNK, Encryptor, decrypt, decrypt_prefix, decrypt_stream, encrypt
from .hybrid import HybridIdentity, HybridRecipient, generate_hybrid_identity
from .parse import (
    KnownIdentity,
    KnownRecipient,
    parse_identity,
    parse_recipient,
    post_quantum,
    try_recipient,
)
from .plugin import PluginRecipient
from .tag import TagRecipient
from .x25519 import Identity, Recipient, generate_identity

__all__ = [
    "CHUNK",
    "Encryptor",
    "HybridIdentity",
    "HybridRecipient",
    "Identity",
    "KnownIdentity",
    "KnownRecipient",
    "PluginRecipient",
    "Recipient",
    "TagRecipient",
    "decrypt",
    "decrypt_prefix",
    "decrypt_stream",
    "encrypt",
    "generate_hybrid_identity",
    "generate_identity",
    "parse_identity",
    "parse_recipient",
    "post_quantum",
    "try_recipient",
]
