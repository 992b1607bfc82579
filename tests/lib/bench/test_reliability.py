"""The smallest runs of the reliability benches: their keys, and that nothing was violated."""

import json

import pytest

from .test_frame import bench

RUNS = {
    "faults": (("--step", "150"), {"points": None, "violations": 0}),
    "kill": (
        ("--kills", "4", "--workers", "2", "--longest", "2"),
        {
            "kills": 4,
            "lost_p50_s": None,
            "lost_p99_s": None,
            "lost_max_s": None,
            "index_errors": 0,
            "keys_resurrected": 0,
        },
    ),
    "storms": (
        ("--seconds", "6", "--rooms", "2", "--drain", "15"),
        {"erasure_p99_s": None, "overdue": 0, "held_erased": 0},
    ),
    "tamper": (("--quick", "--headers", "500"), {"tried": None, "undetected": 0}),
}


@pytest.mark.parametrize("name", RUNS)
def test_smallest_run(name: str) -> None:
    words, expected = RUNS[name]
    done = bench(name, *words)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() == expected.keys()
    wrong = {k: figures[k] for k, v in expected.items() if v is not None and figures[k] != v}
    assert not wrong, done.stdout
