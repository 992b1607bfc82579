"""What a vault holds, against what the server sent: pictures that are missing and not declared."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bench._media import Film, pictures
from roomwitness.vault.store import Vault

_SLACK = timedelta(seconds=1)
_CLOCK_PICTURES = 2.5  # 100 ms: so well a picture's time is known.


@dataclass
class Account:
    """Sums over recordings."""

    recorded: int = 0
    lost_declared: int = 0
    lost_undeclared: int = 0
    damaged: int = 0
    gaps: int = 0

    def add(self, other: Account) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def account(vault: Vault, recording_id: str, film: Film, start: datetime, end: datetime) -> Account:
    """Every picture from ``start`` to ``end`` is recorded once and whole, or in a declared gap."""
    found = Account()
    gaps = [(g.start, g.end) for g in vault.gaps(recording_id)]
    found.gaps = len(gaps)
    frame = timedelta(seconds=1 / film.fps)

    def missing(after: datetime, count: int) -> None:
        for number in range(count):
            at = after + frame * (number + 1)
            if any(begin - frame <= at <= stop + frame for begin, stop in gaps):
                found.lost_declared += 1
            else:
                found.lost_undeclared += 1

    at, place = start, None
    for segment in vault.segments(recording_id):
        for seconds, number in pictures(film, b"".join(vault.read_segment(segment))):
            now = segment.start + timedelta(seconds=seconds)
            found.recorded += 1
            if number is None:
                if any(begin - frame <= now <= stop + frame for begin, stop in gaps):
                    found.lost_declared += 1
                else:
                    found.damaged += 1
            if place is None:  # The first of all: a camera starts at its next keyframe.
                missing(at, max(0, round((now - at - _SLACK) / frame)))
            elif number is None:
                number = (place + 1) % len(film.places)
            else:
                # The film repeats, so its own count is true up to a whole film; time says which.
                step = (number - place) % len(film.places)
                # A film that does not fit into the time was not missed: the server was late.
                films = int(((now - at) / frame - step + _CLOCK_PICTURES) // len(film.places))
                missing(at, max(0, step + max(0, films) * len(film.places) - 1))
            at, place = now, number
    missing(at, max(0, round((end - at - _SLACK) / frame)))
    return found
