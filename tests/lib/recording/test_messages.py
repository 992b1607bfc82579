"""What is said between the processes arrives as it was said."""

import asyncio
import inspect
import pickle
from datetime import UTC, datetime

import pytest

import roomwitness.witness
from roomwitness.capture import StreamSource, Transport
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause
from roomwitness.recording.messages import Answer, Record, packed, read

assert roomwitness.witness  # Every error of the library is defined by now.


def every(kind: type[WitnessError]) -> list[type[WitnessError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in every(sub))]


@pytest.mark.parametrize("kind", every(WitnessError), ids=lambda kind: kind.__name__)
async def test_every_error_arrives_with_all_that_it_says(kind: type[WitnessError]) -> None:
    wanted = [
        p
        for p in inspect.signature(kind.__init__).parameters.values()
        if p.name != "self" and p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    plain = kind.__init__ is WitnessError.__init__
    error = kind(**{p.name: "x" for p in wanted}, **({"fields": "a, b"} if plain else {}))
    reader = asyncio.StreamReader()
    reader.feed_data(packed(Answer(request=7, error=error)))
    found = await read(reader)
    assert isinstance(found, Answer)
    assert type(found.error) is kind
    assert found.error.args == error.args
    assert vars(found.error) == vars(error)


async def test_a_command_arrives_whole_and_its_words_tell_no_secret() -> None:
    record = Record(
        job=1,
        recording_id="r",
        source=StreamSource("rtsp://cam/1", "u", "secret", True, Transport.UDP),
        start=datetime(2026, 11, 25, tzinfo=UTC),
        cause=GapCause.CONNECTING,
        segment_seconds=60.0,
    )
    reader = asyncio.StreamReader()
    data = packed(record)
    reader.feed_data(data[:7])
    reading = asyncio.create_task(read(reader))
    await asyncio.sleep(0)
    reader.feed_data(data[7:])
    assert await reading == record
    assert "secret" not in repr(record)
    assert "rtsp" not in repr(record)


@pytest.mark.parametrize("left", [0, 3, 4, 20])
async def test_the_end_of_the_other_side_is_none(left: int) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(packed(Answer(request=1))[:left])
    reader.feed_eof()
    assert await read(reader) is None


def test_messages_are_pickles() -> None:
    data = packed(Answer(request=1, value=2))
    assert pickle.loads(data[4:]) == Answer(request=1, value=2)
    assert int.from_bytes(data[:4]) == len(data) - 4
