"""``scripts/demo --check``: two meetings from calendar to erasure and to evidence, step by step."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from sqlite3 import Error as SqlError

import aiohttp
import pyrage

from roomwitness.errors import WitnessError

from . import bookings
from .client import Client, Refused, until
from .evidence import Evidence, Meeting, decoded, opened, opener
from .place import Place
from .setup import REVIEW_SECONDS

_ROOM = "sensor.room_12_state"
_PANIC = "binary_sensor.room_12_door_panic_button"
_OTHER = "sensor.room_14_state"
# What is recorded is on disk within a second; the disk and the camera's pace take their share.
_KILL_COSTS_S = 2.0
# A tail shorter than a picture's way is not declared as a gap.
_TAIL_S = 1.0


class Failed(Exception):
    """What should be so is not."""


_FAILURES = (Failed, Refused, TimeoutError, ValueError, KeyError, OSError, WitnessError, SqlError)


def _need(fact: object, text: str) -> None:
    if not fact:
        raise Failed(text)


class Walk:
    """The steps, each printed with the time it took."""

    def __init__(self, place: Place, client: Client) -> None:
        self.place, self.client = place, client
        self.evidence = Evidence(place)
        self._number = 0

    @asynccontextmanager
    async def step(self, text: str) -> AsyncIterator[list[str]]:
        """One step; what is put into the list is printed behind it."""
        self._number += 1
        told: list[str] = []
        began = time.monotonic()
        try:
            yield told
        except _FAILURES as err:
            took = time.monotonic() - began
            print(f"{self._number:3} FAILED {took:6.1f} s  {text}: {err}", flush=True)
            raise Failed from err
        took = time.monotonic() - began
        more = f" ({'; '.join(told)})" if told else ""
        print(f"{self._number:3} ok     {took:6.1f} s  {text}{more}", flush=True)

    async def is_(self, entity: str, *wanted: str, seconds: float = 30) -> str:
        """Wait for a state; returns it."""

        async def find() -> str | None:
            found = await self.client.state(entity)
            return found if found in wanted else None

        return await until(find, f"{entity} is not {' or '.join(wanted)}", seconds)

    async def meeting(self, entity: str) -> str:
        """Id of the meeting that the room's state speaks of."""
        state = (await self.client.states())[entity]
        return str(state["attributes"].get("meeting_id") or "")


async def walk(place: Place, client: Client) -> bool:
    """Walk it all; False on the first step that fails."""
    walk = Walk(place, client)
    began = time.monotonic()
    try:
        await _clear(walk)
        calm, other = await _two_rooms_record(walk)
        await _kill(walk, calm, other)
        await _threat_by_wall_switch(walk, other)
        copy = await _calm_ends(walk, calm)
        threat = await _threat_by_button(walk)
        await _held_opens(walk, threat, other)
        await _calm_is_gone(walk, copy)
        async with walk.step("the custody log verifies (roomwitness verify-log)") as told:
            told.append(await asyncio.to_thread(walk.evidence.verified_log))
    except Failed:
        return False
    print(f"all good in {time.monotonic() - began:.0f} s", flush=True)
    return True


async def _clear(walk: Walk) -> None:
    async with walk.step("the calendars are cleared, running meetings ended"):
        await bookings.clear(walk.client)
        for room in ("room_12", "room_14"):
            if await walk.client.state(f"switch.{room}_meeting") == "on":
                await walk.client.act("switch.turn_off", f"switch.{room}_meeting")
            await walk.is_(f"switch.{room}_meeting", "off")


async def _two_rooms_record(walk: Walk) -> tuple[str, str]:
    client = walk.client
    async with walk.step("bookings are made in both calendars"):
        start = await bookings.book(client, "calendar.room_12", 3, 600)
        await bookings.book(client, "calendar.room_14", 4, 600)
    async with walk.step("room 12 records because its calendar says so") as told:
        await walk.is_(_ROOM, "recording")
        told.append(f"{time.time() - start.timestamp():.1f} s after the booking began")
        calm = await walk.meeting(_ROOM)
    async with walk.step("its lamp is on"):
        await walk.is_("light.lamp_room_12", "on")
    async with walk.step("room 14 records because its automation says so"):
        await walk.is_(_OTHER, "recording")
        other = await walk.meeting(_OTHER)
    async with walk.step("segments grow in the vault") as told:
        sizes = await _grown(walk, calm), await _grown(walk, other)
        told.append(f"{sizes[0]} and {sizes[1]} bytes so far")
    return calm, other


async def _grown(walk: Walk, meeting_id: str) -> int:
    first = walk.evidence.size(walk.evidence.meeting(meeting_id))

    async def more() -> int:
        size = walk.evidence.size(walk.evidence.meeting(meeting_id))
        return size if size > max(first, 20_000) else 0

    return await until(more, "the segments do not grow")


