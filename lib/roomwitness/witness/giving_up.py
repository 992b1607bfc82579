"""The site is given up: what is not held is erased now, whatever its deadline; the rest stays.

Nothing would ever erase it later. Where vault and log can be opened it is an erasure like any
other, with entries and receipts; where they cannot, the keys are destroyed all the same.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime

from roomwitness.capture.length import length
from roomwitness.errors import WitnessError
from roomwitness.policy import meeting as events
from roomwitness.policy.words import AHEAD, RUNNING, Meeting, MeetingState, RoomPolicy
from roomwitness.vault.check import Places
from roomwitness.vault.erasure import bytes_absent, needle
from roomwitness.vault.errors import StoreError
from roomwitness.vault.keyfile import StoredKeys
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.listed import held_in
from roomwitness.vault.store import Vault

from .config import RoomConfig, signer
from .erasures import Due, Erasures
from .ledger import Ledger
from .leftovers import Told
from .rules import Rules
from .tries import Tries
from .wishes import Wishes


def give_up(
    places: Places, keys: StoredKeys | None, rooms: Iterable[RoomConfig], now: datetime
) -> bool:
    """Erase what is not held; whether no key of it is left. Blocks on disk.

    Without ``keys``, or where the stores or the log fail, it may be only the keys that go.
    """
    if keys is not None:
        # Whatever it is: the keys go now, and receipts are made if the site is set up again.
        with suppress(Exception):
            _erase(places, keys, {room.id: room for room in rooms}, now)
    try:
        return _destroy_keys(places)
    except WitnessError:
        return False


def _erase(
    places: Places, keys: StoredKeys, rooms: Mapping[str, RoomConfig], now: datetime
) -> None:
    with ExitStack() as stack:
        ring = keys.ring
        vault = Vault(
            places.root, places.ephemeral, places.held, ring.site, ring.custodians, length=length
        )
        vault.keys.ring = ring
        stack.callback(vault.close)
        vault.open()
        ledger = Ledger(vault, places.root / "custody", signer(keys), keys.origin)
        stack.callback(ledger.close)
        tries, account = Tries(), None
        with tries:
            ledger.open(now)
            account = Told(ledger.log, ledger.folder, ledger.signer.vkey, now)
        with tries:  # Also without the log: keys of what the index holds are held from here on.
            found = vault.recover(account)
        tries.finish()
        with tries:
            ledger.recordings.recovered(found, now)
            ledger.note("site_given_up", now)
        wishes = Wishes(dict(rooms))
        Rules(ledger, wishes.logged).open()
        for meeting in ledger.meetings:
            with tries:
                _end(ledger, meeting, wishes.of(meeting.room_id).policy, now)
        erasures = Erasures(vault, ledger, keys.origin)
        erasures.copies.refresh()
        erasures.run([_due(m, wishes.of(m.room_id)) for m in ledger.meetings if _goes(m)], now)


def _end(ledger: Ledger, meeting: Meeting, policy: RoomPolicy, now: datetime) -> None:
    if meeting.state in AHEAD:
        ledger.apply(meeting, events.Cancel(), now, policy)
    elif meeting.state in RUNNING:
        after = ledger.apply(meeting, events.End(meeting.planned_end), now, policy)
        ledger.recordings.end(after, now)


def _goes(meeting: Meeting) -> bool:
    return meeting.state in {MeetingState.REVIEW, MeetingState.RELEASED} and not meeting.held


def _due(meeting: Meeting, room: RoomConfig) -> Due:
    return Due(meeting, room.legal_file.disposal_decision, room.policy)


def _destroy_keys(places: Places) -> bool:
    """Destroy each key of which the held store has none, and the index no hold; whether that could
    be done. What is held and has no custodian's wrap yet has no other key than the site's.

    Where it cannot be read what is held, nothing is destroyed.

    Raises:
        StoreError, VaultUnwritable.
    """
    path, held_path = places.ephemeral / "ephemeral-keys.db", places.held / "held-keys.db"
    if not path.is_file():
        return True
    with ExitStack() as stack:
        ephemeral, held = KeyStore(path), KeyStore(held_path)
        stack.callback(ephemeral.close)
        ephemeral.open()
        left = ephemeral.ids()
        if left and not held_path.is_file():
            raise StoreError("no held key store here")
        stack.callback(held.close)
        held.open()
        left -= held.ids()
        with suppress(StoreError, OSError):  # Else the held store alone tells.
            left -= held_in(places.root)
        wraps = [found for recording in left if (found := ephemeral.get(recording)) is not None]
        ephemeral.destroy(left)
        bytes_absent((ephemeral,), [needle(file) for w in wraps for file in w.files.values()])
        return not ephemeral.ids() & left
