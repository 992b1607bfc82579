"""A vault with a meeting, and who records into it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from roomwitness.policy.words import Meeting
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.process import in_thread
from roomwitness.vault.store import Vault
from tests.lib.witness.house import House, until


@pytest.fixture
def vault(house: House) -> Vault:
    found = house.vault()
    found.save_meeting(
        Meeting(id="m", room_id="r", origin="manual", planned_start=datetime.now(UTC))
    )
    return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    found = House(tmp_path)
    found.config.root.mkdir()
    return found


@pytest.fixture
async def host(house: House) -> AsyncIterator[RecordingHost]:
    found = RecordingHost(house.config.root, start=in_thread)
    found.start()
    yield found
    await found.stop()


async def recorder(parent: int | None = None) -> psutil.Process:
    """The recording process of this one, the only one; one that just began has no name yet."""
    found: list[psutil.Process] = []

    def one() -> bool:
        children = psutil.Process(parent).children()
        found[:] = [p for p in children if "roomwitness.recording" in p.cmdline()]
        return len(found) == 1

    await until(one)
    return found[0]
