"""Lines that no head signs: a kill leaves none, and those of anybody else are not believed."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness import files
from roomwitness.cli import main
from roomwitness.custody import (
    CustodyLog,
    LogTampered,
    LogUnwritable,
    SiteSigner,
    encode_entry,
    read_account,
    verify,
    verify_log,
)
from roomwitness.custody.adopted import ADOPTED, doubted, in_doubt, told
from roomwitness.custody.merkle import CompactRange
from roomwitness.custody.signing import Checkpoint
from roomwitness.custody.tree import TreeFile

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/test"
SIGNER = SiteSigner.generate(ORIGIN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of four entries."""
    place = tmp_path / "custody"
    log = opened(place)
    for number in range(4):
        log.append("threat", T, meeting=f"m{number}")
    log.close()
    return place


@pytest.fixture
def nobody_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is killed lets go of the log's lock; here the process goes on."""
    monkeypatch.setattr("roomwitness.custody.log.lock", lambda _fd: True)


def opened(folder: Path) -> CustodyLog:
    return CustodyLog(folder, SIGNER, ORIGIN).open(T)


def forge(folder: Path, *entries: dict[str, object]) -> None:
    """Write behind the log as somebody may who has no key."""
    with (folder / "log.jsonl").open("ab") as file:
        for entry in entries:
            fields = dict(entry)
            file.write(encode_entry(str(fields.pop("kind")), T, fields) + b"\n")  # type: ignore[arg-type]


