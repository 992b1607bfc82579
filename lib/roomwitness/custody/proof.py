"""``tlog-proof`` files (c2sp.org/tlog-proof): an entry's place in the log, checked offline.

The optional ``extra`` carries the entry itself: the leaf's hash is made from it.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from .cosignature import Cosigned, cosignatures
from .entry import decode_entry
from .errors import LogTampered, ProofInvalid
from .merkle import leaf_hash, verify_inclusion
from .signing import Checkpoint, open_note, parse_vkey

HEADER = "c2sp.org/tlog-proof@v1"
_HASH = 32


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Entry ``index``, its audit path, the signed checkpoint, and the entry's line."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    leaf: bytes

    def text(self) -> str:
        """The file's text; its name should end in ``.tlog-proof``."""
        hashes = "".join(f"{base64.b64encode(node).decode()}\n" for node in self.path)
        extra = base64.b64encode(self.leaf).decode()
        return f"{HEADER}\nextra {extra}\nindex {self.index}\n{hashes}\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a file.

        Raises:
            ProofInvalid: it has not this form, or carries no entry.
        """
        head, separator, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        try:
            if not separator or lines[0] != HEADER or not lines[1].startswith("extra "):
                raise ProofInvalid("not a tlog-proof with its entry")
            word, _, number = lines[2].partition(" ")
            if word != "index" or str(int(number)) != number:
                raise ProofInvalid("its index is malformed")
            path = tuple(_decode(line) for line in lines[3:])
            leaf = _decode(lines[1].removeprefix("extra "))
        except ValueError, IndexError, binascii.Error:
            raise ProofInvalid("it is malformed") from None
        if any(len(node) != _HASH for node in path):
            raise ProofInvalid("a hash is malformed")
        return cls(int(number), path, checkpoint, leaf)

    def verify(self, vkey: str, witnesses: Sequence[str] = ()) -> Proven:
        """Check all of it with the site's published key, and that each of ``witnesses`` cosigned.

        Raises:
            ProofInvalid: it does not hold, or one of these verifier keys did not cosign it.
            LogTampered: a cosignature does not hold, or a key is malformed.
        """
        try:
            text = open_note(self.checkpoint, vkey)
            head = Checkpoint.parse(text)
            entry = decode_entry(self.leaf)
        except LogTampered as err:
            raise ProofInvalid(str(err)) from None
        leaf = leaf_hash(self.leaf)
        if not verify_inclusion(leaf, self.index, head.size, self.path, head.root):
            raise ProofInvalid("the entry is not in the tree that the checkpoint signs")
        found = {key: tuple(cosignatures(self.checkpoint, [key])) for key in witnesses}
        missing = ", ".join(parse_vkey(key)[0] for key, each in found.items() if not each)
        if missing:
            raise ProofInvalid(f"its checkpoint is not cosigned by {missing}")
        cosigned = tuple(one for each in found.values() for one in each)
        return Proven(self.index, head.origin, head.size, entry, cosigned)


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof shows: the entry, its place, the log, and who cosigned it when."""

    index: int
    origin: str
    size: int
    entry: dict[str, Any]
    cosigned: tuple[Cosigned, ...]


def _decode(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data
