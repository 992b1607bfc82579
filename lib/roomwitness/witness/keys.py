"""Custodians and the site's own key: changed one at a time, logged, and closed after a kill.

Order of a change: custody log, key file, ring, wraps. What the key file says is what should be;
the wraps follow it, now and at every start, and where the log said otherwise (a kill came between)
the start logs how it is.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from roomwitness.custody.adopted import told
from roomwitness.errors import WitnessError
from roomwitness.vault.age import PluginRecipient, generate_identity, parse_recipient
from roomwitness.vault.errors import disk_error
from roomwitness.vault.keyfile import Custodian, StoredKeys, destroy_old
from roomwitness.vault.keys import Holder
from roomwitness.vault.store import Vault
from roomwitness.vault.wrapping import Rewrapped

from .errors import CustodianKnown, CustodianNotFound, LastCustodian
from .keys_told import AS_FOUND, TELLING, otherwise
from .ledger import Ledger
from .status import Problem
from .upkeep import Upkeep

# What could not be wrapped is tried again so often: a hold, an erasure or a plugin changes it.
_AGAIN = timedelta(minutes=1)


class Keys:
    """Who may open what; ``lock`` is the conductor's, and let go between batches of wraps."""

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        upkeep: Upkeep,
        lock: asyncio.Lock,
        clock: Callable[[], datetime],
        stored: StoredKeys,
        path: Path,
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._upkeep = upkeep
        self._lock = lock
        self._clock = clock
        self._stored = stored
        self._path = path
        self._left = Rewrapped()
        self._broken: dict[str, str] = {}
        self._looked: datetime | None = None
        self._closed = 0

    @property
    def stored(self) -> StoredKeys:
        """The keys as they are now."""
        return self._stored

    @property
    def custodians(self) -> tuple[Custodian, ...]:
        """Those for whom recordings are wrapped."""
        return self._stored.custodians

    async def add_custodian(self, recipient: str, label: str = "") -> Rewrapped:
        """Wrap new recordings for one more, and what there is as far as the site can open it.

        Raises:
            IdentityInvalid: it is no recipient.
            CustodianKnown: recordings are wrapped for it already.
            LogUnwritable, VaultUnwritable, VaultFull: try again; what is there opens as before.
        """
        added = Custodian(str(parse_recipient(recipient)), label)
        async with self._lock:
            if added.id in {custodian.id for custodian in self.custodians}:
                raise CustodianKnown
            await self._change(self._stored.adding(added), "custodian_added", custodian=added.id)
        return await self._settle()

    async def retire_custodian(self, custodian_id: str) -> Rewrapped:
        """Wrap nothing more for this one, and remove their wraps where somebody else can open.

        Raises:
            CustodianNotFound: no such custodian is active.
            LastCustodian: there is no other.
            LogUnwritable, VaultUnwritable, VaultFull: try again.
        """
        async with self._lock:
            if custodian_id not in {custodian.id for custodian in self.custodians}:
                raise CustodianNotFound
            if len(self.custodians) == 1:
                raise LastCustodian
            after = self._stored.retiring(custodian_id)
            await self._change(after, "custodian_retired", custodian=custodian_id)
        return await self._settle()

    async def rotate_site_key(self) -> Rewrapped:
        """Make a new key for this site, move every wrap of the old one to it, and destroy that.

        A rotation that was broken off is finished, and no other is begun.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull: try again; both keys open until then.
        """
        async with self._lock:
            if self._stored.previous_site_identity is None:
                after = self._stored.rotating(generate_identity())
                ids = {"site": after.site_id, "before": self._stored.site_id}
                await self._change(after, "site_key_rotation_begun", **ids)
        return await self._settle()

    async def set_sealed(self, sealed: bool) -> None:
        """Wrap new recordings for the custodians only, or for this site too.

        What there is stays as it was made.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull: try again.
        """
        async with self._lock:
            if sealed is not self._stored.sealed:
                mode = "sealed" if sealed else "assisted"
                after = replace(self._stored, sealed=sealed)
                await self._change(after, "mode_changed", mode=mode)

    async def _change(self, after: StoredKeys, kind: str, **fields: str | bool) -> None:
        def change() -> None:
            self._ledger.note(kind, self._clock(), **fields)
            self._save(after)

        await self._upkeep.run(change)

    def _save(self, after: StoredKeys) -> None:
        try:
            after.save(self._path)
        except OSError as err:
            raise disk_error(err) from None
        self._stored = after
        self._vault.keys.ring = after.ring

    def open(self, now: datetime) -> None:
        """Finish what a kill broke off; blocks on disk, in the conductor's one worker thread."""
        try:
            destroy_old(self._path)
        except OSError as err:
            raise disk_error(err) from None
        for fields in otherwise(told(self._ledger.log.since(0), TELLING), self._stored):
            self._ledger.note(AS_FOUND, now, **fields)
        while self._step(now).more:
            pass

    async def again(self, now: datetime) -> None:
        """Try once more, now and then, what could not be wrapped or removed; the lock is held."""
        left, looked = self._left, self._looked
        due = looked is None or not timedelta(0) <= now - looked < _AGAIN
        rotating = self._stored.previous_site_identity is not None
        open_ends = rotating or left.waiting or left.kept or self._plugins or self._closed
        if due:
            self._try_rested()
        if left.more or (open_ends and due):
            await self._upkeep.run(self._step, now)

    def _try_rested(self) -> None:
        """Try plugins that took too long before their rest ends, beside everything else.

        So that what the disk's one thread does, a threat among it, does not wait for them again.
        """
        for plugin in self._plugins.values():
            if 0 < plugin.rest < 2 * _AGAIN.total_seconds():
                asyncio.get_running_loop().run_in_executor(None, _try, plugin)

    async def _settle(self) -> Rewrapped:
        result = Rewrapped(more=True)
        while result.more:
            async with self._lock:
                result = result.then(await self._upkeep.run(self._step, self._clock()))
        return result

    def _step(self, now: datetime) -> Rewrapped:
        found = self._vault.keys.rewrap()
        if found.added or found.removed:
            self._ledger.note("rewrapped", now, added=found.added, removed=found.removed)
        if found.added:
            self._vault.hold_rest()
        self._left, self._looked = found, now
        if not found.more and self._stored.previous_site_identity is not None:
            # Also those for a key that nobody has here: a wrong key file was put back once.
            self._vault.keys.forget_site(keep=Holder.site(self._stored.ring.site.recipient))
            self._ledger.note("site_key_rotated", now, site=self._stored.site_id)
            self._save(replace(self._stored, previous_site_identity=None))
        self._closed = self._vault.closed()
        self._broken = {
            custodian: plugin.name
            for custodian, plugin in self._plugins.items()
            if plugin.program is None or (custodian in found.waiting and _fails(plugin))
        }
        return found

    @property
    def _plugins(self) -> dict[str, PluginRecipient]:
        """Custodians to whom only a program of its own can encrypt: one day it may be gone."""
        recipients = ((c.id, parse_recipient(c.recipient)) for c in self.custodians)
        return {name: r for name, r in recipients if isinstance(r, PluginRecipient)}

    def problems(self) -> Iterator[Problem]:
        """What only a custodian's own identity can mend (docs/keys.md)."""
        shown = {custodian.id: custodian.shown for custodian in self.custodians}

        def told(counts: Mapping[str, int]) -> dict[str, str]:
            return {"custodians": ", ".join(f"{shown.get(k, k)}: {n}" for k, n in counts.items())}

        if self._broken:
            broken = [f"{shown.get(k, k)}: age-plugin-{name}" for k, name in self._broken.items()]
            yield Problem(key="custodian_plugin", placeholders={"custodians": ", ".join(broken)})
        waiting = {k: n for k, n in self._left.waiting.items() if k not in self._broken}
        if waiting:
            yield Problem(key="custodian_lacks_keys", placeholders=told(waiting))
        if self._left.kept:
            yield Problem(key="custodian_still_needed", placeholders=told(self._left.kept))
        if self._closed:
            yield Problem(key="sealed_left_open", placeholders={"count": str(self._closed)})


def _try(plugin: PluginRecipient) -> None:
    with suppress(WitnessError):
        plugin.try_again()


def _fails(plugin: PluginRecipient) -> bool:
    try:
        plugin.wrap(bytes(16))
    except WitnessError:
        return True
    return False
