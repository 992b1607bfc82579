"""Whom recordings are wrapped for, now and when that changes.

What should be (the ring) is compared with what is (the two key stores), and the difference is
closed; so a kill at any instant is finished by the next call. New wraps and the removal of old
ones are one transaction for each store, so there is no moment in which nobody can open.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace

from roomwitness.errors import WitnessError

from . import age
from .erasure import bytes_absent, needle
from .errors import AgeFormatError, IdentityInvalid, KeyMissing, RecordingSealed
from .keys import CUSTODIAN, SITE, Holder, KeyStore, Wraps, new_recording_key, wrap

_BATCH = 200

# A recording, whom for, and the new wrap; None: the one that is there goes.
type Change = tuple[str, Holder, bytes | None]
# The identity of a recording, or None if it cannot be opened here.
type Opener = Callable[[str], age.KnownIdentity | None]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The site's key, the one that it replaces while wraps are moved, and the custodians.

    A ``sealed`` site wraps new recordings for the custodians only. ``retired`` are ids of
    custodians whose wraps go. Wraps for keys that are in neither list are left alone.
    """

    site: age.Identity
    custodians: tuple[age.KnownRecipient, ...]
    sealed: bool = False
    previous: age.Identity | None = None
    retired: frozenset[str] = frozenset()

    @property
    def own(self) -> dict[Holder, age.Identity]:
        """The site's identities by what the stores call them."""
        found = (self.site, self.previous)
        return {Holder.site(i.recipient): i for i in found if i is not None}

    def new_key(self) -> tuple[age.KnownRecipient, Wraps]:
        """Make a recording's key pair.

        Raises:
            CustodiansUnusable: nobody could open the recording.
        """
        return new_recording_key(None if self.sealed else self.site.recipient, self.custodians)


@dataclass(frozen=True, slots=True)
class Step:
    """What one recording's wraps in one store lack, and have too much."""

    recording: str
    have: frozenset[Holder]
    add: frozenset[Holder]
    drop: frozenset[Holder]

    def droppable(self, made: Set[Holder]) -> frozenset[Holder]:
        """What may go once these were made: never the last one of its kind."""
        left = (self.have | made) - self.drop
        kinds = {holder.kind for holder in left}
        return frozenset(holder for holder in self.drop if holder.kind in kinds)


