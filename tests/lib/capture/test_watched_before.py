"""What a watched stream went through before the press costs nothing of what is kept of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from roomwitness.capture import Nowhere, PreRoll, Recorder, StreamSource, sdp
from roomwitness.capture.codecs import AccessUnit, sound_codec
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.feed import Feed
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause

from .clockworld import FORM
from .memory import MemorySink

START = datetime(2026, 11, 24, tzinfo=UTC)
PICTURES = 20


class Watched:
    """Two seconds in memory, behind some that are too old by now, in which much was lost.

    The camera began to count anew in them.
    """

    def __init__(self) -> None:
        self.ring, self.sink = PreRoll(15.0), MemorySink()
        self.video, self.sounds, self.about = (
            Track(96, rate, H264Depacketizer(lambda _unit: None)) for rate in (90000, 8000, 90000)
        )
        codec = sound_codec(sdp.Media("audio", 8, "PCMA", 8000, 1, "", {}))
        self.ring.connected(codec.format)
        for number in range(-300, -295):
            self.play(number)
            self.lose(8)
        for found in (self.video, self.sounds, self.about):
            found.epoch = 1
        self.play(-200)
        for number in range(PICTURES):
            self.play(number)

    def lose(self, packets: int) -> None:
        for found in (self.video, self.sounds, self.about):
            found.lost += packets

    def play(self, number: int) -> None:
        now, at, time = START + timedelta(seconds=number / 10), 100 + number / 10, 300 + number
        unit = AccessUnit(
            time * 9000, [b"\x65"], 1, key=number % 10 == 0, picture=True, format=FORM
        )
        self.ring.picture(unit, self.video, now, at)
        self.ring.sound(time * 800, bytes(800), self.sounds, self.video, now, at)
        self.ring.metadata(time * 9000, b"<a/>", self.about, self.video, now, at)

    def prove(self) -> None:
        """All is in one segment, and nothing is missing in it."""
        (segment,) = self.sink.closed
        assert segment.facts["frames"] == PICTURES
        assert [file.facts["lost_packets"] for file in self.sink.metadata] == [0]
        assert self.sink.gaps == []


async def test_it_costs_nothing_of_a_connection_that_is_no_more() -> None:
    watched = Watched()
    recorder = Recorder(
        StreamSource("rtsp://127.0.0.1:1/"), Nowhere(lambda _status: None), start=START,
        preroll=watched.ring,
    )  # fmt: skip
    await recorder.record(watched.sink, start=START, cause=GapCause.CONNECTING, keep=True)
    watched.prove()


@pytest.mark.parametrize("keep", [False, True])
async def test_nor_of_one_that_goes_on(*, keep: bool) -> None:
    watched = Watched()
    stream: Any = SimpleNamespace(
        video_track=watched.video, audio_track=watched.sounds, metadata_track=watched.about,
        settle=lambda: None,
    )  # fmt: skip
    feed = Feed(stream, watched.ring, lambda: START, lambda _now: None)
    (run,) = watched.ring.take()
    coverage = Coverage(START, GapCause.CONNECTING, watched.sink.gap)
    segmenter = Segmenter(watched.sink, coverage, segment_seconds=60, sound=run.sound)
    feed.record(segmenter, run if keep else None)
    if not keep:  # The same comes after the press.
        for play in run.items:
            play(segmenter)
    feed.seal(GapCause.RESTART)
    watched.prove()


async def test_what_is_lost_within_is_said() -> None:
    watched = Watched()
    watched.lose(3)
    watched.play(PICTURES)
    (run,) = watched.ring.take()
    coverage = Coverage(START, GapCause.CONNECTING, watched.sink.gap)
    segmenter = Segmenter(watched.sink, coverage, segment_seconds=60, sound=run.sound)
    segmenter.forgive(*run.lost)
    for play in run.items:
        play(segmenter)
    segmenter.finish(watched.video, GapCause.RESTART)
    assert [(cause, lost) for *_, cause, lost in watched.sink.gaps] == [
        (GapCause.PACKET_LOSS, 3),
        (GapCause.SOUND_LOSS, 3),
    ]
    assert [file.facts["lost_packets"] for file in watched.sink.metadata] == [3]


async def test_what_waited_to_be_read_is_kept_no_longer_for_it() -> None:
    """Pictures of 0.4 seconds come in one read: the first of them has been here for so long."""
    ring, loop = PreRoll(15.0), asyncio.get_running_loop()
    track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    stream: Any = SimpleNamespace(video_track=track, audio_track=None, metadata_track=None)
    Feed(stream, ring, lambda: START, lambda _now: None)
    ring.connected(None)
    units = [
        AccessUnit(number * 9000, [b"\x65"], 1, key=number == 0, picture=True, format=FORM)
        for number in range(5)
    ]
    came = loop.time()
    stream.pictures(units)
    assert ring.since == START - timedelta(seconds=0.4)
    ring.trim(came + 14.5)
    assert ring.since is not None
    ring.trim(came + 14.7)
    assert ring.since is None
