"""The power goes while rooms are recorded: what was threatened is there, what is not is told."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from roomwitness.recording.process import in_process
from roomwitness.vault import Segment
from roomwitness.vault.store import Vault
from roomwitness.witness import Witness
from tests import image
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import House, booking, until

# 64 MiB are kept for erasure and the custody log (intake.py), the rest is promised to the bookings.
_SIZE = 256 << 20


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(width=640, height=360, gop=5, metadata=True)) as found:
        yield found


@contextmanager
def disk(picture: Path, place: Path) -> Iterator[None]:
    """An image as a disk, an empty one if there is none yet; the test is skipped where we may mount
    none."""
    with ExitStack() as stack:
        try:
            if not picture.exists():
                image.make(picture, _SIZE)
            stack.enter_context(image.mounted(picture, place))
        except OSError as err:
            pytest.skip(f"no file system can be mounted here: {err}")
        yield


def shown(vault: Vault, segment: Segment) -> tuple[float, int]:
    """When its last picture is no longer shown, in seconds, and how many there are: by an
    independent reader, which has no use for what was cut off."""
    data = b"".join(vault.read_segment(segment))
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        ends = [
            float((packet.pts + (packet.duration or 0)) * base)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        return max(ends), len(ends)


async def until_recorded(witness: Witness, room_id: str, seconds: float) -> None:
    def frames() -> int:
        statuses = witness._sessions.statuses(witness.status(room_id).meeting_id or "")
        return sum(status.frames for status in statuses.values())

    since = frames()
    await until(lambda: frames() >= since + seconds * 10)


async def test_a_threat_survives_a_power_cut_but_for_moments(
    camera: Camera, tmp_path: Path
) -> None:
    before, after = tmp_path / "before.img", tmp_path / "after.img"
    with disk(before, tmp_path / "before"):
        house = House(tmp_path / "before", apart=True)
        house.stored.save(house.keys_file)
        witness = Witness(house.config, segment_seconds=60.0, recording=in_process)
        await witness.start()
        rooms = [house.room(camera.source(), room_id=name) for name in ("calm", "threatened")]
        await witness.set_rooms(rooms)
        for room in rooms:
            await witness.reconcile(room.id, [booking(-1, 60, uid=room.id)])
        await until_recorded(witness, "threatened", 4)
        held = await witness.report_threat("threatened")
        await until_recorded(witness, "threatened", 5)
        cut = datetime.fromtimestamp(await asyncio.to_thread(image.cut, before, after), UTC)
        await witness.stop()
    with disk(after, tmp_path / "after"):
        house = House(tmp_path / "after", keys=house.keys)
        witness = house.witness()
        await witness.start()
        await witness.stop()
        vault = house.vault()
        (meeting,) = [m for m in vault.meetings() if m.id == held]
        assert meeting.held
        (recording,) = vault.recordings(held)
        (segment,) = vault.segments(recording.id)
        assert segment.recovered
        assert vault.metadata(recording.id)
        assert segment.end > cut - timedelta(seconds=3), "of nine seconds"
        assert segment.media_seconds > 6
        ends, pictures = shown(vault, segment)
        assert segment.media_seconds == pytest.approx(ends, abs=0.02)
        assert pictures == pytest.approx(ends * 10, abs=2)
        for other in vault.open_recordings():
            for each in vault.segments(other.id):
                said = (each.end - each.start).total_seconds()
                assert said == pytest.approx(shown(vault, each)[0], abs=0.02), "no more than is"
        assert vault.check() == []
        vault.close()
        assert house.log().count("segment_recovered") >= 1
