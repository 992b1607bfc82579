"""The log on disk: what a kill leaves, and what no tampering survives."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomwitness.cli import main
from roomwitness.custody import CustodyLog, LogTampered, LogUnwritable, SiteSigner, verify_log
from roomwitness.custody import log as log_module
from roomwitness.custody.errors import LogInUse
from roomwitness.custody.signing import Checkpoint, open_note

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/test"


@pytest.fixture
def signer() -> SiteSigner:
    return SiteSigner.generate(ORIGIN)


@pytest.fixture
def folder(tmp_path: Path, signer: SiteSigner) -> Path:
    """A signed log of eight entries."""
    place = tmp_path / "custody"
    log = CustodyLog(place, signer, ORIGIN).open()
    for number in range(8):
        assert log.append("threat", T, meeting=f"m{number}", ok=True, bytes=number) == number
    log.checkpoint()
    log.close()
    return place


def test_a_whole_log_verifies(folder: Path, signer: SiteSigner) -> None:
    found = verify_log(folder, signer.vkey)
    assert (found.origin, found.size, found.unsigned) == (ORIGIN, 8, 0)
    assert found.last_time == T.isoformat()
    assert verify_log(folder) == found


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_kill_in_mid_line_loses_only_what_nobody_was_told(
    folder: Path, signer: SiteSigner, cut: int
) -> None:
    before, head = (folder / "log.jsonl").read_bytes(), (folder / "checkpoint").read_bytes()
    log = CustodyLog(folder, signer, ORIGIN).open()
    log.append("hold", T, meeting="m")
    log.close()
    whole = (folder / "log.jsonl").read_bytes()
    (folder / "log.jsonl").write_bytes(whole[:-cut])
    (folder / "checkpoint").replace(folder / "custody.log.ahead")
    (folder / "checkpoint").write_bytes(head)
    (folder / "log.state").unlink(missing_ok=True)
    CustodyLog(folder, signer, ORIGIN).open().close()
    assert (folder / "log.jsonl").read_bytes() == before
    assert verify_log(folder).size == 8


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_byte_goes_unseen(folder: Path, signer: SiteSigner, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["log.jsonl", "checkpoint"]))
    original = (folder / name).read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(original)
    changed[place] ^= flip
    (folder / name).write_bytes(changed)
    try:
        with pytest.raises(LogTampered):
            verify_log(folder, signer.vkey)
    finally:
        (folder / name).write_bytes(original)


def lines(folder: Path) -> list[bytes]:
    return (folder / "log.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("how", ["removed", "reordered", "doubled", "shortened", "no checkpoint"])
def test_tampering_is_named_by_verify_and_by_open(
    folder: Path, signer: SiteSigner, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lines(folder)
    if how == "removed":
        found.pop(3)
    elif how == "reordered":
        found[2], found[5] = found[5], found[2]
    elif how == "doubled":
        found.insert(2, found[2])
    elif how == "shortened":
        found.pop()
    else:
        (folder / "checkpoint").unlink()
    (folder / "log.jsonl").write_bytes(b"".join(found))
    with pytest.raises(LogTampered):
        CustodyLog(folder, signer, ORIGIN).open()
    assert main(["verify-log", str(folder)]) == 1
    assert "log_tampered" in capsys.readouterr().err


def test_the_command_says_what_it_checked(
    folder: Path, signer: SiteSigner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify-log", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OK: 8 signed entries of roomwitness/test")
    assert "compare it with the one the site published" in out
    published = tmp_path / "site.vkey"
    published.write_text(signer.vkey + "\n")
    assert main(["verify-log", str(folder), "--vkey", str(published)]) == 0
    assert "compare" not in capsys.readouterr().out
    published.write_text(SiteSigner.generate(ORIGIN).vkey)
    assert main(["verify-log", str(folder), "--vkey", str(published)]) == 1


def test_another_sites_log_does_not_pass_for_ours(tmp_path: Path, signer: SiteSigner) -> None:
    CustodyLog(tmp_path / "a", signer, "roomwitness/other").open().close()
    with pytest.raises(LogTampered):
        CustodyLog(tmp_path / "a", signer, ORIGIN).open()


def test_a_log_that_was_emptied_together_with_its_lines_is_tampered(
    folder: Path, signer: SiteSigner
) -> None:
    (folder / "log.jsonl").unlink()
    with pytest.raises(LogTampered):
        CustodyLog(folder, signer, ORIGIN).open()


@pytest.mark.parametrize("room", [0, 1, 17])
def test_a_full_disk_leaves_the_log_as_it_was(
    folder: Path, signer: SiteSigner, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    log = CustodyLog(folder, signer, ORIGIN).open()
    real = log_module.os.write

    def short(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(fd, data[:room])

    with monkeypatch.context() as patch:
        patch.setattr(log_module.os, "write", short)
        with pytest.raises(LogUnwritable):
            log.append("hold", T)
    assert log.append("hold", T) == 8
    log.checkpoint()
    log.close()
    assert verify_log(folder).size == 9


def test_a_closed_log_and_an_unusable_folder_say_so(
    folder: Path, signer: SiteSigner, tmp_path: Path
) -> None:
    log = CustodyLog(folder, signer, ORIGIN).open()
    shutil.rmtree(folder)
    with pytest.raises(LogUnwritable):
        log.checkpoint()
    log.close()
    log.close()
    with pytest.raises(LogUnwritable):
        log.append("hold", T)
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnwritable):
        CustodyLog(tmp_path / "file", signer, ORIGIN).open()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n-1\nAAAA\n",
        "origin\n01\nAAAA\n",
        "origin\n1\n***\n",
        "o\nx\nAAAA\n",
    ],
)
def test_a_checkpoint_has_one_form(text: str) -> None:
    with pytest.raises(LogTampered):
        Checkpoint.parse(text)


def test_signed_notes_name_their_signer(signer: SiteSigner) -> None:
    note = signer.sign("hello\n")
    assert open_note(note, signer.vkey) == "hello\n"
    other = SiteSigner.from_private_bytes("roomwitness/other", signer.private_bytes)
    for bad in (
        (note, other.vkey),
        (note, signer.vkey.replace("+", "-")),
        (note, signer.vkey[:-4]),
        (note, f"{ORIGIN}+00000000+{signer.vkey.rpartition('+')[2]}"),
        ("hello\n", signer.vkey),
        (note.replace("hello", "hallo"), signer.vkey),
        (note.replace("\N{EM DASH}", "-"), signer.vkey),
    ):
        with pytest.raises(LogTampered):
            open_note(*bad)
    for name in ("", "a b", "a+b"):
        with pytest.raises(ValueError, match="key name"):
            SiteSigner.generate(name)


def test_a_half_line_that_cannot_be_taken_back_goes_before_the_next(
    folder: Path, signer: SiteSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CustodyLog(folder, signer, ORIGIN).open()
    real = log_module.os.write

    def fail(*_: object) -> None:
        raise OSError(5, "EIO")

    with monkeypatch.context() as patch:
        patch.setattr(log_module.os, "write", lambda fd, data: real(fd, data[:9]))
        patch.setattr(log_module.os, "ftruncate", fail)
        with pytest.raises(LogUnwritable):
            log.append("hold", T)
        with pytest.raises(LogUnwritable):
            log.append("hold", T)
    assert log.append("hold", T) == 8
    log.checkpoint()
    log.close()
    assert verify_log(folder).size == 9


def test_a_kept_checkpoint_shows_what_was_rewritten_or_rolled_back(
    folder: Path, signer: SiteSigner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By somebody who has the site's key: the log itself is whole each time."""
    kept = [(folder / "checkpoint").read_text()]
    log = CustodyLog(folder, signer, ORIGIN).open()
    log.append("hold", T)
    kept.append(log.checkpoint())
    log.append("release", T)
    log.checkpoint()
    log.close()
    assert verify_log(folder, signer.vkey, kept).size == 10
    file, key = tmp_path / "kept", tmp_path / "vkey"
    key.write_text(signer.vkey)
    file.write_text(kept[1])
    words = ["verify-log", str(folder), "--vkey", str(key), "--kept", str(file)]
    assert main(words) == 0
    assert "continues each of 1 kept" in capsys.readouterr().out
    for count, place in ((8, "rolled back"), (10, "rewritten")):
        other = CustodyLog(tmp_path / place, signer, ORIGIN).open()
        for number in range(count):
            other.append("threat", T, meeting=f"m{number}", ok=True, bytes=number)
        other.checkpoint()
        other.close()
        assert verify_log(tmp_path / place, signer.vkey).size == count
        with pytest.raises(LogTampered):
            verify_log(tmp_path / place, signer.vkey, kept)
    elsewhere = SiteSigner.generate(ORIGIN)
    with pytest.raises(LogTampered):
        verify_log(folder, signer.vkey, [elsewhere.sign(open_note(kept[0], signer.vkey))])
    named = Checkpoint(
        "roomwitness/other", 0, Checkpoint.parse(open_note(kept[0], signer.vkey)).root
    )
    with pytest.raises(LogTampered):
        verify_log(folder, signer.vkey, [signer.sign(named.text())])
    file.write_text("rubbish")
    assert main(words) == 1


def test_two_never_append_to_one_log(tmp_path: Path) -> None:
    signer = SiteSigner.generate(ORIGIN)
    first = CustodyLog(tmp_path, signer, ORIGIN).open()
    first.append("begun", T)
    with pytest.raises(LogInUse):
        CustodyLog(tmp_path, signer, ORIGIN).open()
    first.append("ended", T)
    first.close()
    again = CustodyLog(tmp_path, signer, ORIGIN).open()
    assert again.size == 2
    again.close()
