"""What a log posts to a witness, and what comes back (c2sp.org/tlog-witness, "add-checkpoint")."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .cosignature import cosignatures
from .errors import LogTampered, ProofInvalid
from .signing import parse_vkey

PATH = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
_MAX_PROOF = 63
_HASH = 32


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, and the proof that it continues the one of ``old`` entries."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """The request's body."""
        proof = "".join(f"{base64.b64encode(node).decode()}\n" for node in self.proof)
        return f"old {self.old}\n{proof}\n{self.note}".encode()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request's body.

        Raises:
            ProofInvalid: it is malformed.
        """
        try:
            head, separator, note = body.decode().partition("\n\n")
            first, *lines = head.split("\n")
            word, _, number = first.partition(" ")
            old = int(number)
            proof = tuple(base64.b64decode(line, validate=True) for line in lines)
            same = base64_lines(proof) == lines and str(old) == number
        except ValueError, binascii.Error:
            raise ProofInvalid("the request is malformed") from None
        if not separator or word != "old" or old < 0 or not same:
            raise ProofInvalid("the request is malformed")
        if len(proof) > _MAX_PROOF or any(len(node) != _HASH for node in proof):
            raise ProofInvalid("the proof is malformed")
        return cls(old, proof, note)


def base64_lines(nodes: Sequence[bytes]) -> list[str]:
    """Hashes as they are written."""
    return [base64.b64encode(node).decode() for node in nodes]


def parse_size(body: bytes) -> int:
    """The size in a witness's answer 409.

    Raises:
        ProofInvalid: it is malformed.
    """
    text = body.decode("ascii", "replace")
    if not text.endswith("\n") or not text[:-1].isdecimal() or len(text) > 20:
        raise ProofInvalid("the witness's answer is malformed")
    return int(text)


def taken_cosignature(note: str, answer: bytes, vkey: str) -> str:
    """The line, newline included, by which this witness cosigns the checkpoint; others are ignored.

    Raises:
        ProofInvalid: it is not there or does not hold.
    """
    try:
        name, identifier, _, _ = parse_vkey(vkey)
        for line in answer.decode().splitlines(keepends=True):
            words = line.split(" ")
            blob = base64.b64decode(words[2], validate=False) if len(words) == 3 else b""
            if words[1:2] == [name] and blob[:4] == identifier:
                if next(cosignatures(note + line, [vkey]), None) is None:
                    break
                return line
    except LogTampered, ValueError, binascii.Error:
        raise ProofInvalid("the witness's answer does not hold") from None
    raise ProofInvalid("the witness's answer has no cosignature of its key")
