"""A real Home Assistant with the integration: ``python -m bench._home``, told by JSON.

Home Assistant's own bootstrap in an empty configuration folder; rooms of four cameras are started
by the integration's action. A timer in Home Assistant's loop notes by how much it is late, phase by
phase (``PHASES``).
"""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
from homeassistant import bootstrap, runner
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigSubentry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

import custom_components
from demo.files import confirm_http
from roomwitness.witness import generate_site_keys
from tests.peers.processes import free_port

_TICK_S = 0.005
_LEGAL = (
    "purpose",
    "controller",
    "contact",
    "assessment_id",
    "dpia_reference",
    "disposal_decision",
    "union_reference",
)


# Before any recording; while all begin; while all record; while all cameras are silent at once,
# given up and reconnected; while all are ended and sealed.
PHASES = "idle", "starting", "recording", "outage", "ending"
_SILENT_S, _BACK_S = 6.0, 12.0


class _Lateness:
    """How late each tick of a timer in the event loop was, in ms, in each phase."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {phase: [] for phase in PHASES}
        self.phase: str | None = "idle"  # None: the bench itself is in the way.
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, phase = loop.time() + _TICK_S, self.phase
            await asyncio.sleep(_TICK_S)
            if phase is not None and self.phase is not None:
                self.ms[phase].append((loop.time() - due) * 1000)

    async def stop(self) -> None:
        """Note no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _Collections:
    """The longest garbage collection, in ms: it stops every thread of the process."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._begun = 0.0
        gc.callbacks.append(self._heard)

    def _heard(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - self._begun) * 1000)


def _subentry(kind: str, name: str, data: dict[str, Any]) -> ConfigSubentry:
    return ConfigSubentry(
        data=MappingProxyType(data),
        subentry_id=name,
        subentry_type=kind,
        title=name,
        unique_id=None,
    )


def _entry(hass: HomeAssistant, url: str, streams: int, told: dict[str, Any]) -> ConfigEntry[Any]:
    from custom_components.room_witness import paths

    keys = generate_site_keys("roomwitness/bench")
    keys.stored("roomwitness/bench").save(paths.keys_file(hass))
    told["identity"] = keys.site_identity
    told["places"] = [
        paths.default_vault(hass),
        str(paths.ephemeral_dir(hass)),
        str(paths.held_dir(hass)),
    ]
    cameras = [f"camera{number}" for number in range(streams)]
    place = {"host": "127.0.0.1", "stream_url": url, "audio": False}
    ports = told["ports"] or [9] * streams  # Where nobody answers.
    legal = {"assessment_date": "2026-11-01", **dict.fromkeys(_LEGAL, "bench")}
    subentries = [
        _subentry("camera", name, {**place, "port": port})
        for name, port in zip(cameras, ports, strict=True)
    ]
    for first in range(0, streams, 4):
        data = {"cameras": cameras[first : first + 4], "legal_file": legal}
        subentries.append(_subentry("room", f"room{first // 4}", data))
    return ConfigEntry(
        version=1,
        minor_version=1,
        domain="room_witness",
        title="Room Witness",
        data={
            "vault": paths.default_vault(hass),
            "origin": "roomwitness/bench",
            "custodians": [{"recipient": keys.custodian_recipient, "label": ""}],
        },
        options={},
        source=SOURCE_USER,
        unique_id=None,
        discovery_keys=MappingProxyType({}),
        subentries_data=[s.as_dict() for s in subentries],
    )


def _frames(entry: ConfigEntry[Any]) -> int:
    sessions = entry.runtime_data.witness._sessions
    statuses = [s for m in sessions.meetings for s in sessions.statuses(m).values()]
    return sum(1 for status in statuses if status.frames)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _run(told: dict[str, Any]) -> dict[str, Any]:
    folder = Path(told["root"])
    (folder / "configuration.yaml").write_text("homeassistant:\n  name: Bench\n")
    confirm_http(folder, free_port())  # Beside whatever Home Assistant is here already.
    (folder / "custom_components").symlink_to(Path(custom_components.__path__[0]))
    config = runner.RuntimeConfig(config_dir=str(folder), skip_pip=True)
    hass = await bootstrap.async_setup_hass(config)
    assert hass is not None
    logging.getLogger().setLevel(logging.WARNING)
    await hass.async_start()
    await hass.async_block_till_done()
    process = psutil.Process()
    entry = await hass.async_add_import_executor_job(
        _entry, hass, told["url"], told["streams"], told
    )
    await hass.config_entries.async_add(entry)
    await hass.async_block_till_done()
    # As one that has been up for a while: what its start left has been collected (0.3 s, once).
    gc.collect()
    before = process.memory_full_info()
    lateness = _Lateness()
    await asyncio.sleep(min(10.0, told["seconds"]))
    registry = er.async_get(hass)
    switches = [
        e.entity_id
        for e in er.async_entries_for_config_entry(registry, entry.entry_id)
        if e.domain == "switch"
    ]
    lateness.phase = "starting"
    await hass.services.async_call("switch", "turn_on", {"entity_id": switches}, blocking=True)
    async with asyncio.timeout(60):
        while _frames(entry) < told["streams"]:  # noqa: ASYNC110 (another thread counts)
            await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    lateness.phase = None
    (recorder,) = process.children()  # It may be started only once: nothing is lost.
    both = process, recorder
    apart_before = recorder.memory_full_info()
    begun, wall = [_cpu(p) for p in both], time.monotonic()
    collections = _Collections()
    moved: list[str] = []

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        if "_motion" in event.data["entity_id"]:
            moved.append(event.data["entity_id"])

    ignore = hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
    lateness.phase = "recording"
    await asyncio.sleep(told["seconds"])
    lateness.phase = None
    ignore()
    collection_ms = collections.longest_ms
    used, wall = [_cpu(p) - b for p, b in zip(both, begun, strict=True)], time.monotonic() - wall
    memory = process.memory_full_info()
    apart = recorder.memory_full_info()
    vault = entry.runtime_data.witness._vault
    ids = [r.id for m in entry.runtime_data.witness._sessions.meetings for r in vault.recordings(m)]
    lateness.phase = "outage"
    os.kill(told["server"], signal.SIGSTOP)
    await asyncio.sleep(_SILENT_S)
    os.kill(told["server"], signal.SIGCONT)
    await asyncio.sleep(_BACK_S)
    lateness.phase = None
    ended = datetime.now(UTC).timestamp()
    await asyncio.sleep(1)
    lateness.phase = "ending"
    await hass.services.async_call("switch", "turn_off", {"entity_id": switches}, blocking=True)
    await lateness.stop()
    await hass.async_stop()
    return {
        "late_ms": lateness.ms,
        "collection_ms": collection_ms,
        "motion_events": len(moved),
        "cpu": used[0] / wall,
        "recorder_cpu": used[1] / wall,
        "uss_before": before.uss,
        "uss": memory.uss,
        "recorder_uss_before": apart_before.uss,
        "recorder_uss": apart.uss,
        "identity": told["identity"],
        "places": told["places"],
        "ended": [(recording, ended) for recording in ids],
    }


def main() -> None:
    told = json.loads(sys.stdin.readline())
    with asyncio.Runner(loop_factory=runner.create_event_loop) as loop:
        print(json.dumps(loop.run(_run(told))), flush=True)


if __name__ == "__main__":
    main()
