"""What happens while somebody copies the site's folders, and what is known of the copies."""

from collections.abc import Callable, Collection
from datetime import datetime

from roomwitness.vault.copies import Listing
from roomwitness.vault.store import Vault

from .copies import watch
from .ledger import Ledger
from .upkeep import Upkeep


class Backups:
    """For the conductor's event loop."""

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        upkeep: Upkeep,
        clock: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._upkeep = upkeep
        self._clock = clock
        self._changed = changed

    async def begin(self) -> None:
        """Somebody is about to copy the site's folders: index and log's heads are held still.

        Raises:
            VaultUnwritable, LogUnwritable: the copy may be taken nevertheless.
        """
        await self._upkeep.run(self._begin, self._clock())

    def _begin(self, now: datetime) -> None:
        self._upkeep.erasures.copies.begin(now)
        watch(self._vault, now)
        # How much evidence the copy will carry.
        held = sum(meeting.held for meeting in self._ledger.meetings)
        self._ledger.note("backup_begun", now, held=held)
        self._ledger.hold_heads(now)
        self._vault.freeze()

    async def end(self) -> None:
        """The copy is made; a second call does nothing but be noted.

        Raises:
            LogUnwritable.
        """
        await self._upkeep.run(self._end, self._clock())

    def _end(self, now: datetime) -> None:
        self._upkeep.erasures.copies.end()
        self._vault.thaw()
        watch(self._vault, now)
        self._ledger.release_heads()
        self._ledger.note("backup_ended", now)

    async def are(self, listing: Listing) -> None:
        """Take the backups that there are.

        Raises:
            VaultUnwritable, VaultFull.
        """
        await self._upkeep.run(self._upkeep.erasures.copies.take, listing, self._clock())
        self._changed()

    @property
    def told(self) -> tuple[str, ...]:
        """Ids of the backups that the problem ``backups_carry_keys`` names."""
        return self._upkeep.erasures.copies.told

    async def are_gone(self, shown: Collection[str]) -> None:
        """A person answers for it that these backups, which they were shown, are destroyed.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull.
        """
        await self._upkeep.run(self._upkeep.erasures.copies.confirm, shown, self._clock())
        self._changed()
