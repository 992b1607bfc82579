"""The age program, 1.3 or newer, with the plugins that it comes with (scripts/lib/peers.sh)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

_UNPACKED = Path(__file__).parents[2] / ".tools" / "age" / "usr" / "bin"
# The test plugin's one key (age, tag/internal/age-plugin-tagtest): opened by ``age -d -j tagtest``.
TAGTEST = "age1tag1qwe0kafsjrar4txm6heqnhpfuggzr0gvznz7fvygxrlq90u5mq2pysxtw6h"

TAGTEST_IDENTITY = "AGE-PLUGIN-TAGTEST-1CXM4UC"


def folder() -> Path:
    """Where that age and its plugins are."""
    found = shutil.which("age", path=f"{_UNPACKED}{os.pathsep}{os.environ['PATH']}")
    version = _version(found) if found else (0, 0)
    assert found, "no age program: run './scripts/test lib', which unpacks it"
    assert version >= (1, 3), f"age is {version}: './scripts/test lib' unpacks a newer one"
    return Path(found).parent


def _version(program: str) -> tuple[int, ...]:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", told.stdout)[:2]))


def run(*args: str | Path, data: bytes = b"") -> bytes:
    """Run ``age`` with its plugins on ``PATH``; its output."""
    return run_program("age", *args, data=data)


def run_program(name: str, *args: str | Path, data: bytes = b"") -> bytes:
    """Run ``age`` or one of the programs beside it; its output."""
    here = folder()
    done = subprocess.run(
        [here / name, *args],
        input=data,
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def tagtest_post_quantum() -> str:
    """The test plugin's other key, which only ``age-plugin-tagpq`` encrypts to; its text has it."""
    found = re.search(
        rb"age1tagpq1[02-9ac-hj-np-z]{2005}", (folder() / "age-plugin-tagtest").read_bytes()
    )
    assert found
    return found[0].decode()
