"""What the index does not list goes only if nothing is lost by it; an absent vault is not begun."""

import os
import shutil
import signal
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy.words import MeetingState
from roomwitness.vault import erasure
from roomwitness.vault.erasure import Erased
from roomwitness.vault.errors import VaultElsewhere, VaultUnwritable
from roomwitness.vault.index import Index
from roomwitness.vault.inspect import export_identities
from roomwitness.vault.leftovers import Fate, Leftover, goes
from roomwitness.vault.store import Vault

from .conftest import CUSTODIAN, Place, T, begin, fork, killed_at, meeting, write

kinds = st.booleans()
leftovers = st.builds(
    Leftover, st.sampled_from(["r1", "r2", "trial-9"]), kinds, kinds, kinds, kinds
)
fates = st.dictionaries(
    st.sampled_from(["r1", "r2"]), st.builds(Fate, st.just("m"), kinds, kinds), max_size=2
)


@given(leftovers, fates)
def test_nothing_that_may_be_worth_something_goes(one: Leftover, told: dict[str, Fate]) -> None:
    fate = told.get(one.recording)
    if fate is not None:
        assert goes(one, told) is fate.erased
    elif one.files or one.held:
        assert not goes(one, told)
    elif not one.folder:
        assert goes(one, told) is one.recording.startswith("trial-")
    else:
        assert goes(one, told)


class Log:
    """An account that tests write; ``refuses`` as a full disk does."""

    def __init__(self, fates: Mapping[str, Fate], *, refuses: bool = False) -> None:
        self._fates = fates
        self._refuses = refuses
        self.asked = 0
        self.gone: list[str] = []

    def fates(self) -> Mapping[str, Fate]:
        self.asked += 1
        return self._fates

    def going(self, leftovers: Sequence[Leftover], _fates: Mapping[str, Fate]) -> bool:
        if not self._refuses:
            self.gone += [one.recording for one in leftovers]
        return not self._refuses


def without_index(place: Place, *, held: bool = False) -> str:
    """A recording whose index is gone; its id."""
    vault = place.open()
    recording = begin(vault)
    write(vault, recording, b"seen " * 9000)
    if held:
        vault.hold_meeting("m1")
    vault.close()
    for path in place.folder.glob("index.db*"):
        path.unlink()
    return recording.id


def there(place: Place, vault: Vault, recording: str) -> tuple[bool, bool, bool]:
    """Whether its ephemeral key, its held key and its files are there."""
    files = [*(place.folder / "segments").glob(f"{recording}/*.age")]
    return recording in vault._ephemeral.ids(), recording in vault._held.ids(), bool(files)


@pytest.mark.parametrize("fate", [None, Fate("m1"), Fate("m1", held=True)])
def test_what_was_begun_is_kept_whatever_the_index_says(place: Place, fate: Fate | None) -> None:
    recording = without_index(place, held=fate is None)
    log = Log({} if fate is None else {recording: fate})
    for _ in range(2):  # The second start finds an index that is not new any more.
        vault = place.open()
        vault.recover(log)
        assert vault.unlisted == {recording}
        assert there(place, vault, recording) == (True, fate is None or fate.held, True)
        assert log.gone == []
        vault.close()


@pytest.mark.parametrize("refuses", [True, False])
def test_what_the_log_says_was_erased_goes_once_that_is_logged(
    place: Place, *, refuses: bool
) -> None:
    recording = without_index(place, held=True)
    vault = place.open()
    log = Log({recording: Fate("m1", erased=True)}, refuses=refuses)
    vault.recover(log)
    assert there(place, vault, recording) == (refuses, refuses, refuses)
    assert log.gone == ([] if refuses else [recording])
    assert vault.unlisted == ({recording} if refuses else frozenset())
    vault.close()


def test_the_log_is_asked_only_about_what_is_not_listed(vault: Vault) -> None:
    write(vault, begin(vault), b"x")
    log = Log({})
    vault.recover(log)
    assert log.asked == 0


def _begin_and_die(place: Place) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    Index.save_recording = die  # type: ignore[method-assign]
    place.open().begin_recording("m1", "c1", T)