def plan(
    here: Mapping[str, frozenset[Holder]],
    custodians: frozenset[Holder],
    retired: frozenset[Holder],
    site: Holder | None = None,
    previous: Holder | None = None,
) -> Iterator[Step]:
    """Compare one store with what should be.

    The site gets a wrap only in place of one for its previous key: what was sealed stays sealed.
    Wraps for keys that nobody knows are left: they may come back.
    """
    for recording, have in here.items():
        moved = {previous} & have if previous is not None else set()
        wanted = custodians | ({site} if moved and site is not None else set())
        drop = (retired & have) | moved
        if wanted - have or drop:
            yield Step(recording, have, frozenset(wanted - have), frozenset(drop))


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What was changed, and what could not be.

    ``waiting`` counts recordings that still lack a custodian's wrap, ``kept`` those that only a
    retired custodian (or the site's previous key) can open; both by key id.
    """

    added: int = 0
    removed: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    more: bool = False

    def then(self, later: Rewrapped) -> Rewrapped:
        """This and what was done after it, together."""
        return replace(later, added=self.added + later.added, removed=self.removed + later.removed)


class Wrapping:
    """The key stores as one: what lies in them, for whom."""

    def __init__(self, ephemeral: KeyStore, held: KeyStore, ring: KeyRing) -> None:
        self._ephemeral = ephemeral
        self._held = held
        self.ring = ring
        # A custodian's identity, lent while Home Assistant is stopped.
        self.lent: age.AnyIdentity | None = None

    def identity(self, recording_id: str) -> age.KnownIdentity:
        """The recording's identity, opened by the site's key, or the one that was lent.

        Raises:
            RecordingSealed: only a custodian can.
            KeyMissing: the wraps are destroyed or lost, or for another site's key.
        """
        wraps = self._ephemeral.get(recording_id) or self._held.get(recording_id)
        if wraps is None:
            raise KeyMissing("the recording's key is not here")
        if wraps.site is None and self.lent is not None:
            with suppress(KeyMissing):
                return self.by_custodian(recording_id, self.lent)
        if wraps.site is None:
            raise RecordingSealed
        for holder, identity in self.ring.own.items():
            if holder in wraps.files:
                return _opened(wraps.files[holder], identity)
        raise KeyMissing("the recording's key is wrapped for another site key")

    def by_custodian(self, recording_id: str, custodian: age.AnyIdentity) -> age.KnownIdentity:
        """The recording's identity, opened by a custodian.

        Raises:
            KeyMissing: the wraps are destroyed, or none is for this custodian.
        """
        stores = (self._held, self._ephemeral)
        for wraps in filter(None, (store.get(recording_id) for store in stores)):
            for file in wraps.custodians.values():
                try:
                    return _opened(file, custodian)
                except KeyMissing:
                    continue
        raise KeyMissing("this identity opens none of the recording's wraps")

    def hold(self, recording_id: str) -> None:
        """Copy the custodians' wraps into the store that backups take."""
        wraps = self._ephemeral.get(recording_id)
        if wraps is not None:
            self._held.put(recording_id, wraps.for_backups)

    def forget_site(self, keep: Holder | None = None) -> None:
        """Remove every wrap for a site but one: the keys of the others are lost.

        Raises:
            VaultUnwritable.
        """
        found = [
            (recording, holder, None)
            for recording, holders in self._ephemeral.holders().items()
            for holder in holders
            if holder.kind == SITE and holder != keep
        ]
        self._ephemeral.change(found)

    def rewrap(self, opened: Opener | None = None, limit: int = _BATCH) -> Rewrapped:
        """Close the difference between ring and stores, for so many recordings at most.

        ``opened`` opens recordings; without it the site's key does.

        Raises:
            VaultUnwritable: a store cannot be changed, or what was removed is still on disk.
        """
        opened = opened or self._opened_here
        custodians = {Holder.custodian(r): r for r in self.ring.custodians}
        recipients: dict[Holder, age.KnownRecipient] = {
            **custodians,
            Holder.site(self.ring.site.recipient): self.ring.site.recipient,
        }
        retired = frozenset(Holder(CUSTODIAN, key) for key in self.ring.retired)
        batch = _Batch(recipients, opened)
        for store, own in ((self._held, ()), (self._ephemeral, tuple(self.ring.own))):
            for step in plan(store.holders(), frozenset(custodians), retired, *own):
                if batch.changed == limit:
                    break
                batch.take(step)
            needles = self._needles(store, batch.changes)
            store.change(batch.changes)
            bytes_absent((store,), needles)
            batch.changes.clear()
        return batch.result(more=batch.changed == limit)

    def _opened_here(self, recording_id: str) -> age.KnownIdentity | None:
        try:
            return self.identity(recording_id)
        except KeyMissing, AgeFormatError, IdentityInvalid:
            return None

    @staticmethod
    def _needles(store: KeyStore, changes: list[Change]) -> list[bytes]:
        found = []
        for recording, holder, file in changes:
            wraps = store.get(recording) if file is None else None
            if wraps is not None:
                found.append(needle(wraps.files[holder]))
        return found


class _Batch:
    """Makes the wraps that steps want, and counts."""

    def __init__(self, recipients: Mapping[Holder, age.KnownRecipient], opened: Opener) -> None:
        self._recipients = recipients
        self._opened = opened
        self._failing: set[Holder] = set()
        self.changes: list[Change] = []
        self.changed = 0
        self._counts: Counter[bool] = Counter()
        self._waiting: dict[str, set[str]] = {}
        self._kept: dict[str, set[str]] = {}

    def take(self, step: Step) -> None:
        """Do what can be done of it, and note the rest."""
        made = self._made(step)
        gone = step.droppable(made.keys())
        changes: list[Change] = [(step.recording, holder, file) for holder, file in made.items()]
        changes += [(step.recording, holder, None) for holder in sorted(gone)]
        self.changes += changes
        self.changed += bool(changes)
        self._counts.update(file is not None for _, _, file in changes)
        for counted, holders in (
            (self._waiting, step.add - made.keys()),
            (self._kept, step.drop - gone),
        ):
            for holder in holders:
                counted.setdefault(holder.key, set()).add(step.recording)

    def _made(self, step: Step) -> dict[Holder, bytes]:
        wanted = sorted(step.add - self._failing)
        identity = self._opened(step.recording) if wanted else None
        made: dict[Holder, bytes] = {}
        if identity is None:
            return made
        for holder in wanted:
            try:
                made[holder] = wrap(identity, self._recipients[holder])
            except WitnessError, OSError:  # A plugin's recipient may fail: not again in this batch.
                self._failing.add(holder)
        return made

    def result(self, *, more: bool) -> Rewrapped:
        """What came of it."""
        return Rewrapped(
            added=self._counts[True],
            removed=self._counts[False],
            waiting={key: len(found) for key, found in sorted(self._waiting.items())},
            kept={key: len(found) for key, found in sorted(self._kept.items())},
            more=more,
        )


def _opened(file: bytes, identity: age.AnyIdentity) -> age.KnownIdentity:
    return age.parse_identity(age.decrypt(file, [identity]).decode())