def entries(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").open()]


class Killed(BaseException):
    """Nothing after this happens."""


class Kills:
    """Ends the process, so to speak, before the n-th step of the disk."""

    STEPS = ("write", "pwrite", "fsync", "replace", "unlink", "ftruncate")

    def __init__(self, patch: pytest.MonkeyPatch, before: int) -> None:
        self._left = before
        for name in self.STEPS:
            patch.setattr(os, name, self._step(getattr(os, name)))

    def _step(self, real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **words: object) -> object:
            if self._left == 0:
                raise Killed
            self._left -= 1
            return real(*args, **words)

        return step


def _at_work(folder: Path, done: list[int]) -> None:
    """Every kind of change; ``done`` grows with each that was reported."""
    log = opened(folder)

    def append(count: int = 1) -> None:
        log.append_all([encode_entry("hold", T, {"n": n}) for n in range(count)])
        done.append(log.size)

    append()
    append(3)
    log.checkpoint()
    log.holding = True
    append()
    append(2)
    log.checkpoint()
    append()
    log.holding = False
    log.checkpoint()
    append()
    log.holding = True
    append()
    log.close()


def _steps() -> Iterator[int]:
    return iter(range(1000))


@pytest.mark.usefixtures("nobody_dies")
def test_a_kill_between_any_two_steps_leaves_every_line_signed(folder: Path) -> None:
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for step in _steps():
        for path in folder.iterdir():
            path.unlink()
        for name, data in whole.items():
            (folder / name).write_bytes(data)
        done = [4]
        try:
            with pytest.MonkeyPatch.context() as patch:
                Kills(patch, step)
                _at_work(folder, done)
        except Killed:
            found = verify_log(folder, SIGNER.vkey)
            assert found.unsigned == 0, step
            again = opened(folder)
            assert again.adopted == 0, step
            assert again.size >= done[-1], step
            again.append("hold", T)
            again.close()
            after = verify_log(folder, SIGNER.vkey)
            assert (after.unsigned, after.adopted) == (0, ())
            continue
        break
    assert step > 40
    assert len(done) == 8


@pytest.mark.usefixtures("nobody_dies")
@pytest.mark.parametrize("name", ["custody.log.ahead", "custody.log.held"])
def test_a_kill_while_lines_are_taken_in_keeps_none_of_them_from_being_told(
    folder: Path, name: str
) -> None:
    """The log has a head beside the checkpoint, which must not get lost meanwhile."""
    log = opened(folder)
    log.holding = True
    log.append("hold", T)
    log.close()
    (folder / "custody.log.held").rename(folder / name)
    forge(folder, {"kind": "release_hold", "hold": "h", "meeting": "m"})
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for step in _steps():
        for path in folder.iterdir():
            path.unlink()
        for name, data in whole.items():
            (folder / name).write_bytes(data)
        try:
            with pytest.MonkeyPatch.context() as patch:
                Kills(patch, step)
                opened(folder).close()
        except Killed:
            opened(folder).close()
            assert verify_log(folder, SIGNER.vkey).adopted == (range(5, 6),), step
            continue
        break
    assert step > 10
    assert entries(folder)[-1] == {"kind": ADOPTED, "time": T.isoformat(), "first": 5, "count": 1}


def test_a_head_that_the_lines_do_not_reach_says_nothing(folder: Path) -> None:
    for name, text in (
        ("custody.log.ahead", SIGNER.sign(Checkpoint(ORIGIN, 9, b"x" * 32).text())),
        ("custody.log.held", "rubbish"),
    ):
        (folder / name).write_text(text)
        assert verify_log(folder, SIGNER.vkey).size == 4
    forge(folder, {"kind": "hold"})
    (folder / "custody.log.held").write_text(SIGNER.sign(Checkpoint(ORIGIN, 5, b"x" * 32).text()))
    assert verify_log(folder, SIGNER.vkey).unsigned == 1
    assert opened(folder).adopted == 1
    assert not (folder / "custody.log.held").exists()


def test_what_a_site_at_work_writes_meanwhile_is_not_unsigned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads are read before the lines."""
    log = opened(folder)
    real = verify.kept_notes

    def at_work(custody: Path) -> object:
        log.append_all([encode_entry("hold", T, {})] * 3)
        return real(custody)

    monkeypatch.setattr(verify, "kept_notes", at_work)
    for size in (4, 7, 10):
        found = verify_log(folder, SIGNER.vkey)
        assert (found.size, found.unsigned) == (size, 0)
        log.holding = True
    log.close()


def test_what_comes_and_goes_while_the_folder_is_copied_is_in_no_backup(folder: Path) -> None:
    """A backup of Home Assistant fails if a file goes while it is made."""
    log = opened(folder)
    log.holding = True
    before = {path.name for path in folder.iterdir()}
    names = set[str]()

    def seen(path: Path, *_: object, **__: object) -> None:
        names.add(path.name)

    with pytest.MonkeyPatch.context() as patch:
        real = files.replace
        patch.setattr(
            "roomwitness.custody.log.replace",
            lambda path, data, *, sync: (seen(path), real(path, data, sync=sync)),
        )
        log.append("hold", T)
        log.checkpoint()
    names |= {path.name for path in folder.iterdir()} - before
    assert names == {"custody.log.ahead", "custody.log.held"}
    assert all(PurePath(f"vault/custody/{name}").match("*.log.*") for name in names)
    log.close()


def test_a_head_of_another_key_signs_nothing(folder: Path) -> None:
    forge(folder, {"kind": "hold"})
    tree = CompactRange()
    for line in (folder / "log.jsonl").read_bytes().splitlines():
        tree.append(line)
    head = Checkpoint(ORIGIN, tree.size, tree.root()).text()
    (folder / "custody.log.ahead").write_text(SiteSigner.generate(ORIGIN).sign(head))
    assert verify_log(folder, SIGNER.vkey).unsigned == 1
    (folder / "custody.log.ahead").write_text(SIGNER.sign(head))
    assert verify_log(folder, SIGNER.vkey).unsigned == 0


def test_the_command_tells_of_unsigned_lines_before_a_start_and_after_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(folder, {"kind": "release_hold", "hold": "h"}, {"kind": "erased", "meeting": "m"})
    assert main(["verify-log", str(folder)]) == 1
    assert "UNSIGNED: 2 lines from entry 4 on" in capsys.readouterr().out
    opened(folder).close()
    assert main(["verify-log", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Entries 4 to 5 were not signed when a start found them" in out
    assert "UNSIGNED" not in out


def test_what_is_no_entry_is_cut_off_if_it_is_not_signed(folder: Path) -> None:
    before = (folder / "log.jsonl").read_bytes()
    with (folder / "log.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n{}\n")
    with pytest.raises(LogTampered):
        verify_log(folder, SIGNER.vkey)
    opened(folder).close()
    assert (folder / "log.jsonl").read_bytes() == before
    assert verify_log(folder, SIGNER.vkey).size == 4


ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=12)


@given(ROWS)
def test_doubt_is_cast_by_signed_entries_only(rows: list[tuple[bool, int]]) -> None:
    """Each row is a stretch of lines: signed ones, or forged ones that claim to be what tells."""
    lines: list[bytes] = []
    forged: set[int] = set()
    for signed, count in rows:
        if signed:
            lines += [encode_entry("hold", T, {"n": n}) for n in range(count)]
            continue
        forged |= set(range(len(lines), len(lines) + count))
        lines += [encode_entry(ADOPTED, T, {"first": 0, "count": 99})] * count
        if count:
            fields = {"first": len(lines) - count, "count": count}
            lines.append(encode_entry(ADOPTED, T, fields))
    doubt = doubted(enumerate(lines))
    assert {n for n in range(len(lines)) if in_doubt(n, doubt)} == forged
    assert len(told(lines, ["hold"])) == sum(count for signed, count in rows if signed)


def test_only_what_loses_nothing_is_taken_from_unsigned_lines(folder: Path) -> None:
    log = opened(folder)
    log.append("recording_begun", T, recording="r", meeting="m")
    log.append("recording_ended", T, recording="r", files=1, files_root="aa")
    log.append("report_threat", T, hold="h", meeting="m")
    log.append("release_hold", T, hold="gone", meeting="m")
    log.close()
    before = read_account(folder, SIGNER.vkey)
    forge(
        folder,
        {"kind": "recording_begun", "recording": "r", "meeting": "x"},
        {"kind": "recording_begun", "recording": "r2", "meeting": "m"},
        {"kind": "recording_amended", "recording": "r", "files": 2, "files_root": "bb"},
        {"kind": "recording_ended", "recording": "r2", "files": 2, "files_root": "bb"},
        {"kind": "release_hold", "hold": "h", "meeting": "m"},
        {"kind": "lapse_hold", "hold": "h", "meeting": "m"},
        {"kind": "place_hold", "hold": "h", "meeting": "x"},
        {"kind": "place_hold", "hold": "gone", "meeting": "m"},
        {"kind": "place_hold", "hold": "h2", "meeting": "m"},
        {"kind": "erased", "meeting": "m"},
        {"kind": ADOPTED, "first": 0, "count": 99},
    )
    waiting = read_account(folder, SIGNER.vkey)
    assert (waiting.held, waiting.unsigned) == (before.held, 11)
    opened(folder).close()
    after = read_account(folder, SIGNER.vkey)
    assert after.begun == {"r": "m", "r2": "m"}
    assert (after.ended, after.erased) == (before.ended, frozenset())
    assert (after.held, after.released) == ({"h", "h2"}, before.released)
    assert after.unsigned == 0


def test_an_entry_that_cannot_be_signed_is_written_only_if_it_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(folder)
    before = (folder / "log.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("roomwitness.custody.log.replace", _full)
        with pytest.raises(LogUnwritable):
            log.append("release_hold", T)
        assert (folder / "log.jsonl").read_bytes() == before
        assert log.append_all([encode_entry("report_threat", T, {})], unsigned=True) == 4
    assert verify_log(folder, SIGNER.vkey).unsigned == 1
    assert log.append("release_hold", T) == 5
    log.close()
    assert (verify_log(folder, SIGNER.vkey).size, opened(folder).adopted) == (6, 0)


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


type Asks = list[Callable[[CustodyLog], object]]
FROM_LINES: Asks = [
    lambda log: log.prove_all([(1, encode_entry("threat", T, {"meeting": "m1"}))]),
    lambda log: log.prove_under(1, b"", log.checkpoint()),
    lambda log: log.consistency_to(3, Checkpoint(ORIGIN, 4, b"")),
    lambda log: list(log.since(0)),
]
FROM_TREE: Asks = [
    *FROM_LINES[:3],
    lambda log: log.consistency(3),
    lambda log: log.root_at(4),
]


@pytest.mark.parametrize("ask", FROM_TREE)
def test_hashes_that_cannot_be_read_are_an_error_of_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[CustodyLog], object]
) -> None:
    log = opened(folder)
    monkeypatch.setattr(TreeFile, "subtree", _full)
    with pytest.raises(LogUnwritable):
        ask(log)


@pytest.mark.parametrize("ask", FROM_LINES)
def test_lines_that_cannot_be_read_are_an_error_of_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[CustodyLog], object]
) -> None:
    """The hashes are wrong, and must be made again."""
    log = opened(folder)
    (folder / "log.tree").write_bytes(bytes(7 * 32))
    monkeypatch.setattr(Path, "open", _full)
    with pytest.raises(LogUnwritable):
        ask(log)
