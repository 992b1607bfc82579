"""Checkpoints that are kept: when, for how long, and what they show."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.cli import main
from roomwitness.custody import Checkpoints, CustodyLog, LogTampered, SiteSigner, verify_log
from roomwitness.custody.checkpoints import EVERY, Kept, due, kept_notes, superfluous
from roomwitness.custody.cosignature import cosign
from roomwitness.custody.signing import split_note

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ORIGIN = "roomwitness/test"


@pytest.mark.parametrize(
    ("since", "expected"),
    [(None, True), (0, False), (3599, False), (3600, True), (86400, True), (-1, True)],
)
def test_an_hour_counts_from_the_last_one(since: int | None, expected: bool) -> None:
    last = None if since is None else T - timedelta(seconds=since)
    assert due(last, T) is expected


KEPT = st.lists(
    st.tuples(st.integers(0, 1000 * 86400), st.booleans()), max_size=60, unique_by=lambda t: t[0]
).map(
    lambda found: [
        (Kept(size, T - timedelta(seconds=ago)), attested)
        for size, (ago, attested) in enumerate(sorted(found, reverse=True))
    ]
)


@given(KEPT)
def test_something_stays_of_each_day_and_of_each_month(kept: list[tuple[Kept, bool]]) -> None:
    gone = set(superfluous(kept, T))
    stay = [(each, attested) for each, attested in kept if each not in gone]
    assert not kept or kept[-1] in stay, "the newest"
    assert all(T - each.time > 2 * DAY for each in gone)

    def spans(found: list[tuple[Kept, bool]], form: str, oldest: int) -> dict[str, bool]:
        """Each day or month, and whether what is there of it is attested."""
        spans: dict[str, bool] = {}
        for each, attested in found:
            if T - each.time <= oldest * DAY:
                span = f"{each.time:{form}}"
                spans[span] = spans.get(span, False) or attested
        return spans

    assert spans(stay, "%Y-%m-%d", 366) == spans(kept, "%Y-%m-%d", 366)
    assert spans(stay, "%Y-%m", 1001) == spans(kept, "%Y-%m", 1001)
    assert set(superfluous(stay, T)) == set()
    assert len(stay) <= 1 + len([k for k, _ in kept if T - k.time <= 2 * DAY]) + 367 + 24


@given(
    st.integers(0, 10**15),
    st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001
)
def test_a_name_reads_back(size: int, time: datetime) -> None:
    kept = Kept(size, time.replace(microsecond=0, tzinfo=UTC))
    assert Kept.parse(kept.name) == kept


@given(st.text(max_size=40))
def test_no_other_name_does(name: str) -> None:
    kept = Kept.parse(name)
    assert kept is None or kept.name == name
    assert Kept.parse("000000000001-20269902T090000Z") is None


@pytest.fixture
def log(tmp_path: Path) -> CustodyLog:
    return CustodyLog(tmp_path, SiteSigner.generate(ORIGIN), ORIGIN).open()


def test_all_that_is_kept_must_be_where_the_log_once_stood(
    log: CustodyLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Checkpoints(tmp_path).open()
    assert store.last is None
    for number in range(5):
        log.append("start", T, meeting=f"m{number}")
        store.keep(log.checkpoint(), log.size, T + number * EVERY)
    log.close()
    assert store.last == T + 4 * EVERY == Checkpoints(tmp_path).open().last
    assert verify_log(tmp_path).kept == 5
    assert [kept.size for kept, _ in kept_notes(tmp_path)] == [1, 2, 3, 4, 5]
    assert main(["verify-log", str(tmp_path)]) == 0
    assert "each of the 5 checkpoints" in capsys.readouterr().out
    # Rewritten with the key in hand, from the third entry on.
    signer = log._signer
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("log.jsonl", "checkpoint", "log.state", "log.tree"):
        (tmp_path / name).unlink(missing_ok=True)
    again = CustodyLog(tmp_path, signer, ORIGIN).open()
    again.append_all([line.rstrip(b"\n").replace(b"m3", b"m9") for line in lines])
    again.checkpoint()
    again.close()
    with pytest.raises(LogTampered):
        verify_log(tmp_path)


def test_of_an_older_log_that_was_put_back_the_newer_ones_are_set_aside(
    log: CustodyLog, tmp_path: Path
) -> None:
    store = Checkpoints(tmp_path).open()
    for number in range(4):
        log.append("start", T)
        kept = store.keep(log.checkpoint(), log.size, T + number * EVERY)
        store.path(kept, ".tsr").write_bytes(b"t")
    log.close()
    assert store.set_aside(4, T) is None
    assert store.set_aside(2, T) == 4
    assert [kept.size for kept in store.all()] == [1, 2]
    assert store.last == T + EVERY
    assert len(list((tmp_path / "checkpoints").glob("rolled-back-*/*"))) == 4


def test_tidying_prefers_what_others_attested(log: CustodyLog, tmp_path: Path) -> None:
    store = Checkpoints(tmp_path).open()
    signer = SiteSigner.generate("other")
    found = []
    for hour in range(6):
        log.append("start", T)
        kept = store.keep(log.checkpoint(), log.size, T + hour * EVERY)
        found.append(kept)
        if hour in (2, 3):
            store.add_cosignature(kept, cosign(signer, split_note(store.note(kept))[0], T))
    store.add_timestamp(found[4], b"token")
    newest = store.keep(log.checkpoint(), log.size, T + 4 * DAY)
    store.tidy(T + DAY)
    assert len(store.all()) == 7
    store.tidy(T + 4 * DAY)
    assert store.all() == [found[4], newest]
    assert store.path(found[4], ".tsr").exists()
    log.close()


@pytest.mark.parametrize("broken", ["mkdir", "unlink"])
def test_a_folder_that_cannot_be_written_is_tried_again(
    log: CustodyLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    from roomwitness.custody import LogUnwritable

    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "no")

    store = Checkpoints(tmp_path).open()
    if broken == "unlink":
        store.keep(log.checkpoint(), 1, T)
        store.keep(log.checkpoint(), 2, T + timedelta(seconds=1))
        store.keep(log.checkpoint(), 3, T + 9 * DAY)
    act: dict[str, Callable[[], object]] = {
        "mkdir": lambda: store.keep(log.checkpoint(), 1, T),
        "unlink": lambda: store.tidy(T + 9 * DAY),
    }
    with monkeypatch.context() as patch:
        patch.setattr(Path, broken, refuse)
        if broken == "mkdir":
            with pytest.raises(LogUnwritable):
                act[broken]()
            assert not due(store.last, T + timedelta(seconds=59))
            assert due(store.last, T + timedelta(seconds=60))
        else:
            act[broken]()
            assert len(store.all()) == 3
    act[broken]()
    assert len(store.all()) == (1 if broken == "mkdir" else 2)
    log.close()
