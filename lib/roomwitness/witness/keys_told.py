"""What the custody log says of keys, against the key file: a kill may have come between. Pure.

The key file cannot be made from the log, which has ids only; so the log is told how it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from roomwitness.vault.keyfile import StoredKeys

AS_FOUND = "keys_as_found"
TELLING = (
    "custodian_added",
    "custodian_retired",
    "mode_changed",
    "site_key_rotation_begun",
    "site_key_rotated",
    "site_keys_replaced",
    AS_FOUND,
)


def otherwise(entries: Iterable[Mapping[str, Any]], stored: StoredKeys) -> Iterator[dict[str, Any]]:
    """The fields of an entry for each thing that is not as the log (its ``TELLING``) says last.

    What the log does not speak of is as it was when the site was set up.
    """
    custodians: dict[str, bool] = {}
    last: dict[str, str] = {}
    for entry in entries:
        match entry:
            case {"kind": kind, "custodian": str(name)}:
                custodians[name] = bool(entry.get("active", kind == "custodian_added"))
            case {"mode": str(value)}:
                last["mode"] = value
            case {"site": str(value)}:
                last["site"] = value
    active = {custodian.id for custodian in stored.custodians}
    for name, is_active in custodians.items():
        if is_active is not (name in active):
            yield {"custodian": name, "active": name in active}
    are = {"mode": "sealed" if stored.sealed else "assisted", "site": stored.site_id}
    for field, said in last.items():
        if said != are[field]:
            yield {field: are[field]}
