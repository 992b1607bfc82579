"""A key store in trouble keeps nothing from going that is not in it, and no word is too many."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.custody import verify_receipt
from roomwitness.vault import erasure
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.keys import KeyStore
from roomwitness.witness.erasures import Due

from .test_erasures import SIGNER, Desk, T

LATER = T + timedelta(minutes=2)
SEARCHED = [erasure.KEYS_ABSENT, erasure.BYTES_SEARCHED, erasure.FILES_ABSENT]
NOT_SEARCHED = [erasure.KEYS_ABSENT, erasure.FILES_ABSENT]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def due(desk: Desk) -> tuple[Due, Due]:
    """A calm meeting, and one whose wraps lie in the held store, though its hold is released."""
    calm, held = desk.meeting("calm"), desk.meeting("held", "r2")
    never = replace(calm.meeting, holds=())
    desk.vault.save_meeting(never)
    desk.vault.release_meeting("calm")
    return replace(calm, meeting=never), held


def sick(patch: pytest.MonkeyPatch, store: KeyStore, *ways: str) -> None:
    def fails(*_: object) -> None:
        raise VaultUnwritable("sick")

    for way in ways:
        patch.setattr(store, way, fails)


def said(desk: Desk, meeting_id: str) -> list[str]:
    facts, _ = verify_receipt(desk.vault.receipt_file(meeting_id) or "", SIGNER.vkey)
    found: list[str] = facts["verification"]
    return found


def no_file_is_left(desk: Desk) -> bool:
    return not list((desk.root / "vault" / "segments").iterdir())


def test_a_held_store_that_cannot_be_written_keeps_no_calm_meeting(desk: Desk) -> None:
    calm, held = due(desk)
    names = {r.id for r in desk.vault.recordings("held")}
    desk.vault._held._connection().execute("PRAGMA query_only=ON")
    (receipt,) = desk.erasures.run([held, calm], T)
    assert receipt.meeting_id == "calm"
    assert said(desk, "calm") == SEARCHED
    assert desk.vault._ephemeral.ids() == set(), "the other store's keys went too"
    assert no_file_is_left(desk)
    assert desk.vault._held.ids() == names
    assert desk.kinds().count("erased") == 1
    assert [(p.key, p.room_id) for p in desk.erasures.problems()] == [("erasure_failed", "r2")]
    desk.vault._held._connection().execute("PRAGMA query_only=OFF")
    (receipt,) = desk.erasures.run([held], LATER)
    assert receipt.meeting_id == "held"
    assert said(desk, "held") == SEARCHED, "its wraps were seen before they went"
    assert desk.vault._held.ids() == set()
    desk.close()


@pytest.mark.parametrize("ways", [("get", "ids"), ("get", "ids", "destroy")])
def test_a_held_store_that_does_not_tell_keeps_keys_and_files_from_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, ...]
) -> None:
    calm, held = due(desk)
    with monkeypatch.context() as patch:
        sick(patch, desk.vault._held, *ways)
        assert desk.erasures.run([held, calm], T) == [], "who can say what is in there?"
    assert desk.vault._ephemeral.ids() == set()
    assert no_file_is_left(desk)
    assert "erased" not in desk.kinds()
    assert len(desk.erasures.run([held, calm], LATER)) == 2
    assert said(desk, "calm") == NOT_SEARCHED
    assert said(desk, "held") == (SEARCHED if "destroy" in ways else NOT_SEARCHED)
    assert desk.vault._held.ids() == set()
    desk.close()


def test_an_ephemeral_store_in_trouble_keeps_none_in_the_held_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, held = due(desk)
    with monkeypatch.context() as patch:
        sick(patch, desk.vault._ephemeral, "get", "destroy")
        assert desk.erasures.run([held, calm], T) == []
    assert desk.vault._held.ids() == set()
    assert no_file_is_left(desk)
    assert "erased" not in desk.kinds()
    assert len(desk.erasures.run([held, calm], LATER)) == 2
    assert desk.vault._ephemeral.ids() == set()
    desk.close()


def _unreadable(*_: object) -> bytes:
    raise OSError(5, "EIO")


def _left(store: KeyStore) -> Callable[..., bytes]:
    before = store.raw(1 << 30)
    assert before is not None
    return lambda *_: before


def test_a_store_whose_bytes_cannot_be_read_gives_no_receipt_yet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, held = due(desk)
    with monkeypatch.context() as patch:
        patch.setattr(desk.vault._held, "raw", _unreadable)
        assert desk.erasures.run([held, calm], T) == []
        assert no_file_is_left(desk)
    assert len(desk.erasures.run([held, calm], LATER)) == 2
    desk.close()


def test_what_is_left_of_one_meeting_is_no_other_ones(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search after the deed looks for the keys of those that went."""
    calm, held = due(desk)
    monkeypatch.setattr(desk.vault._held, "raw", _left(desk.vault._held))
    sick(monkeypatch, desk.vault._held, "destroy")
    assert [r.meeting_id for r in desk.erasures.run([held, calm], T)] == ["calm"]
    desk.close()
