"""What each camera sends: its bit rate as measured, kept from one recording to the next."""

from datetime import datetime

from .index import Index
from .records import Recording

# Less media than this says little: a keyframe more or less would be seen.
_ENOUGH_S = 10.0
_SHARE = 0.2


def blend(known: float | None, measured: float) -> float:
    """Bits a second to reckon with: up at once, down slowly, for a dark room sends less."""
    if known is None:
        return measured
    return max(measured, known + (measured - known) * _SHARE)


def learn(index: Index, camera_id: str, size: int, seconds: float, now: datetime) -> None:
    """Remember that the camera's ``seconds`` of media took ``size`` bytes on disk."""
    if seconds < _ENOUGH_S:
        return
    rate = blend(known(index).get(camera_id), size * 8 / seconds)
    with index.change() as db:
        db.execute(
            "INSERT OR REPLACE INTO camera_rate VALUES (?, ?, ?)",
            (camera_id, rate, now.timestamp()),
        )


def weigh(index: Index, recording: Recording, now: datetime) -> None:
    """Remember what a recording's camera sent: the next preflight reckons with it."""
    files = index.segments(recording.id)
    seconds = sum(f.media_seconds for f in files if not f.metadata)
    learn(index, recording.camera_id, sum(f.bytes for f in files), seconds, now)


def known(index: Index) -> dict[str, float]:
    """Bits a second of every camera that was measured, by its id."""
    return dict(index.rows("SELECT camera, bits_per_s FROM camera_rate"))
