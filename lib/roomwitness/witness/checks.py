"""What preflight looks at: small pure checks, each the key of a translated problem or None."""

from roomwitness.capture import StreamInfo

# Before anybody has measured this camera: what most send at 1080p.
ASSUMED_BITS_PER_S = 4_000_000
# Less is what cameras without NTP drift in a week or two.
CLOCK_OFF_S = 2.0


def without_sound(info: StreamInfo, *, wanted: bool) -> tuple[str, dict[str, str]] | None:
    """Whether wanted sound will be missing: key and placeholders of the problem."""
    if not wanted:
        return None
    if info.sound_withheld:
        return "sound_withheld", {}
    if info.sound_refused:
        return "sound_unsupported", {"codec": info.sound_refused}
    if info.sound_silent:
        return "sound_silent", {}
    return None if info.has_audio else ("sound_missing", {})


def clock_off(offset_s: float | None) -> bool:
    """Whether the camera's clock differs so much that what it burns into the picture misleads."""
    return offset_s is not None and abs(offset_s) > CLOCK_OFF_S


def shown_offset(seconds: float) -> str:
    """A clock's offset as people read it: seconds, or hours and minutes where it is a lot."""
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    if seconds < 120:
        return f"{sign}{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{sign}{minutes // 60} h {minutes % 60:02} min"
