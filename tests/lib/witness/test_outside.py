"""Heads go to witnesses over HTTP, real ones on this machine; nothing inside waits for them."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from roomwitness.cli import main
from roomwitness.custody import LogTampered, verify_log
from roomwitness.custody.checkpoints import kept_notes
from roomwitness.custody.cosignature import cosignatures
from roomwitness.witness import Witness, WitnessConfig
from roomwitness.witness.outside import Outside, wait
from tests.witness_server import WitnessServer

from .house import House

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now


class Site:
    """A site whose time and whose looks outside are the test's."""

    def __init__(self, house: House) -> None:
        self.house, self.clock = house, Clock()
        self.witness: Witness
        self.changed = 0

    async def open(self) -> None:
        self.witness = Witness(self.house.config, clock=self.clock)
        await self.witness.start()
        assert self.witness._ticker is not None
        self.witness._ticker.cancel()
        await self.outside.stop()

    @property
    def outside(self) -> Outside:
        return self.witness.outside

    @property
    def custody(self) -> Path:
        return self.house.config.root / "custody"

    async def hour(self) -> None:
        """An hour later a head is kept, and they look outside."""
        self.clock.now += HOUR
        await self.witness.tick()
        await self.outside.look(self.clock.now)

    async def later(self, time: timedelta) -> None:
        self.clock.now += time
        await self.outside.look(self.clock.now)

    def problems(self) -> dict[str, str]:
        return {p.key: p.placeholders["names"] for p in self.witness.problems()}

    def cosigned(self, vkey: str) -> list[int]:
        return [
            kept.size for kept, note in kept_notes(self.custody) if list(cosignatures(note, [vkey]))
        ]


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


def vkey(site: Site) -> str:
    return (site.custody / "log.vkey").read_text().strip()


