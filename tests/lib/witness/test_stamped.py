"""Heads are stamped by a real timestamp authority, OpenSSL's, over HTTP."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from roomwitness.cli import main
from roomwitness.custody.checkpoints import TIMESTAMP, Checkpoints
from roomwitness.custody.errors import TimestampInvalid
from roomwitness.witness import TimestampConfig
from roomwitness.witness.outside import wait
from tests.tsa import Authority

from .house import House
from .test_outside import DAY, HOUR, Site


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    found = Site(house)
    await found.open()
    yield found
    await found.witness.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def stamped(site: Site) -> list[Path]:
    """The checkpoints that have a timestamp."""
    store = Checkpoints(site.custody)
    return [store.path(kept) for kept in store.all() if store.path(kept, TIMESTAMP).exists()]


@pytest.mark.parametrize("given", [True, False])
async def test_each_head_is_stamped_and_both_programs_check_it(
    site: Site,
    session: aiohttp.ClientSession,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    given: bool,
) -> None:
    async with authority as tsa:
        root = tsa.root if given else ""
        site.outside.configure(session, timestamps=TimestampConfig(url=tsa.url, root=root))
        for _ in range(3):
            await site.hour()
        assert site.problems() == {}
        files = stamped(site)
        assert len(files) == len(tsa.requests) == 3
        for file in files:
            assert "Verification: OK" in tsa.verified(file, file.with_suffix(TIMESTAMP))
        words = ["verify-log", str(site.custody)]
        assert main(words) == 0
        assert "3 of them have a timestamp, not checked" in capsys.readouterr().out
        words += ["--tsa-root", str(tsa.folder / "root.pem")]
        assert main(words) == 0
        told = capsys.readouterr().out
        assert "3 timestamps hold: 1 entries were there at " in told
        stamp = datetime.fromisoformat(told.partition(", 3 at ")[2].split()[0])
        assert abs(stamp - datetime.now(UTC)) < timedelta(minutes=1)
        shutil.copyfile(files[0].with_suffix(TIMESTAMP), files[2].with_suffix(TIMESTAMP))
        assert main(words) == 1
        assert "timestamp_invalid" in capsys.readouterr().err
        for file in files:
            file.with_suffix(TIMESTAMP).unlink()
        assert main(words) == 1


async def test_silence_is_told_after_a_day_and_a_wrong_stamp_at_once(
    site: Site, session: aiohttp.ClientSession, authority: Authority, tmp_path: Path
) -> None:
    async with authority as tsa:
        config = TimestampConfig(url=tsa.url, root=tsa.root)
        site.outside.configure(session, timestamps=config)
        tsa.broken = 503
        await site.hour()
        assert site.problems() == {}
        await site.later(DAY)
        assert site.problems() == {"timestamp_unreachable": "127.0.0.1"}
        tsa.broken = None
        await site.later(HOUR)
        assert site.problems() == {}
        first = tsa.last
        tsa.replay = first
        await site.hour()
        assert site.problems() == {"timestamp_invalid": "127.0.0.1"}, "a stamp of something else"
        tsa.replay, tsa.broken = None, 404
        await site.later(wait(1))
        assert site.problems() == {"timestamp_invalid": "127.0.0.1"}
        tsa.broken = None
        other = Authority(tmp_path / "other")
        wrong = TimestampConfig(url=tsa.url, root=other.root)
        site.outside.configure(session, timestamps=wrong)
        await site.outside.look(site.clock.now)
        assert site.problems() == {"timestamp_invalid": "127.0.0.1"}
        before = len(stamped(site))
        site.outside.configure(session, timestamps=config)
        await site.later(wait(3))
        assert site.problems() == {}
        assert len(stamped(site)) == before + 1
    site.outside.configure(session, timestamps=TimestampConfig(url="http://127.0.0.1:1/"))
    await site.hour()
    await site.later(DAY)
    assert list(site.problems()) == ["timestamp_unreachable"]
    with pytest.raises(TimestampInvalid):
        site.outside.configure(session, timestamps=TimestampConfig(url="http://x", root="nonsense"))
