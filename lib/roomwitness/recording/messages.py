"""What Home Assistant's process and the recording process say to each other.

A message is a pickle behind its length (four bytes, big-endian), in a socket pair that nobody else
has: both ends are this library, of the same version.
"""

import asyncio
import pickle
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roomwitness.capture import CaptureStatus, StreamSource
from roomwitness.capture.timeline import ClockEvent
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

_LENGTH = 4

# From Home Assistant's process. ``job`` and ``request`` are numbers that it gives out.


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first message: the vault's folder, and how often to say ``Alive``, in seconds."""

    root: Path
    alive_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record a camera; it is accounted for from ``start``, until media comes by ``cause``."""

    job: int
    recording_id: str
    source: StreamSource
    start: datetime
    cause: GapCause
    segment_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Keep the last ``seconds`` of a camera in memory."""

    job: int
    source: StreamSource
    seconds: float
    segment_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Record what is watched from here on; with ``keep`` what is in memory first."""

    job: int
    recording_id: str
    start: datetime
    cause: GapCause
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Nothing of what is watched ages; the answer is since when there are pictures, or None."""

    job: int
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw:
    """What is watched ages again."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From the next connection on the stream is there."""

    job: int
    source: StreamSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """Whether what is recorded is made to survive a power cut, as it comes."""

    job: int
    durable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Seal what is open and end the job."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Look at a stream; the answer is a ``StreamInfo`` without its keyframe.

    With ``decode`` it says whether that gives a picture.
    """

    request: int
    source: StreamSource
    report_s: float
    decode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Nobody waits for the answer any more."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Seal everything that is open and end."""


type ToJob = Take | Freeze | Thaw | Change | Durable | Stop
type Command = Record | Watch | ToJob | Probe | Cancel | End

# From the recording process.


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a job goes."""

    job: int
    status: CaptureStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A job's segment is sealed and listed."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What a clock did is in the index."""

    job: int
    event: ClockEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job is over, as it was asked to be."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To a request: a value, or why there is none."""

    request: int
    value: object = None
    error: WitnessError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line for Home Assistant's log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """The recording process is not stuck."""


type News = Status | Sealed | Clock
type Event = News | Ended | Answer | Said | Alive


def packed(message: Begin | Command | Event) -> bytes:
    """A message as it is sent."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(_LENGTH) + data


async def read(reader: asyncio.StreamReader) -> object | None:
    """The next message; None if the other end is gone."""
    try:
        size = int.from_bytes(await reader.readexactly(_LENGTH))
        data = await reader.readexactly(size)
    except asyncio.IncompleteReadError, OSError:
        return None
    message: object = pickle.loads(data)  # noqa: S301 (nobody else has the socket)
    return message
