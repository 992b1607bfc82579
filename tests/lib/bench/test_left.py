"""The benches of reliability notice what they are there to notice."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import _left, faults, kill
from roomwitness.policy.words import Meeting, MeetingState
from roomwitness.vault.store import Vault
from roomwitness.witness.config import signer
from roomwitness.witness.ledger import Ledger
from tests.lib.vault.conftest import Place, begin
from tests.lib.witness.house import ORIGIN, House

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("overwritten", [True, False])
def test_a_wrap_that_was_not_overwritten_is_found(tmp_path: Path, overwritten: bool) -> None:
    vault = Place(tmp_path).open()
    recording = begin(vault)
    vault.hold_meeting("m1")
    wanted = {"r": _left.pieces(vault, recording.id)}
    assert len(wanted["r"]) == 6, "for the site and the custodian, and in the held store again"
    assert _left.still_there(tmp_path, wanted) == {"r"}
    for store in (vault._ephemeral, vault._held):
        if not overwritten:
            store._connection().execute("PRAGMA secure_delete=OFF")
        store.destroy([recording.id])
        assert store.get(recording.id) is None
    assert _left.still_there(tmp_path, wanted) == (set() if overwritten else {"r"})
    vault.close()
    assert _left.still_there(tmp_path, wanted) == (set() if overwritten else {"r"})
    assert _left.still_there(tmp_path, {}) == set()


def test_the_bench_of_faults_notices_it(tmp_path: Path) -> None:
    site = faults.Site.new(tmp_path / "site")
    vault = site.vault()
    vault.open()
    recording = begin(vault)
    wraps = [piece.hex() for piece in _left.pieces(vault, recording.id)]
    vault.close()
    assert faults._left_of_erased(site, [["erased", "calm", *wraps]])
    assert faults._left_of_erased(site, [["erased", "calm"]]), "no key is no proof"
    assert not faults._left_of_erased(site, [["erased", "calm", secrets.token_hex(32)]])
    assert not faults._left_of_erased(site, [["to erase", "calm", *wraps]])


def meeting_of(house: House, *, held: bool) -> tuple[Vault, Ledger]:
    vault = house.vault()
    ledger = Ledger(vault, house.config.root / "custody", signer(house.stored), ORIGIN)
    ledger.open(T)
    state = MeetingState.HELD if held else MeetingState.RECORDING
    meeting = Meeting(
        id="m", room_id="r1", origin="manual", planned_start=T, started=T, state=state
    )
    ledger.create(meeting, T)
    ledger.recordings.begin(meeting, "c1", T)
    return vault, ledger


def look(house: House, seen: kill.Seen) -> kill.Found:
    found = kill.Found()
    kill.look(house, T, T.timestamp(), seen, found)
    return found


def test_the_bench_of_kills_notices_it(tmp_path: Path) -> None:
    house, seen = House(tmp_path), kill.Seen()
    vault, ledger = meeting_of(house, held=False)
    ledger.close()
    vault.close()
    assert look(house, seen).resurrected == 0
    ((recording, (meeting, wraps)),) = seen.live.items()
    assert meeting == "m"
    assert wraps
    vault = house.vault()
    ledger = Ledger(vault, house.config.root / "custody", signer(house.stored), ORIGIN)
    ledger.open(T)
    ledger.note("erased", T, meeting="m")
    ledger.close()
    vault.close()
    assert look(house, seen).resurrected == 1, "the log says that it is gone"
    seen.live, seen.gone = {}, {recording: wraps}
    assert look(house, seen).resurrected == 1, "it was gone, and is back"


def test_the_bench_of_kills_notices_a_threat_that_is_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path)
    vault, ledger = meeting_of(house, held=True)
    ledger.close()
    vault.close()
    kill.reported_in(house).write_text("m\n")
    found = look(house, kill.Seen())
    assert found.errors["a reported threat is not held"] == 1
    assert found.threats == 1
