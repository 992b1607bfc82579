"""Backups that carry a key of what was erased: named in the receipt, told until they are gone."""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody import verify_receipt
from roomwitness.vault.copies import BEING_MADE, Listed, Listing, still_with
from roomwitness.vault.migrations import SCRIPTS

from .test_erasures import SIGNER, Desk, T

HOURS = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def listing(
    found: Mapping[str, datetime],
    *,
    agents: Collection[str] = ("local",),
    answered: Collection[str] = ("local",),
    settled: bool = False,
) -> Listing:
    """A look at the backups; each is with all of these agents."""
    return Listing(
        found={name: Listed(time, frozenset(agents)) for name, time in found.items()},
        answered=frozenset(answered),
        settled=settled,
    )


def told(desk: Desk) -> str:
    return ", ".join(p.placeholders["backups"] for p in desk.erasures.problems())


def test_from_the_receipt_until_it_is_gone(desk: Desk) -> None:
    due = desk.meeting("m1")
    hold = replace(due.meeting.holds[0], created=T, released=T + 10 * HOURS)
    meeting = replace(due.meeting, holds=(hold,))
    desk.vault.save_meeting(meeting)
    backups = {
        "before": T - 9 * HOURS,
        "running": T - HOURS,
        "within": T + 3 * HOURS,
        "gone": T + 4 * HOURS,
        "after": T + 11 * HOURS,
    }
    copies = desk.erasures.copies
    copies.take(listing(backups), T)
    desk.vault.release_meeting("m1")
    del backups["gone"]
    copies.take(listing(backups, answered=()), T)
    assert len(copies.of(meeting, T)) == 3, "an agent that did not answer may still have it"
    copies.take(listing(backups), T)
    assert told(desk) == "", "what is not erased is no problem"
    (receipt,) = desk.erasures.run([replace(due, meeting=meeting)], T + 12 * HOURS)
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt.id) or "", SIGNER.vkey)
    named = [backup["backup"] for backup in facts["backups_with_custodians_key"]]
    assert named == ["running", "within"]
    assert told(desk) == "running (2026-11-02 08:00 UTC), within (2026-11-02 12:00 UTC)"
    del backups["running"]
    copies.take(listing(backups), T)
    assert told(desk) == "within (2026-11-02 12:00 UTC)"
    copies.confirm(["before", "running"], T)
    assert told(desk).startswith("within"), "nobody has answered for that one"
    copies.confirm(copies.told, T)
    assert told(desk) == ""
    assert desk.kinds()[-1] == "backup_confirmed_gone"
    copies.take(listing({}, answered=()), T)
    assert told(desk) == "", "what was answered for is not asked again"
    copies.take(listing(backups), T)
    assert told(desk).startswith("within"), "it is there, whatever somebody has answered"
    del backups["within"]
    copies.take(listing(backups), T)
    backups["running"] = T - HOURS
    copies.take(listing(backups), T)
    assert told(desk).startswith("running"), "an archive that was put back"
    desk.close()
    again = Desk(desk.root)
    again.erasures.copies.refresh()
    assert told(again).startswith("running")
    again.close()


def carried(desk: Desk, receipt: str) -> list[str]:
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt) or "", SIGNER.vkey)
    return [backup["backup"] for backup in facts["backups_with_custodians_key"]]


def test_a_wrap_that_outlives_its_hold_is_in_backups_until_it_is_gone(desk: Desk) -> None:
    due = desk.meeting("m1")  # Its wraps lie in the held key store, though it is released at T.
    copies = desk.erasures.copies
    copies.watch(T + 5 * HOURS)  # A backup begins.
    backups = {"late": T + 5 * HOURS, "never": T + 30 * HOURS}
    copies.take(listing(backups), T + 6 * HOURS)
    (receipt,) = desk.erasures.run([due], T + 7 * HOURS)
    assert carried(desk, receipt.id) == ["late"]
    assert told(desk).startswith("late (")
    assert "never" not in told(desk)
    desk.close()


def test_a_wrap_that_only_its_erasure_ends_is_seen_then(desk: Desk) -> None:
    due = desk.meeting("m1")
    desk.erasures.copies.take(listing({"b": T + 5 * HOURS}), T)
    (receipt,) = desk.erasures.run([due], T + 7 * HOURS)
    assert carried(desk, receipt.id) == ["b"]
    desk.close()


def test_a_clock_that_is_set_back_between_hold_and_release_hides_none(desk: Desk) -> None:
    due = desk.meeting("m1")
    hold = replace(due.meeting.holds[0], created=T, released=T - 9 * HOURS)
    meeting = replace(due.meeting, holds=(hold,))
    desk.vault.save_meeting(meeting)
    copies = desk.erasures.copies
    copies.watch(T + HOURS)  # A backup, before the clock was set back.
    backups = {"before": T + HOURS, "after": T - 9 * HOURS, "elsewhere": T + 9 * HOURS}
    copies.take(listing(backups), T - 9 * HOURS)
    desk.vault.release_meeting("m1")
    (receipt,) = desk.erasures.run([replace(due, meeting=meeting)], T - 8 * HOURS)
    assert carried(desk, receipt.id) == ["after", "before"]
    assert told(desk).count("UTC") == 2
    desk.close()


