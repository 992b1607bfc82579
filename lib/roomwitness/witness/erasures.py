"""Erasures carried out together: as many as are due cost the syncs of one.

Order: custody log (begun), keys, files, verification, certificates, custody log (erased, with the
certificates' digests), checkpoint, then rows exchanged for receipts. A kill anywhere leaves what is
erased again, and the log ahead of the index. What cannot be erased now is tried again, at ever
longer intervals up to a minute, and is told until it is gone.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roomwitness import __version__
from roomwitness.custody import Certificate, LogUnwritable, certify, encode_entry, receipt_file
from roomwitness.policy.meeting import Erase, advance
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault import Receipt
from roomwitness.vault.erasure import Erased
from roomwitness.vault.store import Vault

from .copies import Copies
from .ledger import Ledger
from .status import Problem

_LOGGER = logging.getLogger(__name__)

_LONGEST_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Due:
    """A meeting to erase, and the disposal decision that says so."""

    meeting: Meeting
    decision: str
    policy: RoomPolicy


@dataclass(slots=True)
class _Failure:
    room_id: str
    key: str
    wait: timedelta
    again: datetime


class Erasures:
    """Carries erasures out; blocks on disk, in the conductor's one worker thread."""

    def __init__(self, vault: Vault, ledger: Ledger, origin: str) -> None:
        self.copies = Copies(vault, ledger)
        self._vault = vault
        self._ledger = ledger
        self._origin = origin
        self._failed: dict[str, _Failure] = {}

    def problems(self) -> Iterable[Problem]:
        """What could not be erased, by room."""
        failed = tuple(self._failed.values())
        yield from self.copies.problems()
        for room_id, count in sorted(Counter(f.room_id for f in failed).items()):
            yield Problem(key="erasure_failed", room_id=room_id, placeholders={"count": str(count)})

    def run(self, wanted: Sequence[Due], now: datetime) -> list[Receipt]:
        """Erase what is due; gives the receipts of what is gone.

        Raises:
            VaultUnwritable, StoreError: the index cannot be read; nothing is lost, try again.
            LogUnwritable: keys and files are gone, the receipts wait for room in the log.
        """
        now_wanted = [due for due in wanted if self._ready(due.meeting.id, now)]
        after = {
            due.meeting.id: advance(due.meeting, Erase(), now, due.policy) for due in now_wanted
        }
        done = [self._vault.receipt_of(meeting_id) for meeting_id in after]
        finished = [receipt for receipt in done if receipt is not None]
        for receipt in finished:  # An older version's kill left the receipt without the state.
            self._vault.save_meeting(after[receipt.meeting_id])
        known = {receipt.meeting_id for receipt in finished}
        fresh = [due for due in now_wanted if due.meeting.id not in known]
        if fresh:
            finished += self._erase(fresh, now)
        for receipt in finished:
            self._failed.pop(receipt.meeting_id, None)
            self._ledger.forget(after[receipt.meeting_id], receipt, now)
        if finished:
            self.copies.refresh()
        return finished

    def _ready(self, meeting_id: str, now: datetime) -> bool:
        failure = self._failed.get(meeting_id)
        # A clock that was set back must not make it wait.
        return failure is None or not (now < failure.again <= now + _LONGEST_WAIT)

    def _erase(self, wanted: Sequence[Due], now: datetime) -> list[Receipt]:
        begun = [
            encode_entry(
                "erasure_begun", now, {"meeting": due.meeting.id, "decision": due.decision}
            )
            for due in wanted
            if due.meeting.id not in self._failed
        ]
        # A log that cannot be written (a full disk) must not keep what has to go.
        with suppress(LogUnwritable):
            self._ledger.note_all(begun)
        if any(due.meeting.holds for due in wanted):
            self.copies.watch(now)  # A wrap that outlived its hold ends here.
        results = self._vault.destroy([due.meeting.id for due in wanted])
        gone: list[tuple[Receipt, Certificate]] = []
        failed: list[bytes] = []
        for due in wanted:
            result = results[due.meeting.id]
            if isinstance(result, Erased):
                receipt = self._vault.receipt(due.meeting, result, now, due.decision)
                facts = self._facts(due.meeting, receipt, result)
                gone.append((receipt, certify(self._ledger.signer, facts)))
                continue
            if due.meeting.id not in self._failed:
                fields = {"meeting": due.meeting.id, "error": result.key}
                failed.append(encode_entry("erasure_failed", now, fields))
            self._note_failure(due.meeting, result.key, now)
        with suppress(LogUnwritable):
            self._ledger.note_all(failed)
        self._keep(gone, now)
        return [receipt for receipt, _ in gone]

    def _note_failure(self, meeting: Meeting, key: str, now: datetime) -> None:
        before = self._failed.get(meeting.id)
        if before is None:
            _LOGGER.warning("An erasure could not be carried out, trying again: %s", key)
        wait = min(before.wait * 2, _LONGEST_WAIT) if before else timedelta(seconds=1)
        self._failed[meeting.id] = _Failure(meeting.room_id, key, wait, now + wait)

    def _keep(self, gone: Sequence[tuple[Receipt, Certificate]], now: datetime) -> None:
        """Log the erasures, prove the entries, and exchange the rows for receipts."""
        if not gone:
            return
        leaves = [encode_entry("erased", now, _fields(r, c.digest)) for r, c in gone]
        first = self._ledger.note_all(leaves)
        proofs = self._ledger.prove_all(list(enumerate(leaves, first)))
        self._ledger.keep_checkpoint(now)
        self._ledger.catch_up()  # When its holds were released is asked later too (copies.py).
        self._vault.receive(
            [
                (receipt, receipt_file(certificate, proof))
                for (receipt, certificate), proof in zip(gone, proofs, strict=True)
            ]
        )

    def _facts(self, meeting: Meeting, receipt: Receipt, erased: Erased) -> dict[str, Any]:
        """The certificate: NIST SP 800-88r2, appendix on the certificate of sanitization."""
        return {
            "receipt": receipt.id,
            "site": self._origin,
            "meeting": meeting.id,
            "room": meeting.room_id,
            "recordings": list(erased.recordings),
            "segments": receipt.segments,
            "bytes": receipt.bytes,
            "ended": _iso(meeting.ended),
            "deadline": _iso(meeting.deadline),
            "erased_at": _iso(receipt.erased_at),
            "sanitization": "purge",
            "method": receipt.method,
            "verification": list(erased.verification),
            "decision": receipt.decision,
            "holds": [
                {
                    "kind": hold.kind,
                    "placed": _iso(hold.created),
                    "released": _iso(hold.released),
                }
                for hold in meeting.holds
            ],
            "backups_with_custodians_key": self.copies.of(meeting, receipt.erased_at),
            "tool": "Room Witness",
            "version": __version__,
        }


def _fields(receipt: Receipt, digest: str) -> dict[str, str | int | float | bool | None]:
    return {
        "meeting": receipt.meeting_id,
        "receipt": receipt.id,
        "recordings": receipt.recordings,
        "segments": receipt.segments,
        "bytes": receipt.bytes,
        "method": receipt.method,
        "decision": receipt.decision,
        "certificate": digest,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()
