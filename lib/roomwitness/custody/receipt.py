"""Receipts of erasure: a signed certificate, and the proof that the log says the same.

The certificate follows NIST SP 800-88r2's certificate of sanitization. The file is a signed note
(c2sp.org/signed-note) with the certificate as JSON, an empty line, and a tlog-proof of the log's
entry, which names the certificate's digest. It is checked with the site's public key alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .errors import LogTampered, ProofInvalid
from .proof import HEADER, Proven, TlogProof
from .signing import SiteSigner, open_note

FORM = "roomwitness/erasure-receipt/v1"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The signed note, and the digest of its text that the log's entry names."""

    note: str
    digest: str


def certify(signer: SiteSigner, facts: Mapping[str, Any]) -> Certificate:
    """Sign what was erased, when, how and why."""
    text = f"{FORM}\n{json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)}\n"
    return Certificate(signer.sign(text), sha256(text.encode()).hexdigest())


def receipt_file(certificate: Certificate, proof: TlogProof) -> str:
    """The file that is kept and handed out."""
    return f"{certificate.note}\n{proof.text()}"


def with_proof(file: str, prove: Callable[[int, bytes], TlogProof]) -> str:
    """The same receipt with another proof of its entry, of that index and line.

    Raises:
        ProofInvalid: it is malformed.
    """
    note, separator, proof = file.partition(f"\n{HEADER}\n")
    if not separator:
        raise ProofInvalid("not a receipt")
    old = TlogProof.parse(f"{HEADER}\n{proof}")
    return f"{note}\n{prove(old.index, old.leaf).text()}"


def verify_receipt(
    file: str, vkey: str, witnesses: Sequence[str] = ()
) -> tuple[dict[str, Any], Proven]:
    """Check a receipt offline; gives the certificate and what the proof shows.

    Raises:
        ProofInvalid: it is malformed, was changed, is not this site's, or one of ``witnesses``
            (verifier keys) did not cosign the head that its proof is under.
    """
    note, separator, proof = file.partition(f"\n{HEADER}\n")
    if not separator:
        raise ProofInvalid("not a receipt")
    try:
        text = open_note(note, vkey)
    except LogTampered as err:
        raise ProofInvalid(str(err)) from None
    form, _, body = text.partition("\n")
    try:
        facts = dict(json.loads(body))
    except ValueError, TypeError:
        raise ProofInvalid("not a receipt") from None
    proven = TlogProof.parse(f"{HEADER}\n{proof}").verify(vkey, witnesses)
    entry = proven.entry
    digest = sha256(text.encode()).hexdigest()
    if form != FORM or entry["kind"] != "erased" or entry.get("certificate") != digest:
        raise ProofInvalid("the log's entry is not this certificate's")
    return facts, proven