async def test_each_head_is_cosigned_once_and_the_command_checks_it(
    site: Site,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with WitnessServer(vkey(site)) as one, WitnessServer(vkey(site), name="w2") as two:
        one.extra = f"\u2014 stranger {base64.b64encode(bytes(76)).decode()}\n"
        site.outside.configure(session, [WitnessConfig(url=w.url, vkey=w.vkey) for w in (one, two)])
        await site.outside.look(site.clock.now)
        assert one.requests == [], "an empty log has nothing to show"
        for _ in range(5):
            await site.hour()
            await site.outside.look(site.clock.now)
        assert one.answers == two.answers == [200] * 5
        assert one.seen == two.seen
        assert site.cosigned(one.vkey) == site.cosigned(two.vkey) == [1, 2, 3, 4, 5]
        assert site.problems() == {}
        witnesses = tmp_path / "witnesses"
        witnesses.write_text(f"{one.vkey}\n{two.vkey}\n")
        words = ["verify-log", str(site.custody), "--witness", str(witnesses)]
        assert main(words) == 0
        out = capsys.readouterr().out
        assert f"cosigned by {one.name}: up to entry 5, last at 2027-01-15T08:00:05+00:00" in out
        assert "cosigned by w2: up to entry 5" in out
        assert "stranger" not in "".join(note for _, note in kept_notes(site.custody))
        assert main(["prove", str(site.custody), "2"]) == 0
        proof = tmp_path / "2.tlog-proof"
        proof.write_text(capsys.readouterr().out)
        key = tmp_path / "vkey"
        key.write_text(vkey(site))
        check = ["verify-proof", str(proof), "--vkey", str(key), "--witness", str(witnesses)]
        assert main(check) == 0
        assert "seen by w2 at" in capsys.readouterr().out
        witnesses.write_text(WitnessServer(name="w3").vkey)
        assert main(words) == 1
        assert "w3" in capsys.readouterr().err
        witnesses.write_text(two.vkey)
        path = next((site.custody / "checkpoints").glob("*5-*.cosignatures"))
        path.write_text(path.read_text().replace("w2 ", "w2 A"))
        assert main(words) == 1
        with pytest.raises(LogTampered):
            verify_log(site.custody)


async def test_a_restart_asks_the_witness_where_it_is(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async with WitnessServer(vkey(site)) as server:
        config = WitnessConfig(url=f"{server.url}/add-checkpoint", vkey=server.vkey)
        site.outside.configure(session, [config])
        await site.hour()
        await site.witness.stop()
        await site.open()
        site.outside.configure(session, [config])
        await site.outside.look(site.clock.now)
        assert server.answers == [200], "what is cosigned is not sent again"
        await site.hour()
        assert server.answers == [200, 409, 200]
        server.seen = {}  # A witness that was restored from an older state.
        await site.hour()
        assert server.answers == [200, 409, 200, 409, 200]
        assert site.problems() == {}
        await site.witness.stop()
        (site.custody / "outside.json").write_text("nonsense")
        await site.open()
        site.outside.configure(session, [config])
        await site.outside.look(site.clock.now)
        assert server.answers[5:] in ([200], [409, 200]), "asked and told anew"


def test_waits_grow_to_half_an_hour() -> None:
    assert [wait(n) / timedelta(minutes=1) for n in (1, 2, 3, 4, 5, 6, 400)] == [
        *(1, 2, 4, 8, 16, 30, 30)
    ]


async def test_silence_is_retried_and_told_after_a_day(
    site: Site, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with WitnessServer(vkey(site)) as server:
        config = WitnessConfig(url=server.url, vkey=server.vkey)
        site.outside.configure(session, [config])
        server.broken = 503
        await site.hour()
        await site.later(timedelta(seconds=30))
        assert len(server.requests) == 1
        await site.later(timedelta(seconds=30))
        await site.later(timedelta(seconds=119))
        assert len(server.requests) == 2
        await site.later(timedelta(seconds=1))
        assert len(server.requests) == 3
        await site.later(-DAY)  # A clock that is set back does not make it wait.
        assert len(server.requests) == 4
        site.clock.now += DAY
    await site.later(DAY - HOUR)
    assert site.problems() == {}
    await site.witness.stop()  # The day is counted across restarts.
    await site.open()
    site.outside.configure(session, [config])
    await site.later(HOUR)
    assert site.problems() == {"witness_unreachable": "witness.example/w1"}
    assert server.url not in caplog.text
    async with WitnessServer(vkey(site)) as back:
        site.outside.configure(session, [WitnessConfig(url=back.url, vkey=back.vkey)])
        await site.outside.look(site.clock.now)
        assert site.problems() == {}
    site.outside.configure(session, [])
    await site.hour()
    assert json.loads((site.custody / "outside.json").read_text()) != {}


@pytest.mark.parametrize("why", ["unknown", "another key", "moved", "not a witness", "nonsense"])
async def test_a_refusal_is_told_at_once(
    site: Site, session: aiohttp.ClientSession, why: str
) -> None:
    async with WitnessServer(vkey(site)) as server:
        config = WitnessConfig(url=server.url, vkey=server.vkey)
        if why == "unknown":
            server.logs = []
        elif why == "another key":
            config = WitnessConfig(url=server.url, vkey=WitnessServer(name="w9").vkey)
        elif why == "not a witness":
            config = WitnessConfig(url=server.url.replace("/w", "/nowhere"), vkey=server.vkey)
        elif why == "moved":
            server.broken = 301
        else:
            server.broken = 409
        site.outside.configure(session, [config])
        await site.hour()
        assert list(site.problems()) == ["witness_refuses"]
        server.logs, server.broken = [vkey(site)], None
        site.outside.configure(session, [WitnessConfig(url=server.url, vkey=server.vkey)])
        await site.later(wait(1))
        assert site.problems() == {}


async def test_a_rewritten_log_is_contradicted(site: Site, session: aiohttp.ClientSession) -> None:
    async with WitnessServer(vkey(site)) as server:
        config = WitnessConfig(url=server.url, vkey=server.vkey)
        site.outside.configure(session, [config])
        for _ in range(3):
            await site.hour()
        (seen,) = server.seen.values()
        server.seen = dict.fromkeys(server.seen, (seen[0], bytes(32)))
        await site.hour()
        assert site.problems() == {"witness_disagrees": server.name}
        assert site.house.log_kinds()[-1] == "witness_disagrees"
        await site.later(HOUR)
        assert site.house.log_kinds().count("witness_disagrees") == 1, "noted once"
        server.seen = dict.fromkeys(server.seen, (40, bytes(32)))
        await site.later(HOUR)
        assert site.problems() == {"witness_disagrees": server.name}


async def test_an_answer_without_end_is_not_read(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async def endless(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(200_000))

    app = web.Application()
    app.router.add_post("/add-checkpoint", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    site.outside.configure(session, [WitnessConfig(url=url, vkey=WitnessServer().vkey)])
    await site.hour()
    await site.later(DAY)
    assert list(site.problems()) == ["witness_unreachable"]
    await runner.cleanup()
    with pytest.raises(LogTampered):
        site.outside.configure(session, [WitnessConfig(url=url, vkey=vkey(site))])


async def test_this_site_as_a_witness_answers_few_at_a_time(site: Site) -> None:
    witnessing = site.witness.witnessing
    assert (await witnessing.add_checkpoint(b"")).status == 404
    witnessing.configure([vkey(site)])
    assert witnessing._cosigner is not None
    with witnessing._cosigner._lock:  # Nobody is done before all have come.
        note = site.witness._ledger.checkpoint()
        body = b"old 0\n\n" + note.encode()
        asking = [asyncio.create_task(witnessing.add_checkpoint(body)) for _ in range(20)]
        await asyncio.sleep(0)
    answers = [(await task).status for task in asking]
    assert sorted(answers) == [200] * 8 + [503] * 12
    shutil.rmtree(site.house.config.root / "witnessed", ignore_errors=True)
    (site.house.config.root / "witnessed").write_text("")
    assert (await witnessing.add_checkpoint(body)).status == 503
