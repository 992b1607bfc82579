"""Who acts is a pseudonym, who looks is logged, and whoever is forgotten is gone everywhere."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from roomwitness.custody import LogUnwritable, encode_entry, verify_log
from roomwitness.policy.errors import TwoPeopleNeeded
from roomwitness.policy.words import HoldKind, MeetingState
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.people import People
from roomwitness.witness import Witness
from roomwitness.witness.errors import PageNotFound, PersonStillNeeded, PersonUnknown

from .house import POLICY, House, now, until

ANNA, BO, CIA = "7f3a-account-anna", "7f3a-account-bo", "7f3a-account-cia"
CAREFUL = replace(POLICY, two_people=True, review_window=timedelta(hours=1))


@pytest.fixture
async def witness(house: House) -> AsyncIterator[Witness]:
    made = await house.started(house.room(policy=CAREFUL, bound=False))
    yield made
    with suppress(RuntimeError):  # Some tests stop it themselves.
        await made.stop()


async def held(witness: Witness, account: str) -> str:
    await witness.start_meeting("r1")
    meeting = await witness.report_threat("r1", witness.people.pseudonym(account))
    await witness.stop_meeting("r1")
    return meeting


def everything(house: House) -> bytes:
    return b"".join(p.read_bytes() for p in house.root.rglob("*") if p.is_file())


async def test_a_forgotten_person_is_nowhere_and_the_log_verifies(
    house: House, witness: Witness
) -> None:
    meeting = await held(witness, ANNA)
    anna = witness.people.known(ANNA)
    boss = witness.people.pseudonym(BO)
    assert witness.people.account(anna) == ANNA
    with pytest.raises(PersonStillNeeded):
        await witness.people.forget(anna, boss)
    for account in (BO, CIA):
        await witness.holds.release(meeting, "over", by=witness.people.pseudonym(account))
    assert ANNA.encode() in everything(house)
    await witness.people.forget(anna, boss)
    assert ANNA.encode() not in everything(house)
    assert witness.people.account(anna) is None
    (noted,) = [e for e in house.entries() if e["kind"] == "person_forgotten"]
    assert (noted["person"], noted["by"]) == (anna, boss)
    for unknown in (anna, None, "p-0000"):
        with pytest.raises(PersonUnknown):
            await witness.people.forget(unknown, boss)
    await witness.stop()
    assert verify_log(house.root / "vault" / "custody").unsigned == 0
    by = {e["by"] for e in house.entries() if "by" in e}
    assert anna in by
    assert BO not in str(house.entries())


async def test_one_person_is_one_over_a_restart(house: House, witness: Witness) -> None:
    meeting = await held(witness, ANNA)
    await witness.stop()
    again = await house.started(house.room(policy=CAREFUL, bound=False))
    with pytest.raises(TwoPeopleNeeded):
        await again.holds.release(meeting, "mine", by=again.people.pseudonym(ANNA))
    assert again.people.pseudonym(None) is None
    assert again.people.account(None) is None
    await again.stop()


async def test_a_damaged_table_keeps_nobody_from_recording(house: House, witness: Witness) -> None:
    await held(witness, ANNA)
    await witness.stop()
    (house.root / "vault" / "people.db").write_bytes(b"garbage" * 1000)
    again = await house.started(house.room(policy=CAREFUL, bound=False))
    assert again.people.known(ANNA) is None
    assert "people_lost" in house.log_kinds()
    await again.stop()
    assert house.log().count("people_lost") == 1


async def test_nobody_agrees_with_themselves_after_the_table_is_lost(
    house: House, witness: Witness
) -> None:
    meeting = await held(witness, ANNA)
    await witness.holds.place(meeting, HoldKind.LEGAL, "case", witness.people.pseudonym(ANNA))
    await witness.holds.release(meeting, "over", by=witness.people.pseudonym(BO))
    await witness.stop()
    again = await house.started(house.room(policy=CAREFUL, bound=False))
    assert again.status("r1").releases_pending == 2, "somebody who is known may go on asking"
    await again.stop()
    (house.root / "vault" / "people.db").write_bytes(b"garbage" * 1000)
    again = await house.started(house.room(policy=CAREFUL, bound=False))
    assert again.status("r1").releases_pending == 0
    assert house.log_kinds().count("withdraw_release") == 2
    bo = again.people.pseudonym(BO)
    assert not any(each.released for each in await again.holds.release(meeting, "over", by=bo))
    with pytest.raises(TwoPeopleNeeded):
        await again.holds.release(meeting, "over", by=bo)
    await again.stop()


async def test_a_threat_is_reported_though_the_person_cannot_be_written(
    house: House, witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    table = witness._vault.people
    save = table.save
    monkeypatch.setattr(table, "save", lambda: (_ for _ in ()).throw(VaultUnwritable))
    meeting = await held(witness, ANNA)
    assert "trying again later: vault_unwritable" in caplog.text
    assert ANNA not in caplog.text
    monkeypatch.setattr(table, "save", save)
    with pytest.raises(TwoPeopleNeeded):
        await witness.holds.release(meeting, "mine", by=witness.people.pseudonym(ANNA))
    await until(lambda: not table.unsaved)
    assert ANNA.encode() in everything(house)


async def test_who_lists_is_logged_before_they_are_told(house: House, witness: Witness) -> None:
    meeting = await held(witness, ANNA)
    await witness.holds.place(meeting, HoldKind.LEGAL, "case", witness.people.pseudonym(BO))
    for _ in range(4):
        await witness.start_meeting("r1")
        await witness.stop_meeting("r1")
    cia = witness.people.pseudonym(CIA)
    seen: list[str] = []
    after = None
    while True:
        rows, after = await witness.listings.meetings(cia, after=after, limit=2)
        seen += [row.meeting.id for row in rows]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen[-1] == meeting
    held_ones, _ = await witness.listings.meetings(cia, room_id="r1", states=[MeetingState.HELD])
    (listed,) = held_ones
    assert [h.kind for h in listed.meeting.open_holds] == ["threat", "legal"]
    (evidence,) = await witness.listings.evidence(None, "r1")
    assert evidence == listed
    entries = [e for e in house.entries() if e["kind"] == "listed"]
    assert [(e["what"], e["meetings"], e["room"], e["by"]) for e in entries] == [
        ("meetings", 2, None, cia),
        ("meetings", 2, None, cia),
        ("meetings", 1, None, cia),
        ("meetings", 1, "r1", cia),
        ("evidence", 1, "r1", None),
    ]
    with pytest.raises(PageNotFound):
        await witness.listings.meetings(cia, after="nonsense")


async def test_what_cannot_be_logged_is_not_told(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held(witness, ANNA)

    def full(*_: object, **__: object) -> None:
        raise LogUnwritable

    monkeypatch.setattr(witness._ledger, "note", full)
    with pytest.raises(LogUnwritable):
        await witness.listings.meetings(None)
    with pytest.raises(LogUnwritable):
        await witness.listings.evidence(None, "r1")
    anna = witness.people.known(ANNA)
    alone = replace(witness._wishes.rooms["r1"], policy=POLICY)
    monkeypatch.setattr(witness._wishes, "rooms", {"r1": alone})
    with pytest.raises(LogUnwritable):
        await witness.people.forget(anna)
    assert witness.people.known(ANNA) == anna


async def test_whom_the_log_says_is_forgotten_is_forgotten_at_the_next_start(
    house: House, witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A kill, or a disk, came between the entry and the row; or an old table was put back."""
    anna, bo = witness.people.pseudonym(ANNA), witness.people.pseudonym(BO)
    await until(lambda: not witness._vault.people.unsaved)

    def fails(*_: object) -> None:
        raise VaultUnwritable

    monkeypatch.setattr(People, "forget", fails)
    with pytest.raises(VaultUnwritable):
        await witness.people.forget(anna, bo)
    await witness.stop()
    again = await house.started()
    assert again.people.account(anna) == ANNA
    assert "at the next start: vault_unwritable" in caplog.text
    monkeypatch.undo()
    for _ in range(2):
        await again.stop()
        assert ("carried_out_late" in house.log()) is (again.people.account(anna) is None)
        again = await house.started()
        assert again.people.account(anna) is None
        assert again.people.account(bo) == BO
        assert ANNA.encode() not in everything(house)
    await again.stop()
    (late,) = [e for e in house.entries() if e["kind"] == "carried_out_late"]
    assert (late["of"], late["person"]) == ("person_forgotten", anna)


async def test_nobody_is_forgotten_by_a_line_that_nobody_signed(
    house: House, witness: Witness
) -> None:
    anna = witness.people.pseudonym(ANNA)
    await witness.stop()
    line = encode_entry("person_forgotten", now(), {"person": anna})
    with (house.root / "vault" / "custody" / "log.jsonl").open("ab") as file:
        file.write(line + b"\n")
    again = await house.started()
    assert again.people.account(anna) == ANNA
    await again.stop()
