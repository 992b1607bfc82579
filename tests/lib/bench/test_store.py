"""The bench of a large store, at its smallest."""

import json

from .test_frame import bench


def test_the_store_bench_gives_its_figures() -> None:
    done = bench("store", "--recordings", "200", "--erase", "20", "--mib", "1", "--log", "100")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["recordings"], figures["erased"]) == (200, 20)
    assert {"erase_1000_s", "list_p99_ms", "check_s"} <= figures.keys()
