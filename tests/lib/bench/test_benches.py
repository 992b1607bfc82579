"""Each bench runs, and its last line has the figures that are promised of it."""

import json

import pytest

from .test_frame import bench

SMALL = ("--size", "320x180", "--mbit", "0.3", "--streams", "1", "--seconds", "2")


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (
            ("capture", *SMALL),
            {
                "cpu_ratio": None,
                "memory_ratio": None,
                "undeclared_lost": 0,
                "loop_blocked_p99_ms": None,
                "loop_blocked_max_ms": None,
            },
        ),
        (("transports", *SMALL, "--only", "udp"), {"cpu_udp": None, "undeclared_lost": 0}),
        (("preroll", "--quick"), {"memory_mb_per_camera_max": None, "seconds_max": None}),
        (("reconnect", "--outages", "1"), {"gap_p99_s": None, "undeclared_gaps": 0}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_smallest_run(words: tuple[str, ...], figures: dict[str, float | None]) -> None:
    done = bench(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name, value in figures.items():
        assert found[name] is not None
        assert value is None or found[name] == value


def test_the_smallest_run_where_a_disk_can_be_mounted() -> None:
    done = bench("power", "--cuts", "1")
    if "no disk can be mounted here" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["cuts"], found["index_errors"], found["keys_resurrected"]) == (1, 0, 0)
    assert 0 <= found["lost_max_s"] < 10
