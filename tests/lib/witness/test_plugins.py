"""A custodian's plugin that took too long is tried beside everything else, before its rest ends."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.vault.age import PluginRecipient, plugin
from roomwitness.vault.check import Places
from roomwitness.vault.errors import PluginFailed
from roomwitness.vault.keyfile import Custodian
from roomwitness.witness.giving_up import give_up
from tests.lib.vault.plugins import make

from .house import House, now, until
from .test_upkeep import NOWHERE, at_work, keys

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def hung(slow: PluginRecipient, rest: float, patch: pytest.MonkeyPatch) -> None:
    """It took too long, and is left alone for ``rest`` seconds more."""
    patch.setitem(plugin._hung, slow.name, time.monotonic() - plugin.REST + rest)


async def test_what_hung_is_tried_again_where_nothing_waits_for_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), "/usr/bin", "/bin")))
    ran, go = tmp_path / "ran", tmp_path / "go"
    slow = make(
        tmp_path,
        "slow",
        f"""
import pathlib
pathlib.Path({str(ran)!r}).write_text("")
while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)
ask("recipient-stanza", "0", "x"); say("done")
""",
    )
    monkeypatch.setattr(plugin, "TIMEOUT", 30.0)
    witness = house.witness()
    hung(slow, 90, monkeypatch)
    await witness.start()
    assert witness._ticker is not None
    witness._ticker.cancel()  # It would try at times of its own.
    await witness.keys.add_custodian(str(slow))
    assert not ran.exists(), "it is left alone"
    hung(slow, 500, monkeypatch)
    await witness.keys.again(T)
    assert not ran.exists()
    hung(slow, 90, monkeypatch)
    await witness.keys.again(T + timedelta(minutes=2))
    await until(ran.exists)
    await witness.tick()  # While it hangs: nothing waits.
    with pytest.raises(PluginFailed):
        slow.wrap(bytes(16))
    go.write_text("")
    await until(lambda: not slow.rest)
    assert slow.wrap(bytes(16)).stanzas
    ran.unlink()
    (tmp_path / "age-plugin-slow").write_text("#!/bin/sh\nexit 2\n")
    hung(slow, 60, monkeypatch)
    await witness.keys.again(T)
    await witness.stop()
    assert slow.rest, "one that fails is left alone until its time"


async def test_evidence_that_no_custodian_can_open_yet_is_kept_and_gets_its_wrap_later(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its only key is the site's: not even who gives the site up destroys that."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), "/usr/bin", "/bin")))
    only = make(tmp_path, "only", 'ask("recipient-stanza", "0", "x"); say("done")')
    there, away = tmp_path / "age-plugin-only", tmp_path / "away"
    replace(house.stored, custodians=(Custodian(str(only)),)).save(house.keys_file)
    there.rename(away)
    room = house.room(NOWHERE)
    config = house.config
    async with at_work(house, room) as witness:
        await witness.start_meeting("r1")
        meeting = await witness.report_threat("r1")
        (evidence,) = {recording.id for recording in witness._vault.recordings(meeting)}
        assert witness._vault._held.ids() == frozenset()
    places = Places(config.root, config.ephemeral_dir, config.held_dir)
    assert give_up(places, house.stored, [room], now())
    assert evidence in keys(house)
    async with at_work(house, room) as witness:
        away.rename(there)
        await witness.keys.again(now() + timedelta(minutes=2))
        assert witness._vault._held.ids() == {evidence}, "and so in the next backup"
