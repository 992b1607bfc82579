"""Would a meeting's keys be safe now? Tried before it begins, with a key that seals nothing."""

import secrets
from itertools import islice

from roomwitness.errors import WitnessError

from . import age
from .keys import KeyStore, Wraps
from .wrapping import KeyRing

_MARK = b"room witness"
_SAMPLE = 8
# What the key is called while it is tried.
TRIAL = "trial-"


def keys_work(store: KeyStore, ring: KeyRing) -> bool:
    """Make a key, keep it, open it, use it, destroy it: whether all of that works.

    Also whether the store is still where it was opened, and some of its other keys open. A sealed
    site's keys cannot be opened here: of them only making, keeping and destroying is tried.
    """
    name = f"{TRIAL}{secrets.token_hex(12)}"
    try:
        recipient, wraps = ring.new_key()
        others = islice(store.ids(), _SAMPLE)
        store.put(name, wraps)
        try:
            kept = store.get(name)
        finally:
            store.destroy([name])
        if not wraps.custodians or kept != wraps or name in store.ids() or not store.in_place:
            return False
        identity = _opened(kept, ring)
        if identity is not None:
            _prove(recipient, identity)
        for other in others:
            if (found := store.get(other)) is not None:
                _opened(found, ring)
    except WitnessError, OSError, ValueError:
        return False
    return True


def _opened(wraps: Wraps, ring: KeyRing) -> age.KnownIdentity | None:
    """The identity, by the site's key; None where only custodians can open it."""
    if wraps.site is None:
        return None
    return age.parse_identity(age.decrypt(wraps.site, list(ring.own.values())).decode())


def _prove(recipient: age.KnownRecipient, identity: age.KnownIdentity) -> None:
    if age.decrypt(age.encrypt(_MARK, [recipient]), [identity]) != _MARK:
        raise ValueError("it opens something else")
