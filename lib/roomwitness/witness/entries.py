"""What the custody log says of holds (never a reason's text) and of a recording that ended."""

from collections.abc import Iterable, Sequence

from roomwitness.custody import SealedFile, files_root, rows_root
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting
from roomwitness.vault import Segment

# Entries after which a checkpoint is kept at once; erasures keep theirs (erasures.py).
KEPT_AT = frozenset(
    {
        "report_threat",
        "place_hold",
        "extend_hold",
        "release_hold",
        "lapse_hold",
        "hand_over",
        "exported",
        "log_tampered",
        "log_rolled_back",
    }
)

# What is logged even if it cannot be signed yet: no full disk may keep it from counting. From lines
# that nobody signed these are carried out, and no others (replay.py).
PROTECTING = frozenset({"report_threat", "place_hold", "extend_hold", "withdraw_release"})


def kind_of(event: events.Event) -> str:
    """Give the log's word for an event: its class name in snake case."""
    name = type(event).__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def hold_fields(event: events.Event, after: Meeting) -> dict[str, str | float | bool | None]:
    """Give the fields beyond the meeting's; a reason may hold names: it stays in the index."""
    match event:
        case events.ReportThreat(hold_id=hold_id, by=by):
            return {
                "hold": hold_id,
                "hold_kind": "threat",
                "review_date": after.holds[-1].review_date.timestamp(),
                "by": by,
            }
        case events.PlaceHold(hold=hold):
            return {
                "hold": hold.id,
                "hold_kind": hold.kind,
                "review_date": hold.review_date.timestamp(),
                "by": hold.placed_by,
            }
        case holds.ExtendHold(hold_id=hold_id, review_date=date, by=by):
            return {"hold": hold_id, "review_date": date.timestamp(), "by": by}
        case events.ReleaseHold() | holds.AskRelease() | holds.WithdrawRelease():
            return {"hold": event.hold_id, "by": event.by}
        case events.HandOver(by=by):
            return {"by": by}
        case events.LapseHold(hold_id=hold_id):
            return {"hold": hold_id}
        case _:
            return {}


def clock_fields(segments: Sequence[Segment]) -> dict[str, float | None]:
    """The camera's clock beside ours, in seconds, at the recording's start and end; its drift."""
    known = [s for s in segments if s.clock_offset_s is not None]
    if not known:
        return {"clock_offset_start_s": None, "clock_offset_end_s": None, "drift_ppm": None}
    return {
        "clock_offset_start_s": _rounded(known[0].clock_offset_start_s),
        "clock_offset_end_s": _rounded(known[-1].clock_offset_s),
        "drift_ppm": _rounded(known[-1].drift_ppm),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def bound_fields(
    files: Iterable[tuple[str, int, str]], rows: Iterable[bytes], left: Iterable[str]
) -> dict[str, str | int]:
    """How many files a recording has, the heads of the trees over their digests and its rows.

    ``open`` names the segments that are ``left`` unsealed, by id.
    """
    sealed = [SealedFile(*each) for each in files]
    return {
        "files": len(sealed),
        "files_root": files_root(sealed),
        "rows_root": rows_root(rows),
        "open": " ".join(sorted(left)),
    }
