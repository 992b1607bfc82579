"""A Home Assistant in an empty folder, a camera, a calendar of its own, and a site in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

import custom_components  # noqa: F401 (before the test package's own folder of that name)
from custom_components.room_witness import paths
from custom_components.room_witness.const import DOMAIN
from roomwitness.witness import SiteKeys, generate_site_keys
from tests.camera import Camera, CameraConfig

CALENDAR = "calendar.room_12"
LAMP = "input_boolean.lamp"
ROOM = "Room 12"
LEGAL_FILE = {
    "purpose": "protection of staff",
    "controller": "The municipality",
    "contact": "dpo@example.org",
    "assessment_id": "IA-1",
    "assessment_date": "2026-11-01",
    "dpia_reference": "D-1",
    "disposal_decision": "G-7",
    "union_reference": "MBL-3",
}
TIMES: dict[str, dict[str, int]] = {
    "lead": {"seconds": 0},
    "lag": {"seconds": 0},
    "review_window": {"seconds": 2},
    "hold_period": {"days": 30},
    "preflight_lead": {"minutes": 10},
}


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture(autouse=True)
def _ours(enable_custom_integrations: None, socket_enabled: None) -> None:
    """Custom integrations are found, and sockets on this machine work."""


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    (Path(hass_tmp_config_dir) / ".storage").mkdir()  # Where the local calendar keeps its file.
    return hass_tmp_config_dir


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss")
    async with Camera(config) as found:
        yield found


async def until(hass: HomeAssistant, condition: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
    await hass.async_block_till_done()


@pytest.fixture
async def calendar(hass: HomeAssistant) -> str:
    """Home Assistant's own calendar."""
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"lamp": {}}})
    entry = MockConfigEntry(
        domain="local_calendar",
        title=ROOM,
        data={"calendar_name": ROOM, "storage_key": "room_12", "import": "create_empty"},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get(CALENDAR)
    return CALENDAR


@pytest.fixture
def keys() -> SiteKeys:
    return generate_site_keys("roomwitness/test")


def camera_subentry(camera: Camera, subentry_id: str = "camera1", **changes: Any) -> ConfigSubentry:
    data = {
        "host": "127.0.0.1",
        "port": camera.onvif.port,
        "stream_url": camera.url,
        "username": camera.config.user,
        "password": camera.config.password,
        "audio": True,
        **changes,
    }
    return ConfigSubentry(
        data=MappingProxyType(data),
        subentry_id=subentry_id,
        subentry_type="camera",
        title="Door camera",
        unique_id=None,
    )


def room_subentry(subentry_id: str = "room1", title: str = ROOM, **changes: Any) -> ConfigSubentry:
    data = {
        "cameras": ["camera1"],
        "lamp": LAMP,
        "times": TIMES,
        "legal_file": LEGAL_FILE,
        **changes,
    }
    return ConfigSubentry(
        data=MappingProxyType(data),
        subentry_id=subentry_id,
        subentry_type="room",
        title=title,
        unique_id=None,
    )


type MakeSite = Callable[..., Awaitable[MockConfigEntry]]


@pytest.fixture
def make_site(hass: HomeAssistant, keys: SiteKeys) -> MakeSite:
    """Set a site up with these subentries; ``load=False`` only adds it."""

    async def make(*subentries: ConfigSubentry, load: bool = True) -> MockConfigEntry:
        stored = keys.stored("roomwitness/test")
        await hass.async_add_executor_job(stored.save, paths.keys_file(hass))
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Room Witness",
            data={
                "vault": paths.default_vault(hass),
                "origin": stored.origin,
                "custodians": [{"recipient": keys.custodian_recipient, "label": ""}],
            },
        )
        object.__setattr__(
            entry, "subentries", MappingProxyType({s.subentry_id: s for s in subentries})
        )
        entry.add_to_hass(hass)
        if load:
            assert await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
        return entry

    return make
