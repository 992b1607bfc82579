"""The frame that every bench stands in: the list, the options, the last line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
BENCH = TOP / "scripts" / "lib" / "bench"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOP / "scripts" / "bench", *words], capture_output=True, text=True, timeout=240
    )


def test_the_list_tells_every_bench_and_what_it_measures() -> None:
    done = bench()
    assert done.returncode == 0
    for path in BENCH.glob("[a-z]*.py"):
        told = next(line for line in done.stdout.splitlines() if line.split()[0] == path.stem)
        assert len(told.split()) > 3


def test_a_name_that_is_not_there_is_refused() -> None:
    done = bench("nothing")
    assert done.returncode != 0
    assert "there is no bench 'nothing'" in done.stderr


def test_figures_goals_and_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(BENCH.parent))
    try:
        from bench import _report
    finally:
        sys.path.remove(str(BENCH.parent))
    goals = {"lost": _report.Goal("==", 0), "ratio": _report.Goal("<=", 0.33)}
    _report.finish({"lost": 0, "ratio": 0.51234567, "other": None}, goals)
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == {"lost": 0, "ratio": 0.5123, "other": None}
    told = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in lines if "|" in line}
    assert (told["lost"], told["ratio"], told["other"]) == ("yes", "NO", "")
