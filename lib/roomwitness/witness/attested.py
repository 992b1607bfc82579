"""Receipts under a head that witnesses cosigned, once there is one: that is more than our word."""

from roomwitness.custody import LogTampered, ProofInvalid, TlogProof
from roomwitness.custody.checkpoints import newest_cosigned
from roomwitness.custody.receipt import with_proof

from .ledger import Ledger


def attested(ledger: Ledger, file: str) -> str:
    """The receipt with a proof under the newest cosigned head that has its entry; else as it is.

    Blocks on disk. One of a log that was set aside stays as it is too.
    """

    def prove(index: int, leaf: bytes) -> TlogProof:
        note = newest_cosigned(ledger.folder, index)
        if note is None:
            raise ProofInvalid("nobody cosigned it yet")
        return ledger.log.prove_under(index, leaf, note)

    try:
        return with_proof(file, prove)
    except ProofInvalid, LogTampered, OSError:
        return file