def test_a_long_list_is_cut(desk: Desk) -> None:
    due = desk.meeting("m1")
    copies = desk.erasures.copies
    copies.take(listing({f"b{n:02}": T for n in range(30)}), T)
    desk.erasures.run([due], T)
    (problem,) = desk.erasures.problems()
    assert problem.placeholders["count"] == "30"
    assert problem.placeholders["backups"].endswith("UTC), ...")
    copies.confirm(copies.told, T)
    (problem,) = desk.erasures.problems()
    assert problem.placeholders["count"] == "20", "those that were not shown are still there"
    assert copies.told == tuple(f"b{n:02}" for n in range(10, 20))
    desk.close()


def test_a_meeting_that_was_never_held_is_in_no_backup(desk: Desk) -> None:
    due = desk.meeting("m1")
    calm = replace(due.meeting, holds=())
    desk.vault.save_meeting(calm)
    desk.erasures.copies.take(listing({"b": T}), T)
    (receipt,) = desk.erasures.run([replace(due, meeting=calm)], T)
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt.id) or "", SIGNER.vkey)
    assert facts["backups_with_custodians_key"] == []
    assert told(desk) == ""
    desk.close()


def erased_while_backed_up(desk: Desk, agents: Collection[str]) -> None:
    """An erased meeting, and a backup that carries its wrap, with these agents."""
    due = desk.meeting("m1")
    desk.erasures.copies.take(listing({"b": T}, agents=agents, answered=agents), T)
    desk.erasures.run([due], T)
    assert told(desk).startswith("b (")


def test_a_backup_is_gone_only_when_each_who_had_it_says_so(desk: Desk) -> None:
    erased_while_backed_up(desk, ("local", "cloud"))
    copies = desk.erasures.copies
    for answered in ((), ("local",), ("cloudy",)):
        copies.take(listing({}, answered=answered), T)
        assert told(desk).startswith("b ("), "the cloud's agent is not loaded"
    copies.take(listing({"b": T}, agents=["local"]), T)
    copies.take(listing({}), T)
    assert told(desk).startswith("b (")
    copies.take(listing({}, answered=["cloud"]), T)
    assert told(desk) == "", "each of them has answered by now"
    copies.take(listing({"b": T}, agents=["cloud"], answered=["cloud"]), T)
    assert told(desk).startswith("b ("), "an archive that was put back"
    copies.take(listing({}), T)
    assert told(desk).startswith("b (")
    copies.take(listing({}, answered=["cloud"]), T)
    assert told(desk) == ""
    desk.close()


def test_an_agent_that_is_gone_for_good_is_answered_for_by_a_person(desk: Desk) -> None:
    erased_while_backed_up(desk, ["removed"])
    copies = desk.erasures.copies
    copies.take(listing({}), T)
    copies.confirm(copies.told, T)
    copies.take(listing({}), T)
    assert told(desk) == ""
    desk.close()


_AGENTS = st.frozensets(st.sampled_from("abcd"))


@given(_AGENTS, st.lists(st.tuples(_AGENTS, _AGENTS)))
def test_who_had_it_and_was_not_asked_has_it(
    had: frozenset[str], looks: list[tuple[frozenset[str], frozenset[str]]]
) -> None:
    known, truth = had, set(had)
    for here, loaded in looks:
        truth = (truth - loaded) | (here & loaded)
        known = still_with(known, here & loaded, loaded)
        assert known == truth


def test_a_backup_of_which_an_older_version_knew_is_with_somebody(tmp_path: Path) -> None:
    root = tmp_path / "vault"
    root.mkdir()
    with closing(connect(root / "index.db", isolation_level=None)) as db:
        for script in SCRIPTS[:10]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 10")
        time = T.timestamp()
        db.execute("INSERT INTO copy VALUES ('b', ?, NULL, 0), ('gone', ?, 1, 0)", (time, time))
    desk = Desk(tmp_path)
    copies = desk.erasures.copies
    desk.erasures.run([desk.meeting("m1")], T)
    copies.take(listing({}), T)
    assert told(desk) == "b (2026-11-02 09:00 UTC)", "nobody knows who had it"
    copies.take(listing({"b": T}), T)
    copies.take(listing({}), T)
    assert told(desk) == ""
    desk.close()


def test_a_backup_that_is_being_made_is_in_the_receipt(desk: Desk) -> None:
    copies = desk.erasures.copies
    dues = [desk.meeting(f"m{n}") for n in range(5)]

    def erased() -> list[str]:
        (receipt,) = desk.erasures.run([dues.pop()], T + HOURS)
        return carried(desk, receipt.id)

    assert erased() == []
    copies.begin(T)
    assert erased() == [BEING_MADE]
    copies.take(listing({}, settled=True), T)
    copies.end()
    assert erased() == [BEING_MADE], "it is not listed yet"
    copies.take(listing({"b": T}), T)
    assert erased() == ["b", BEING_MADE], "an agent may still be taking it"
    copies.take(listing({"b": T}, settled=True), T)
    assert erased() == ["b"]
    assert told(desk) == "b (2026-11-02 09:00 UTC)"
    desk.close()


def test_a_backup_that_begins_when_the_wrap_is_gone_has_none(desk: Desk) -> None:
    due = desk.meeting("m1")
    desk.vault.release_meeting("m1")
    desk.erasures.copies.begin(T + HOURS)
    (receipt,) = desk.erasures.run([due], T + 2 * HOURS)
    assert carried(desk, receipt.id) == []
    desk.close()