def test_a_kill_between_key_and_row_leaves_nothing_behind(place: Place) -> None:
    vault = place.open()
    vault.save_meeting(meeting())
    vault.close()
    child = fork.Process(target=_begin_and_die, args=(place,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    vault = place.open()
    assert len(vault._ephemeral.ids()) == 1
    assert {text.split()[0] for text in vault.check()} == {
        "ephemeral-key-has-recording",
        "folder-has-recording",
    }
    vault.recover()
    assert vault.check() == []
    assert vault.unlisted == frozenset()
    vault.close()


def _begin(place: Place) -> None:
    place.open().begin_recording("m1", "c1", T)


def test_killed_anywhere_while_a_recording_begins(place: Place) -> None:
    vault = place.open()
    vault.save_meeting(meeting())
    vault.close()
    step, died = 0, True
    while died:
        died = killed_at(step, _begin, place)
        vault = place.open()
        vault.recover()
        assert vault.check() == []
        vault.close()
        step += 1
    assert step > 3


def test_a_vault_that_is_not_mounted_is_not_begun_anew(place: Place) -> None:
    recording = without_index(place)
    away = place.root / "away"
    place.folder.rename(away)
    for empty in (False, True):
        if empty:
            (place.folder / "segments").mkdir(parents=True)
        with pytest.raises(VaultElsewhere):
            place.open()
        assert not [p for p in place.folder.rglob("*") if p.is_file()]
    shutil.rmtree(place.folder)
    away.rename(place.folder)
    vault = place.open()
    vault.recover()
    assert there(place, vault, recording) == (True, False, True)
    vault.close()


def test_a_vault_is_begun_where_no_key_is_lost_by_it(place: Place) -> None:
    vault = place.open()
    vault._ephemeral.put("trial-1", vault.keys.ring.new_key()[1])
    vault.close()
    shutil.rmtree(place.folder)
    vault = place.open()
    vault.recover()
    assert vault._ephemeral.ids() == frozenset()
    begin(vault)
    vault.close()
    shutil.rmtree(place.folder)
    with pytest.raises(VaultElsewhere):
        place.open()
    place.ephemeral.rename(place.root / "old")
    place.open().close()


# What a receipt says that was searched for


def erased(vault: Vault, *names: str) -> dict[str, tuple[str, ...]]:
    found = vault.destroy(names)
    return {name: one.verification for name, one in found.items() if isinstance(one, Erased)}


def test_a_search_is_told_only_where_there_was_something_to_search_for(vault: Vault) -> None:
    """A kill, or a lost store, took the keys of ``gone`` before; the others' are found."""
    for name in ("gone", "half", "whole", "none"):
        vault.save_meeting(meeting(name, MeetingState.REVIEW))
        for camera in () if name == "none" else ("c1", "c2"):
            write(vault, vault.begin_recording(name, camera, T), b"x")
    vault._ephemeral.destroy(r.id for r in vault.recordings("gone"))
    vault._ephemeral.destroy([vault.recordings("half")[0].id])
    found = erased(vault, "gone", "half", "whole", "none")
    assert {name for name, words in found.items() if erasure.BYTES_SEARCHED in words} == {"whole"}
    assert all(erasure.KEYS_ABSENT in words for words in found.values())


def test_what_an_attempt_that_failed_destroyed_is_still_searched_for(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(vault, begin(vault), b"x")

    def refuse(*_: object) -> None:
        raise OSError(5, "no")

    with monkeypatch.context() as patch:
        patch.setattr(erasure.shutil, "rmtree", refuse)
        assert isinstance(vault.destroy(["m1"])["m1"], VaultUnwritable)
    assert vault._ephemeral.ids() == frozenset()
    assert erasure.BYTES_SEARCHED in erased(vault, "m1")["m1"]


def test_files_that_are_still_there_are_no_erasure(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(vault, begin(vault), b"x")
    with monkeypatch.context() as patch:
        patch.setattr(erasure.shutil, "rmtree", lambda _path: None)
        assert isinstance(vault.destroy(["m1"])["m1"], VaultUnwritable)
    assert erased(vault, "m1")


def test_a_recording_that_is_not_listed_opens_for_a_custodian(place: Place) -> None:
    recording = without_index(place)
    stores = [place.held / "held-keys.db", place.ephemeral / "ephemeral-keys.db"]
    assert export_identities(stores[:1], CUSTODIAN) == ({}, frozenset())
    found, closed = export_identities(stores, CUSTODIAN)
    assert found.keys() == {recording}
    assert not closed