async def _kill(walk: Walk, calm: str, other: str) -> None:
    client = walk.client
    await asyncio.sleep(3)
    async with walk.step("kill -9 of Home Assistant in mid-meeting; it starts again") as told:
        pid = int(walk.place.running.read_text())
        before = walk.evidence.ids()
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        await client.forget()

        async def again() -> bool:
            return walk.place.running.read_text() != str(pid) and await client.running()

        await until(again, "Home Assistant did not come back", 90)
        told.append(f"process {pid} is gone")
    async with walk.step("recording goes on by itself, in the same meetings"):
        await walk.is_(_ROOM, "recording", seconds=60)
        _need(await walk.meeting(_ROOM) == calm, "room 12 is in another meeting")

        await walk.is_(_OTHER, "recording", seconds=60)
        _need(await walk.meeting(_OTHER) == other, "room 14 is in another meeting")

        async def gap() -> bool:
            both = (walk.evidence.meeting(calm), walk.evidence.meeting(other))
            return all(any(g["cause"] == "restart" for g in m.gaps) for m in both)

        await until(gap, "no gap was declared")
    async with walk.step("the gap is declared with its cause, and nothing else is missing") as told:
        for meeting_id in (calm, other):
            meeting = walk.evidence.meeting(meeting_id)
            told.append(_covered(meeting))
            (gap_,) = [g for g in meeting.gaps if g["cause"] == "restart"]
            lost = killed - gap_["start"]
            _need(lost < _KILL_COSTS_S, f"the kill cost {lost:.1f} s that were recorded")
        gone = before - walk.evidence.ids()
        _need(not gone, f"{len(gone)} rows of meetings, holds, segments or receipts are gone")


def _covered(meeting: Meeting) -> str:
    """Segments and gaps follow one another; only the kill may be between segments."""
    spans = [(s["start"], s["end"], "") for s in meeting.segments]
    spans += [(g["start"], g["end"], g["cause"]) for g in meeting.gaps]
    spans.sort()
    for (_, end, _), (start, _, _) in itertools.pairwise(spans):
        _need(start - end < 0.1, f"{start - end:.2f} s are missing without being declared")
    causes = [(cause, end - start) for start, end, cause in spans if cause]
    odd = [cause for cause, _ in causes if cause not in ("connecting", "restart")]
    _need(not odd, f"gaps with other causes: {', '.join(odd)}")
    _need([c for c, _ in causes].count("restart") == 1, "not just one gap for the restart")
    return ", ".join(f"{cause} {seconds:.1f} s" for cause, seconds in causes)


async def _threat_by_wall_switch(walk: Walk, other: str) -> None:
    async with walk.step("room 14: the wall switch reports a threat, through the blueprint"):
        await walk.is_(_OTHER, "recording", seconds=60)
        _need(await walk.meeting(_OTHER) == other, "room 14 is in another meeting")
        before = int(await walk.client.state("sensor.room_14_evidence_held"))
        await walk.client.act("input_button.press", "input_button.wall_switch_14")
        await walk.is_("sensor.room_14_evidence_held", str(before + 1))


@dataclass(frozen=True)
class Copy:
    """What a thief could have taken of a meeting in its review window, and its keys."""

    meeting: Meeting
    identities: dict[str, str]
    wraps: list[bytes]
    segments: list[bytes]


async def _calm_ends(walk: Walk, calm: str) -> Copy:
    async with walk.step(
        "the calm meeting ends with its shortened booking and is in review; the lamp is off"
    ):
        await bookings.shorten(walk.client, "calendar.room_12", 2)
        await walk.is_(_ROOM, "review", seconds=90)
        await walk.is_("light.lamp_room_12", "off")
    async with walk.step("before its erasure every segment of it opens and decodes") as told:
        meeting = walk.evidence.meeting(calm)
        identities, wraps = walk.evidence.site_keys(meeting)
        copies = [walk.evidence.path(s).read_bytes() for s in meeting.segments]
        videos = [
            decoded(
                await asyncio.to_thread(opened, walk.evidence.path(s), identities[s["recording"]])
            )
            for s in meeting.segments
        ]
        _need(videos, "there are no segments")
        told.append(f"{len(videos)} segments, {sum(v.frames for v in videos)} pictures")
    async with walk.step("until its deadline its key is only where no backup takes it") as told:
        found = walk.evidence.where(identities, wraps)
        told += found
        _need(found, "the search does not find a key that is there")
        home = walk.evidence.unheld.parent.name + "/"
        odd = [name for name in found if not name.startswith(home)]
        _need(not odd, f"it is also in {', '.join(odd)}")
    return Copy(meeting, identities, wraps, copies)


