"""The age v1 file format with X25519 recipients (c2sp.org/age)."""

from .file import Encryptor, decrypt, decrypt_prefix, decrypt_stream, encrypt
from .x25519 import Identity, Recipient, generate_identity

__all__ = [
    "Encryptor",
    "Identity",
    "Recipient",
    "decrypt",
    "decrypt_prefix",
    "decrypt_stream",
    "encrypt",
    "generate_identity",
]
