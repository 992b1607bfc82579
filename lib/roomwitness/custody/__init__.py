"""The custody log: append-only, signed, and checked by anyone."""

from .bound import Bound, SealedFile, files_root, last_bound, rows_root
from .checkpoints import Checkpoints
from .entry import decode_entry, encode_entry
from .errors import LogTampered, LogUnwritable, ProofInvalid
from .log import CustodyLog
from .proof import Proven, TlogProof
from .receipt import Certificate, certify, receipt_file, verify_receipt
from .sealed import (
    Account,
    disagreements,
    hold_disagreements,
    read_account,
    read_again,
    verify_files,
)
from .signing import SiteSigner
from .verify import Verified, prove_entry, verify_log
from .witnessed import witnessed

__all__ = [
    "Account",
    "Bound",
    "Certificate",
    "Checkpoints",
    "CustodyLog",
    "LogTampered",
    "LogUnwritable",
    "ProofInvalid",
    "Proven",
    "SealedFile",
    "SiteSigner",
    "TlogProof",
    "Verified",
    "certify",
    "decode_entry",
    "disagreements",
    "encode_entry",
    "files_root",
    "hold_disagreements",
    "last_bound",
    "prove_entry",
    "read_account",
    "read_again",
    "receipt_file",
    "rows_root",
    "verify_files",
    "verify_log",
    "verify_receipt",
    "witnessed",
]