async def _threat_by_button(walk: Walk) -> str:
    client = walk.client
    async with walk.step("the next booking in room 12: another meeting records"):
        await bookings.book(client, "calendar.room_12", 1, 20)
        await walk.is_(_ROOM, "recording")
        threat = await walk.meeting(_ROOM)
    async with walk.step("its button reports a threat: it becomes held evidence"):
        await asyncio.sleep(5)
        before = int(await client.state("sensor.room_12_evidence_held"))
        await client.act("button.press", "button.room_12_report_threat")
        await walk.is_("sensor.room_12_evidence_held", str(before + 1))
    async with walk.step("the panic button wired to its camera is heard, and let go"):
        async with asyncio.TaskGroup() as both:
            both.create_task(_press(walk.place.panic))
            await walk.is_(_PANIC, "on")
        await walk.is_(_PANIC, "off")
    async with walk.step("it goes on recording until its booking ends"):
        await walk.is_("binary_sensor.room_12_recording", "off", seconds=60)
        _need(walk.evidence.meeting(threat).row["state"] == "held", "it is not held")
    return threat


async def _press(url: str) -> None:
    """Press a simulated camera's panic button for a second."""
    async with aiohttp.request("POST", url) as answer:
        answer.raise_for_status()


async def _held_opens(walk: Walk, *meetings: str) -> None:
    async with walk.step("the custodian's identity opens the held keys (roomwitness export)"):
        identities = await asyncio.to_thread(walk.evidence.exported)
    for meeting_id in meetings:
        by = opener()
        async with walk.step(f"{by} opens it, its video decodes to the expected length") as told:
            if meeting_id == meetings[-1]:
                await bookings.shorten(walk.client, "calendar.room_14", 1)
                await walk.is_("binary_sensor.room_14_recording", "off", seconds=60)
            meeting = walk.evidence.meeting(meeting_id)
            _need(meeting.segments, "there are no segments")
            shown = gop = 0.0
            for segment in meeting.segments:
                data = await asyncio.to_thread(
                    opened, walk.evidence.path(segment), identities[segment["recording"]]
                )
                video = decoded(data)
                expected = segment["end"] - segment["start"]
                _need(
                    abs(video.seconds - expected) <= video.longest_gop,
                    f"{video.seconds:.2f} s of video where {expected:.2f} s are listed",
                )
                told.append(f"{video.seconds:.1f} of {expected:.1f} s")
                shown += video.seconds
                gop = max(gop, video.longest_gop)
            missing = sum(g["end"] - g["start"] for g in meeting.gaps)
            whole = meeting.row["ended"] - meeting.row["started"]
            rest = whole - missing - shown
            _need(
                abs(rest) <= gop + _TAIL_S,
                f"{rest:.2f} s of {whole:.1f} s are neither video nor a declared gap",
            )
            told.append(f"the meeting took {whole:.1f} s, {missing:.1f} s of it declared missing")


async def _calm_is_gone(walk: Walk, copy: Copy) -> None:
    evidence = walk.evidence
    meeting, calm = copy.meeting, copy.meeting.row["id"]
    async with walk.step("left alone, the calm meeting is erased") as told:

        async def receipt() -> object:
            return evidence.receipt(calm)

        await until(receipt, "there is no receipt", REVIEW_SECONDS + 60)
        row = evidence.receipt(calm) or {}
        late = row["erased_at"] - meeting.row["deadline"]
        told.append(f"receipt {row['id'][:8]}, decision {row['decision']}, {late:.1f} s late")
        await walk.is_("sensor.room_12_erasures_overdue", "0")
    async with walk.step("the receipt that the site hands out verifies offline") as told:
        given = await walk.client.answer("room_witness.get_receipt", receipt=row["id"])
        told.append(await asyncio.to_thread(evidence.verified_receipt, given["file"]))
        _need(calm in told[0], "it is of another meeting")
    async with walk.step("its key is in no file any more, its segments are gone"):
        found = evidence.where(copy.identities, copy.wraps)
        _need(not found, f"it is still in {', '.join(found)}")
        left = [s["id"] for s in meeting.segments if evidence.path(s).exists()]
        _need(not left, "segments are still there")
    async with walk.step("a copy of its segments opens with no key that is left") as told:
        keys = evidence.every_key()
        told.append(f"{len(keys)} keys tried on {len(copy.segments)} segments")
        for data in copy.segments:
            for identity in keys:
                _need(not _opens(data, identity), "a copy still opens")


def _opens(data: bytes, identity: str) -> bool:
    try:
        pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError:
        return False
    return True
