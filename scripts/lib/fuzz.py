"""Runs one fuzz target under atheris (libFuzzer)."""

import argparse
import hashlib
import sys
from pathlib import Path

import atheris

TOP = Path(__file__).parents[2]
_MOST = 40
_LONGEST = 512

with atheris.instrument_imports(include=["roomwitness.capture", "roomwitness.auth"]):
    from tests.fuzz.targets import CORPUS, TARGETS, corpus


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="put what was found into the corpus")
    args = parser.parse_args()
    if args.name is None:
        for name, target in TARGETS.items():
            print(f"  {name:<20}{(target.__doc__ or '').splitlines()[0]}")
        return
    found = TOP / ".fuzz" / args.name
    found.mkdir(parents=True, exist_ok=True)
    for data in corpus(args.name):
        (found / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    if args.keep:
        keep(args.name, found)
        return
    # A run may take ten seconds, and all runs together no more memory than one.
    command = [sys.argv[0], f"-artifact_prefix={found}-", "-max_len=1024", "-timeout=10"]
    command += [f"-max_total_time={args.seconds}", "-rss_limit_mb=512", str(found)]
    atheris.Setup(command, TARGETS[args.name])
    atheris.Fuzz()


def keep(name: str, found: Path) -> None:
    """What is there already, and of what libFuzzer found new some of every length."""
    old = corpus(name)
    new = {path.read_bytes() for path in found.iterdir()} - set(old)
    fit = sorted((data for data in new if 0 < len(data) <= _LONGEST), key=lambda b: (len(b), b))
    room = max(1, _MOST - len(old))
    kept = sorted({*old, *fit[:: max(1, -(-len(fit) // room))]}, key=lambda b: (len(b), b))
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.hex").write_text("".join(f"{data.hex()}\n" for data in kept))
    print(f"{len(kept)} inputs in the corpus of {name}")


if __name__ == "__main__":
    main()
