"""A vault whose site keys are lost goes on with new ones; its log is closed and kept.

The old log cannot be continued without its key. Its size and root stand in the new one, together
with what it said of the recordings that there are: only of those for which index and log agreed.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from roomwitness.custody import (
    Account,
    LogTampered,
    disagreements,
    encode_entry,
    read_account,
    verify_log,
)
from roomwitness.vault.check import Places
from roomwitness.vault.errors import disk_error
from roomwitness.vault.folder import check_folder
from roomwitness.vault.keyfile import Custodian, StoredKeys
from roomwitness.vault.keys import key_id
from roomwitness.vault.listed import listed
from roomwitness.vault.store import Vault

from .config import generate_site_keys, signer
from .entries import bound_fields
from .ledger import Ledger


def replace_lost(
    places: Places,
    keys_file: Path,
    origin: str,
    custodians: Sequence[Custodian],
    now: datetime,
    *,
    sealed: bool = False,
) -> StoredKeys:
    """Make new keys for what is there, and give them; nobody else may have the vault open.

    If the key file came back meanwhile, it is given as it is. Blocks on disk.

    Raises:
        VaultUnwritable, VaultFull, StoreError, LogUnwritable: it may be repeated.
    """
    if (stored := StoredKeys.load(keys_file)) is not None:
        return stored
    fresh = generate_site_keys(origin).stored(origin, tuple(custodians), sealed=sealed)
    try:
        check_folder(keys_file.parent)  # Before the log is closed.
        if (places.root / "index.db").is_file():
            _go_on(places, fresh, now)
        fresh.save(keys_file)
    except OSError as err:
        raise disk_error(err) from None
    return fresh


def _go_on(places: Places, fresh: StoredKeys, now: datetime) -> None:
    vault = Vault(places.root, places.ephemeral, places.held, fresh.ring.site, ())
    vault.open()
    try:
        _continue_log(vault, places.root / "custody", fresh, now)
        vault.keys.forget_site()
    finally:
        vault.close()


def _continue_log(vault: Vault, folder: Path, fresh: StoredKeys, now: datetime) -> None:
    rows = list(listed(vault.index.rows))
    fields, account = _last(folder)
    doubtful = {name for _, name in disagreements(rows, account, account)}
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.lost-key-{now:%Y%m%dT%H%M%S.%fZ}")
        folder.rename(aside)
        fields["kept_as"] = aside.name
    vault.index.save_meetings([], 0)  # It is another log, and no older one.
    ledger = Ledger(vault, folder, signer(fresh), fresh.origin)
    ledger.open(now)
    try:
        fields |= {"site": key_id(fresh.ring.site.recipient), "doubtful": len(doubtful)}
        ledger.note("site_keys_replaced", now, **fields)
        leaves = []
        for recording, meeting, ended, sealed, told in rows:
            if recording in doubtful:
                continue
            leaves.append(
                encode_entry(
                    "recording_begun",
                    now,
                    {"recording": recording, "meeting": meeting, "carried": True},
                )
            )
            bound = account.ended.get(recording)
            if ended or bound is not None:
                named = None if bound is None else bound.open
                left = vault.left_open(recording) if named is None else named
                fields = {"recording": recording, **bound_fields(sealed, told, left)}
                leaves.append(encode_entry("recording_carried", now, fields))
        ledger.note_all(leaves)
    finally:
        ledger.close()


def _last(folder: Path) -> tuple[dict[str, str | int], Account]:
    """Where the old log ended, by its own key, and what it said; nothing if it does not hold."""
    try:
        found, account = verify_log(folder), read_account(folder)
    except LogTampered:
        return {}, Account({}, {}, frozenset())
    return {"old": found.origin, "old_size": found.size, "old_root": found.root}, account
