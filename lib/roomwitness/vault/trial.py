"""Would a meeting's keys be safe now? Tried before it begins, with a key that seals nothing."""

import secrets
from collections.abc import Sequence
from itertools import islice

from roomwitness.errors import WitnessError

from . import age
from .keys import KeyStore, Wraps, new_recording_key

_MARK = b"room witness"
_SAMPLE = 8


def keys_work(store: KeyStore, site: age.Identity, custodians: Sequence[age.Recipient]) -> bool:
    """Make a key, keep it, open it, use it, destroy it: whether all of that works.

    Also whether the store is still where it was opened, and some of its other keys open.
    """
    name = f"trial-{secrets.token_hex(12)}"
    try:
        recipient, wraps = new_recording_key(site.recipient, custodians)
        others = islice(store.ids(), _SAMPLE)
        store.put(name, wraps)
        try:
            kept = store.get(name)
        finally:
            store.destroy([name])
        if not custodians or kept != wraps or name in store.ids() or not store.in_place:
            return False
        identity = _opened(kept, site)
        if identity is not None:
            _prove(recipient, identity)
        for other in others:
            if (found := store.get(other)) is not None:
                _opened(found, site)
    except WitnessError, OSError, ValueError:
        return False
    return True


def _opened(wraps: Wraps, site: age.Identity) -> age.Identity | None:
    """The identity, by the site's key; None where only custodians can open it."""
    if wraps.site is None:
        return None
    return age.Identity.from_string(age.decrypt(wraps.site, [site]).decode())


def _prove(recipient: age.Recipient, identity: age.Identity) -> None:
    if age.decrypt(age.encrypt(_MARK, [recipient]), [identity]) != _MARK:
        raise ValueError("it opens something else")
