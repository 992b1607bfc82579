"""How every bench takes its options and tells its figures."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """A bound that a figure should keep."""

    sign: Literal["<=", ">=", "=="]
    bound: float

    def met(self, value: float) -> bool:
        return {
            "<=": value <= self.bound,
            ">=": value >= self.bound,
            "==": value == self.bound,
        }[self.sign]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with ``--quick``; the module's docstring is the help."""
    words = (doc or "").splitlines()
    found = argparse.ArgumentParser(
        prog=" ".join(("scripts/bench", *sys.argv[1:2])),
        description="\n".join(words),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--quick", action="store_true", help="a short run")
    return found


def machine() -> str:
    """What it ran on, and how busy that was before the bench began."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(lines, f":{model}").partition(":")[2].strip()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, "
        f"load average {load:.1f} at the start"
    )


def show(value: object) -> str:
    """A value as a table shows it."""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, so that it can be pasted into docs/ as it is."""
    cells = [list(head), *([show(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print(
            "| "
            + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            + " |"
        )
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def finish(figures: Mapping[str, float | None], goals: Mapping[str, Goal]) -> None:
    """Print the figures beside their goals, and as JSON in the last line."""
    rows = []
    for key, value in figures.items():
        goal = goals.get(key)
        kept = "" if goal is None else f"{goal.sign} {goal.bound:g}"
        verdict = "" if goal is None or value is None else "yes" if goal.met(value) else "NO"
        rows.append((key, value, kept, verdict))
    table("Result", ("figure", "value", "goal", "met"), rows)
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    print(f"\n{json.dumps(rounded)}", flush=True)
