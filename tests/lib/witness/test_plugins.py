"""A custodian's plugin that took too long is tried beside everything else, before its rest ends."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.vault.age import PluginRecipient, plugin
from roomwitness.vault.errors import PluginFailed
from tests.lib.vault.test_recipients import make

from .house import House, until

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
