"""What a kill kept from being bound after it came to light is bound by ``roomwitness recover``."""

import pytest

from roomwitness.cli import main
from roomwitness.custody import read_account

from .house import House
from .test_bound import check, custody, media, relist
from .test_rebound import folder, forged, left_open, recover


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_kill_between_row_and_entry(
    house: House, monkeypatch: pytest.MonkeyPatch, exchanged: bool
) -> None:
    recording, _ = left_open(house, monkeypatch)
    vault = house.vault()
    assert len(vault.recover()) == 1
    vault.close()
    if exchanged:
        path = media(folder(house))[0]
        path.write_bytes(forged(house))
        relist(house, path)
    assert check(house) == 1, "recording-as-logged"
    words = recover(house)
    assert main(words) == exchanged
    assert check(house) == exchanged
    assert read_account(custody(house)).ended[recording].files == 2 - exchanged
    assert main(words) == exchanged
    assert house.log_kinds().count("recording_amended") == 1 - exchanged
