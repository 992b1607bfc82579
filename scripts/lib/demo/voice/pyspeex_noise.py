"""Stands in for a C extension (see pymicro_vad.py)."""


class AudioProcessor:
    """Takes noise out of speech; not in a demo."""

    def __init__(self, auto_gain: int, noise_suppression: int) -> None:
        raise NotImplementedError
