"""Finds the C2SP age test kit (github.com/C2SP/CCTV, age/): beside this checkout, or by npm."""

import base64
import fcntl
import re
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[3]
BESIDE = TOP.parent / "shared" / "vectors" / "age"
FETCHED = TOP / ".tools" / "cctv-age"
PACKAGE = "cctv-age@0.2.0"
_VECTOR = re.compile(r'// \.\./testdata/(\S+)\n.*?__toBinary\("([^"]*)"\)', re.DOTALL)


@dataclass(frozen=True)
class Vector:
    name: str
    fields: dict[str, list[str]]
    body: bytes

    def one(self, field: str) -> str:
        return self.fields.get(field, [""])[0]


def vectors() -> list[Vector]:
    found = _beside() or _from_npm()
    assert len(found) > 100, "the age test kit is not whole"
    return [_parse(name, data) for name, data in sorted(found.items())]


def _beside() -> dict[str, bytes]:
    if not BESIDE.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in BESIDE.iterdir() if path.suffix != ".md"}


def _from_npm() -> dict[str, bytes]:
    script = FETCHED / "index.js"
    FETCHED.mkdir(parents=True, exist_ok=True)
    with (FETCHED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several processes collect the tests at once.
        if not script.exists():
            _fetch(script)
    text = script.read_text()
    return {name: base64.b64decode(body) for name, body in _VECTOR.findall(text)}


def _fetch(script: Path) -> None:
    try:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=FETCHED, check=True, timeout=100)
    except (OSError, subprocess.SubprocessError) as err:
        raise AssertionError(
            f"the age test kit is neither in {BESIDE} nor to be had by 'npm pack {PACKAGE}':"
            " install npm, or put the files of github.com/C2SP/CCTV, age/testdata, there"
        ) from err
    (archive,) = FETCHED.glob("*.tgz")
    with tarfile.open(archive) as tar:
        script.write_bytes(tar.extractfile("package/index.js").read())  # type: ignore[union-attr]


def _parse(name: str, data: bytes) -> Vector:
    head, _, body = data.partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    if "compressed" in fields:
        body = zlib.decompress(body)
    return Vector(name, fields, body)
