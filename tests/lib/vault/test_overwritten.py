"""A key that was destroyed is in no byte of its store, wherever SQLite had moved it before."""

import random
from pathlib import Path

import pytest

from roomwitness.vault.erasure import bytes_absent, needle
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.keys import CUSTODIAN, SITE, Holder, KeyStore, Wraps

HOLDERS = Holder(SITE, "00000000"), Holder(CUSTODIAN, "00000001")


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    opened = KeyStore(tmp_path / "keys.db")
    opened.open()
    return opened


@pytest.mark.parametrize("seed", [11, 55, 388])
def test_no_copy_is_left_where_a_page_was_split(store: KeyStore, seed: int) -> None:
    """Of these seeds the last two leave one between the rows, ``secure_delete`` or not."""
    dice = random.Random(seed)
    live: dict[str, Wraps] = {}
    for _ in range(100):
        if dice.random() < 0.6 or not live:
            name = f"{dice.getrandbits(128):032x}"
            live[name] = Wraps({h: dice.randbytes(dice.randrange(200, 500)) for h in HOLDERS})
            store.put(name, live[name])
        else:
            name = dice.choice(list(live))
            store.destroy([name])
            assert bytes_absent([store], [needle(file) for file in live.pop(name).files.values()])
    assert {name: store.get(name) for name in store.ids()} == live
    store.close()


def test_what_a_row_still_has_is_told(store: KeyStore) -> None:
    store.put("r", Wraps({HOLDERS[0]: b"x" * 100}))
    with pytest.raises(VaultUnwritable):
        bytes_absent([store], [b"x" * 32])
    assert store.ids() == {"r"}
    store.close()


def test_a_store_whose_file_is_gone_is_not_said_to_be_searched(
    store: KeyStore, tmp_path: Path
) -> None:
    """Somebody moved it away while it was open: what is in it is elsewhere now."""
    (tmp_path / "keys.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(VaultUnwritable):
        bytes_absent([store], [b"\x01" * 32])
    store.close()
