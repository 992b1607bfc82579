"""A camera's metadata: kept whole, in step with the segments, and never in the picture's way."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture.codecs.metadata import MAX_DOCUMENT_BYTES, MetadataDepacketizer
from roomwitness.capture.metadata_file import FORMAT, MetadataFile
from tests.camera import Camera, CameraConfig
from tests.camera.media import scene

from .codec_kit import push
from .memory import MemorySegment, MemorySink, decode
from .test_recorder import SMALL, Run, until

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def lines(segment: MemorySegment) -> list[dict[str, str]]:
    return [json.loads(line) for line in bytes(segment.data).decode().splitlines()]


async def test_each_segment_has_its_metadata_beside_it() -> None:
    async with Camera(CameraConfig(**SMALL, metadata=True)) as camera:  # type: ignore[arg-type]
        run = Run(camera.source())
        await run.segments(3)
        sink = await run.stop()
    # The last segment may end between its keyframe and its first document.
    assert len(sink.closed) - len(sink.metadata) in (0, 1)
    for beside, segment in zip(sink.metadata, sink.closed, strict=False):
        first, *documents = lines(beside)
        assert first["format"] == FORMAT
        assert (beside.start, beside.facts["end"]) == (segment.start, segment.facts["end"])
        assert beside.facts["frames"] == len(documents)
        assert beside.facts["lost_packets"] == 0
        assert decode(segment.data).frames == segment.facts["frames"]
    document = lines(sink.metadata[1])[1]
    found = document["document"].encode()
    head, tail = scene(T.timestamp()).split(b'UtcTime="')
    assert found.startswith(head)
    assert found.endswith(tail.split(b'"', 1)[1])
    at = datetime.fromisoformat(found.split(b'UtcTime="')[1].split(b'"')[0].decode())
    assert abs(datetime.fromisoformat(document["time"]) - at) < timedelta(seconds=0.5)
    assert sink.metadata[0].flushed


async def test_a_camera_without_metadata_gives_none() -> None:
    async with Camera(CameraConfig(**SMALL)) as camera:  # type: ignore[arg-type]
        run = Run(camera.source())
        await run.segments(1)
        sink = await run.stop()
    assert sink.metadata == []


async def test_metadata_that_is_offered_but_refused_leaves_the_picture() -> None:
    async with Camera(CameraConfig(**SMALL, metadata=True)) as camera:  # type: ignore[arg-type]
        await camera.fault("refuse_metadata")
        run = Run(camera.source())
        await run.segments(1)
        sink = await run.stop()
    assert sink.metadata == []
    assert sink.errors == []


async def test_a_full_disk_lets_go_of_both() -> None:
    async with Camera(CameraConfig(**SMALL, metadata=True)) as camera:  # type: ignore[arg-type]
        run = Run(camera.source(), segment_seconds=60.0)
        await until(lambda: run.sink.beside and run.sink.beside[0].flushed)
        run.sink.full = True
        await until(lambda: run.sink.beside[0].aborted)
        run.sink.full = False
        run.recorder.stop()
        await run.task
    assert run.sink.opened[0].aborted


def test_documents_in_pieces_broken_and_too_large() -> None:
    out: list[tuple[int, bytes]] = []
    packets = MetadataDepacketizer(lambda time, document: out.append((time, document)))
    push(packets, b"<a", 1, marker=False)
    push(packets, b"/>", 1)
    assert out == [(1, b"<a/>")]
    push(packets, b"<b", 2, marker=False)
    packets.lose()
    push(packets, b"rest/>", 3)
    push(packets, b"<c/>", 4)
    push(packets, b"<d", 5, marker=False)  # Its marker is forgotten.
    push(packets, b"<e/>", 6)
    assert out[1:] == [(4, b"<c/>"), (6, b"<e/>")]
    for _ in range(MAX_DOCUMENT_BYTES // 50000 + 2):
        push(packets, bytes(50000), 7, marker=False)
    push(packets, b"end", 7)
    push(packets, b"<f/>", 8)
    assert out[3:] == [(8, b"<f/>")]


@given(
    st.lists(
        st.tuples(st.binary(max_size=99), st.integers(0, 3), st.booleans(), st.booleans()),
        max_size=30,
    )
)
def test_only_whole_documents_come_out(packets: list[tuple[bytes, int, bool, bool]]) -> None:
    sent: list[bytes] = []
    out: list[bytes] = []
    target = MetadataDepacketizer(lambda _time, document: out.append(document))
    for payload, time, marker, lost in packets:
        if lost:
            target.lose()
        sent.append(payload)
        push(target, payload, time, marker)
    whole = b"".join(sent)
    assert all(document in whole for document in out)


def test_a_document_that_is_no_text_is_kept_as_it_came() -> None:
    out = MemorySegment(MemorySink(), T)
    beside = MetadataFile(out, T, "VND.ONVIF.METADATA")
    beside.add(T, b"\xff\x00")
    beside.add(T + timedelta(milliseconds=1500), '<å a="1"/>\n'.encode())
    beside.abort()
    head, odd, plain = lines(out)
    assert head["start"] == "2026-11-02T09:00:00.000Z"
    assert odd == {"time": "2026-11-02T09:00:00.000Z", "base64": "/wA="}
    assert plain == {"time": "2026-11-02T09:00:01.500Z", "document": '<å a="1"/>\n'}
    assert out.aborted
