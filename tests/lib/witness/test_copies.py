"""Backups that carry a key of what was erased: named in the receipt, told until they are gone."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.custody import verify_receipt

from .test_erasures import SIGNER, Desk, T

HOURS = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


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
    copies.take(backups, T, complete=True)
    desk.vault.release_meeting("m1")
    del backups["gone"]
    copies.take(backups, T, complete=False)
    assert len(copies.of(meeting, T)) == 3, "an agent that did not answer may still have it"
    copies.take(backups, T, complete=True)
    assert told(desk) == "", "what is not erased is no problem"
    (receipt,) = desk.erasures.run([replace(due, meeting=meeting)], T + 12 * HOURS)
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt.id) or "", SIGNER.vkey)
    named = [backup["backup"] for backup in facts["backups_with_custodians_key"]]
    assert named == ["running", "within"]
    assert told(desk) == "running (2026-11-02 08:00 UTC), within (2026-11-02 12:00 UTC)"
    del backups["running"]
    copies.take(backups, T, complete=True)
    assert told(desk) == "within (2026-11-02 12:00 UTC)"
    copies.confirm(["before", "running"], T)
    assert told(desk).startswith("within"), "nobody has answered for that one"
    copies.confirm(copies.told, T)
    assert told(desk) == ""
    assert desk.kinds()[-1] == "backup_confirmed_gone"
    copies.take({}, T, complete=False)
    assert told(desk) == "", "what was answered for is not asked again"
    copies.take(backups, T, complete=True)
    assert told(desk).startswith("within"), "it is there, whatever somebody has answered"
    del backups["within"]
    copies.take(backups, T, complete=True)
    backups["running"] = T - HOURS
    copies.take(backups, T, complete=True)
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
    copies.take(backups, T + 6 * HOURS, complete=True)
    (receipt,) = desk.erasures.run([due], T + 7 * HOURS)
    assert carried(desk, receipt.id) == ["late"]
    assert told(desk).startswith("late (")
    assert "never" not in told(desk)
    desk.close()


def test_a_wrap_that_only_its_erasure_ends_is_seen_then(desk: Desk) -> None:
    due = desk.meeting("m1")
    desk.erasures.copies.take({"b": T + 5 * HOURS}, T, complete=True)
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
    copies.take(backups, T - 9 * HOURS, complete=True)
    desk.vault.release_meeting("m1")
    (receipt,) = desk.erasures.run([replace(due, meeting=meeting)], T - 8 * HOURS)
    assert carried(desk, receipt.id) == ["after", "before"]
    assert told(desk).count("UTC") == 2
    desk.close()


def test_a_long_list_is_cut(desk: Desk) -> None:
    due = desk.meeting("m1")
    copies = desk.erasures.copies
    copies.take({f"b{n:02}": T for n in range(30)}, T, complete=True)
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
    desk.erasures.copies.take({"b": T}, T, complete=True)
    (receipt,) = desk.erasures.run([replace(due, meeting=calm)], T)
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt.id) or "", SIGNER.vkey)
    assert facts["backups_with_custodians_key"] == []
    assert told(desk) == ""
    desk.close()
