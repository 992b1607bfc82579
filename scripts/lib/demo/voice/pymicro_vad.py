"""Stands in for a C extension: core imports it to describe any action, and only voice uses it.

There are no binaries of the real one for this Python, and a demo's machine may have no compiler.
"""


class MicroVad:
    """Detects speech; not in a demo."""

    def __init__(self) -> None:
        raise NotImplementedError
