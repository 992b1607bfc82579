"""The custody log: append-only, signed, and checked by anyone."""

from .entry import encode_entry
from .errors import LogTampered, LogUnwritable, ProofInvalid
from .log import CustodyLog
from .proof import Proven, TlogProof
from .receipt import Certificate, certify, receipt_file, verify_receipt
from .signing import SiteSigner
from .verify import Verified, prove_entry, verify_log

__all__ = [
    "Certificate",
    "CustodyLog",
    "LogTampered",
    "LogUnwritable",
    "ProofInvalid",
    "Proven",
    "SiteSigner",
    "TlogProof",
    "Verified",
    "certify",
    "encode_entry",
    "prove_entry",
    "receipt_file",
    "verify_log",
    "verify_receipt",
]
