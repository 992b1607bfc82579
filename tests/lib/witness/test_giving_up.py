"""A site that is given up leaves evidence, log and receipts, and nothing else that can be read."""

from datetime import timedelta

import pytest

from roomwitness.custody import CustodyLog, LogUnwritable
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, MeetingState
from roomwitness.vault import age
from roomwitness.vault.check import Places
from roomwitness.vault.keys import KeyStore
from roomwitness.witness import RoomConfig
from roomwitness.witness.config import signer
from roomwitness.witness.giving_up import give_up
from roomwitness.witness.ledger import Ledger

from .house import LEGAL, ORIGIN, POLICY, House, now

MEETINGS = ("calm", "running", "held", "running and held")
HELD = {"held", "running and held"}


@pytest.fixture
def left(house: House) -> House:
    """One meeting of each kind, all far from their deadline, and one that did not begin."""
    house.stored.save(house.keys_file)
    vault, moment = house.vault(), now()
    ledger = Ledger(vault, house.config.root / "custody", signer(house.stored), ORIGIN)
    ledger.open(moment)
    for name in (*MEETINGS, "planned"):
        meeting = Meeting(id=name, room_id="r1", origin="manual", planned_start=moment)
        meeting = ledger.create(meeting, moment)
        if name == "planned":
            continue
        meeting = ledger.apply(meeting, events.Start(), moment, POLICY)
        recording = ledger.recordings.begin(meeting, "c1", moment).recording
        writer = vault.segment_writer(recording.id, moment)
        writer.write(b"what was said " * 4000)
        writer.flush()
        writer.abort()
        if name in HELD:
            meeting = ledger.apply(meeting, events.ReportThreat(f"h {name}"), moment, POLICY)
        if "running" not in name:
            ledger.recordings.end(ledger.apply(meeting, events.End(), moment, POLICY), moment)
    ledger.close()
    vault.close()
    return house


def places(house: House) -> Places:
    return Places(house.config.root, house.config.ephemeral_dir, house.config.held_dir)


def rooms(house: House) -> list[RoomConfig]:
    return [house.room()]


def wraps(house: House, *names: str) -> list[bytes]:
    """Ends of all wraps of the recordings of these meetings."""
    vault = house.vault()
    try:
        found = [
            store.get(recording.id)
            for name in names
            for recording in vault.recordings(name)
            for store in (vault._ephemeral, vault._held)
        ]
    finally:
        vault.close()
    return [file[-32:] for each in found if each for file in each.files.values()]


def everywhere(house: House) -> bytes:
    return b"".join(path.read_bytes() for path in house.root.rglob("*") if path.is_file())


def evidence_opens(house: House) -> None:
    vault = house.vault()
    custodian = age.Identity.from_string(house.keys.custodian_identity)
    for name in HELD:
        assert len(vault.export_identities(name, custodian)) == 1
        (recording,) = vault.recordings(name)
        assert recording.id in vault._held.ids()
    vault.close()


def test_what_is_not_held_is_erased_whatever_its_deadline(left: House) -> None:
    going = wraps(left, "calm", "running")
    assert len(going) == 4
    assert give_up(places(left), left.stored, rooms(left), now())
    assert not [piece for piece in going if piece in everywhere(left)]
    vault = left.vault()
    states = {meeting.id: meeting.state for meeting in vault.meetings()}
    assert states == {
        "planned": MeetingState.ERASED,
        **dict.fromkeys(("calm", "running"), MeetingState.ERASED),
        **dict.fromkeys(HELD, MeetingState.HELD),
    }
    assert {r.meeting_id: r.decision for r in vault.receipts()} == dict.fromkeys(
        ("calm", "running"), LEGAL.disposal_decision
    )
    assert all(vault.receipt_file(receipt.id) for receipt in vault.receipts())
    assert vault.check() == []
    vault.close()
    evidence_opens(left)
    kinds = left.log()
    assert kinds.index("site_given_up") < kinds.index("erasure_begun") < kinds.index("erased")
    assert kinds.count("erased") == 2
    assert give_up(places(left), left.stored, rooms(left), now()), "a second time is no fault"


@pytest.mark.parametrize("how", ["no keys", "a damaged index", "no log", "a log that is full"])
def test_where_it_cannot_be_an_erasure_the_keys_go_all_the_same(
    left: House, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    going = wraps(left, "calm", "running")
    keys = left.stored
    if how == "no keys":
        assert give_up(places(left), None, rooms(left), now())
    elif how == "a damaged index":
        index = left.config.root / "index.db"
        before = index.read_bytes()
        for beside in index.parent.glob("index.db-*"):
            beside.unlink()
        index.write_bytes(b"rubbish " * 600)
        assert give_up(places(left), keys, rooms(left), now())
        index.write_bytes(before)
    elif how == "no log":
        (left.config.root / "custody").rename(left.root / "custody")
        (left.config.root / "custody").write_text("in the way")
        assert give_up(places(left), keys, rooms(left), now())
        (left.config.root / "custody").unlink()
        (left.root / "custody").rename(left.config.root / "custody")
    else:

        def refuse(*_: object) -> None:
            raise LogUnwritable

        with monkeypatch.context() as patch:
            patch.setattr(CustodyLog, "append_all", refuse)
            assert give_up(places(left), keys, rooms(left), now())
    assert not [piece for piece in going if piece in everywhere(left)]
    evidence_opens(left)


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_what_may_be_evidence_is_not_destroyed_unseen(left: House, how: str) -> None:
    """Without the held store nobody knows what is held."""
    store = left.config.held_dir / "held-keys.db"
    if how == "gone":
        store.unlink()
    else:
        store.write_bytes(b"rubbish " * 600)
    before = wraps_in(left)
    assert not give_up(places(left), None, rooms(left), now())
    assert wraps_in(left) == before


def wraps_in(house: House) -> frozenset[str]:
    store = KeyStore(house.config.ephemeral_dir / "ephemeral-keys.db")
    store.open()
    try:
        return store.ids()
    finally:
        store.close()


def test_a_site_that_never_recorded_leaves_nothing(house: House) -> None:
    assert give_up(places(house), None, [], now())
    assert not (house.config.held_dir).exists()


def test_what_is_held_on_paper_only_is_held_first(left: House) -> None:
    """A disk kept its wrap from the held store."""
    vault = left.vault()
    (recording,) = vault.recordings("held")
    vault._held.destroy([recording.id])
    vault.close()
    log = left.config.root / "custody"
    log.rename(left.root / "custody")
    log.write_text("in the way")
    assert give_up(places(left), left.stored, rooms(left), now() + timedelta(days=1))
    log.unlink()
    (left.root / "custody").rename(log)
    evidence_opens(left)
