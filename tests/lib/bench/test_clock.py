"""The smallest run of the clock bench gives its figures, and they keep their goals."""

import json

from .test_frame import bench


def test_clock() -> None:
    done = bench("clock", "--quick")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["error_p99_ms"] <= figures["error_max_ms"] <= 100
    assert figures["camera_offset_error_max_ms"] <= 100
