"""What the log says of keys is true after the next start, whatever came between it and the file."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.vault.age import generate_identity
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.keyfile import Custodian, StoredKeys
from roomwitness.witness.keys import Keys
from roomwitness.witness.keys_told import AS_FOUND, TELLING, otherwise

from .house import ORIGIN, House

CUSTODIANS = tuple(Custodian(str(generate_identity().recipient)) for _ in range(3))
SITES = tuple(str(generate_identity()) for _ in range(2))
STORED = st.builds(
    lambda who, sealed, site: StoredKeys(
        origin=ORIGIN,
        custodians=tuple(who),
        site_identity=site,
        log_private_key="",
        sealed=sealed,
    ),
    st.lists(st.sampled_from(CUSTODIANS), unique=True),
    st.booleans(),
    st.sampled_from(SITES),
)


def logged(before: StoredKeys, after: StoredKeys) -> list[dict[str, Any]]:
    """What is logged when these keys become those."""
    old, new = ({c.id for c in keys.custodians} for keys in (before, after))
    entries = [{"kind": "custodian_added", "custodian": name} for name in new - old]
    entries += [{"kind": "custodian_retired", "custodian": name} for name in old - new]
    if before.sealed is not after.sealed:
        entries.append({"kind": "mode_changed", "mode": "sealed" if after.sealed else "assisted"})
    if before.site_id != after.site_id:
        ids = {"site": after.site_id, "before": before.site_id}
        entries.append({"kind": "site_key_rotation_begun", **ids})
    assert {entry["kind"] for entry in entries} <= {*TELLING}
    return entries


@given(STORED, st.lists(st.tuples(STORED, st.booleans()), max_size=6))
def test_the_log_follows_the_key_file(
    first: StoredKeys, changes: list[tuple[StoredKeys, bool]]
) -> None:
    """Each change is logged, and then saved or not; a start comes after those that were not."""
    keys, log = first, list[dict[str, Any]]()
    for after, saved in changes:
        news = logged(keys, after)
        log += news
        if saved:
            keys = after
            assert list(otherwise(log, keys)) == []
            continue
        corrections = [{"kind": AS_FOUND, **fields} for fields in otherwise(log, keys)]
        assert len(corrections) == len(news)
        log += corrections
        assert list(otherwise(log, keys)) == []


@pytest.mark.parametrize("change", ["add", "retire", "mode", "rotation"])
async def test_a_change_that_came_no_further_than_the_log_is_corrected(
    house: House, change: str
) -> None:
    witness = await house.started()
    second = str(generate_identity().recipient)
    await witness.keys.add_custodian(second)
    before = witness.keys.stored
    changes: dict[str, Callable[[], Awaitable[object]]] = {
        "add": lambda: witness.keys.add_custodian(str(generate_identity().recipient)),
        "retire": lambda: witness.keys.retire_custodian(Custodian(second).id),
        "mode": lambda: witness.keys.set_sealed(True),
        "rotation": witness.keys.rotate_site_key,
    }
    with patch.object(Keys, "_save", side_effect=VaultUnwritable), pytest.raises(VaultUnwritable):
        await changes[change]()
    await witness.stop()
    assert AS_FOUND not in house.log()
    for _ in range(2):
        again = await house.started()
        assert again.keys.stored == before
        await again.stop()
    (found,) = [entry for entry in house.entries() if entry["kind"] == AS_FOUND]
    told = {name: value for name, value in found.items() if name not in ("kind", "time")}
    active = {"custodian": Custodian(second).id, "active": True}
    match change:
        case "add":
            assert told["active"] is False
        case "retire":
            assert told == active
        case "mode":
            assert told == {"mode": "assisted"}
        case "rotation":
            assert told == {"site": before.site_id}


async def test_keys_that_are_as_logged_are_not_logged_again(house: House) -> None:
    witness = await house.started()
    await witness.keys.set_sealed(True)
    await witness.keys.set_sealed(False)
    await witness.keys.rotate_site_key()
    await witness.stop()
    assert replace(house.stored, previous_site_identity=None) == house.stored
    await (await house.started()).stop()
    assert AS_FOUND not in house.log()
