"""Which backups Home Assistant has, also while one who has them is not loaded."""

import asyncio
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from homeassistant.components.backup import BackupManager
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from roomwitness.vault.copies import Listing

from .conftest import MakeSite
from .test_backup import AGENT, manager, take  # noqa: F401


async def looks(hass: HomeAssistant) -> None:
    """An hour goes by."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1, minutes=1))
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_backup_whose_agent_is_not_loaded_is_not_gone(
    hass: HomeAssistant,
    manager: BackupManager,  # noqa: F811
    make_site: MakeSite,
) -> None:
    entry = await make_site()
    index = entry.runtime_data.witness._vault.index
    archive = await take(manager, "kept")
    await hass.async_block_till_done(wait_background_tasks=True)

    async def there() -> int:
        query = "SELECT id FROM copy WHERE gone IS NULL"
        return len(await hass.async_add_executor_job(index.rows, query))

    assert await there() == 1
    agent = manager.backup_agents.pop(AGENT)
    await looks(hass)
    assert (await manager.async_get_backups()) == ({}, {}), "no backup, and no error"
    assert await there() == 1
    manager.backup_agents[AGENT] = agent
    await looks(hass)
    assert await there() == 1
    await hass.async_add_executor_job(archive.unlink)
    with patch.object(agent, "_loaded_backups", False):  # It reads its folder again.
        await looks(hass)
        assert await there() == 0


async def test_a_backup_counts_from_its_begin_until_it_is_listed(
    hass: HomeAssistant,
    manager: BackupManager,  # noqa: F811
    make_site: MakeSite,
) -> None:
    entry = await make_site()
    await hass.async_block_till_done(wait_background_tasks=True)
    witness = entry.runtime_data.witness
    copies, take_in = witness._upkeep.erasures.copies, witness.backups.are
    agent: Any = manager.backup_agents[AGENT]
    upload = agent.async_upload_backup
    looked = asyncio.Event()
    begun: list[int] = []

    async def are(listing: Listing) -> None:
        await take_in(listing)
        looked.set()

    async def uploads(**how: Any) -> None:
        begun.append(len(copies._begun))
        looked.clear()
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1, minutes=1))
        async with asyncio.timeout(30):
            await looked.wait()
        begun.append(len(copies._begun))
        await upload(**how)

    with (
        patch.object(agent, "async_upload_backup", uploads),
        patch.object(witness.backups, "are", are),
    ):
        await take(manager, "a while")
        await hass.async_block_till_done(wait_background_tasks=True)
    assert begun == [1, 1]
    assert copies._begun == []
