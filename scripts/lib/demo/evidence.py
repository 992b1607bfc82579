"""What --check reads from the vault, from outside: segments, keys, gaps; nothing is changed."""

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pyrage

from roomwitness.vault import age
from roomwitness.vault.age import bech32
from roomwitness.vault.inspect import inspect

from .place import Place

type Row = dict[str, Any]


@dataclass(frozen=True)
class Meeting:
    """One meeting as the index has it."""

    row: Row
    recordings: list[Row]
    segments: list[Row]
    gaps: list[Row]


class Evidence:
    """The demo's vault and key stores."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._root = place.config / "room_witness"
        self.vault = self._root / "vault"
        self.custody = self.vault / "custody"
        # As paths.py of the integration has it: where no backup takes it.
        self.unheld = place.config / ".room_witness_unheld.log.d" / "ephemeral-keys.db"

    def meeting(self, meeting_id: str) -> Meeting:
        """The meeting's rows as they are now."""
        tables = inspect(self.vault)
        (row,) = [m for m in tables["meeting"] if m["id"] == meeting_id]
        recordings = [r for r in tables["recording"] if r["meeting"] == meeting_id]
        ids = {r["id"] for r in recordings}
        return Meeting(
            row,
            recordings,
            [s for s in tables["segment"] if s["recording"] in ids],
            [g for g in tables["gap"] if g["recording"] in ids],
        )

    def receipt(self, meeting_id: str) -> Row | None:
        """The receipt of the meeting's erasure."""
        found = inspect(self.vault)["receipt"]
        return next((r for r in found if r["meeting"] == meeting_id), None)

    def ids(self) -> set[str]:
        """Receipts, and all that there is of meetings which are recorded or held now."""
        tables = inspect(self.vault)
        kept = {m["id"] for m in tables["meeting"] if m["state"] in ("recording", "held")}
        found = kept | {receipt["id"] for receipt in tables["receipt"]}
        found |= {hold["id"] for hold in tables["hold"] if hold["meeting"] in kept}
        recordings = {r["id"] for r in tables["recording"] if r["meeting"] in kept}
        segments = {s["id"] for s in tables["segment"] if s["recording"] in recordings}
        return found | recordings | segments

    def size(self, meeting: Meeting) -> int:
        """Bytes on disk of the meeting's segments, open ones included."""
        folders = [self.vault / "segments" / r["id"] for r in meeting.recordings]
        return sum(p.stat().st_size for f in folders for p in f.glob("*") if p.exists())

    def path(self, segment: Row) -> Path:
        """The file of a segment."""
        return self.vault / "segments" / str(segment["recording"]) / f"{segment['id']}.mp4.age"

    def site_keys(self, meeting: Meeting) -> tuple[dict[str, str], list[bytes]]:
        """Each recording's identity, opened by the site's key, and the wraps as they are stored."""
        text = (self._root / "keys" / "site.json").read_text()
        site = age.Identity.from_string(json.loads(text)["site_identity"])
        store = self.unheld
        identities, wraps = {}, []
        for recording in meeting.recordings:
            for kind, file in _rows(
                store, "SELECT kind, file FROM wrap WHERE recording = ?", recording["id"]
            ):
                wraps.append(bytes(file))
                if kind == "site":
                    identities[recording["id"]] = age.decrypt(file, [site]).decode()
        return identities, wraps

    def every_key(self) -> list[str]:
        """All identities that are left: site's, custodian's, and what either opens."""
        site = json.loads((self._root / "keys" / "site.json").read_text())["site_identity"]
        custodian = self._place.identity.read_text().splitlines()[-1]
        found = [site, custodian]
        for store in (self.unheld, self._root / "held" / "held-keys.db"):
            for kind, file in _rows(store, "SELECT kind, file FROM wrap"):
                key = age.Identity.from_string(site if kind == "site" else custodian)
                found.append(age.decrypt(file, [key]).decode())
        return found

    def exported(self) -> dict[str, str]:
        """What ``roomwitness export`` prints: the held recordings' identities."""
        text = _roomwitness(
            "export", str(self._root / "held"), "--identity", str(self._place.identity)
        )
        lines = text.splitlines()
        return {
            name.removeprefix("# recording "): identity
            for name, identity in zip(lines[::2], lines[1::2], strict=True)
        }

    def verified_log(self) -> str:
        """What ``roomwitness verify-log`` says; an error if the log does not hold."""
        return _roomwitness("verify-log", str(self.custody)).splitlines()[0]

    def verified_receipt(self, text: str) -> str:
        """What ``roomwitness verify-receipt`` says of a receipt that the site handed out."""
        with tempfile.NamedTemporaryFile("w", suffix=".receipt") as file:
            file.write(text)
            file.flush()
            vkey = str(self.custody / "log.vkey")
            return _roomwitness("verify-receipt", file.name, "--vkey", vkey).splitlines()[0]

    def where(self, identities: dict[str, str], wraps: list[bytes]) -> list[str]:
        """Files below the configuration folder that hold any of these keys, in any form.

        Of a wrap every piece counts: a database page that was freed may have lost its beginning.
        """
        wanted = [piece for wrap in wraps for piece in _pieces(wrap)]
        for identity in identities.values():
            wanted += [identity.encode(), identity.lower().encode(), bech32.decode(identity)[1]]
        return [
            str(path.relative_to(self._place.config))
            for path in sorted(self._place.config.rglob("*"))
            if path.is_file()
            and not path.is_symlink()
            and any(form in path.read_bytes() for form in wanted)
        ]


def _pieces(wrap: bytes) -> list[bytes]:
    """The parts of an age file that only it has: shares, MAC and body, 24 bytes each."""
    body = wrap.partition(b"\n-> ")[2]
    pieces = [body[i : i + 24] for i in range(0, len(body) - 23, 24)]
    return [piece for piece in pieces if b"X25519" not in piece and b"-> " not in piece]


def opener() -> str:
    """Which program that is not ours opens segments here."""
    return "the age program" if shutil.which("age") else "pyrage"


def opened(path: Path, identity: str) -> bytes:
    """The segment's media, decrypted by a program that is not ours: age, else pyrage."""
    program = shutil.which("age")
    if program is None:
        found = pyrage.decrypt(path.read_bytes(), [pyrage.x25519.Identity.from_str(identity)])
        return bytes(found)
    done = subprocess.run(
        [program, "-d", "-i", "-", path], input=f"{identity}\n".encode(), capture_output=True
    )
    if done.returncode:
        raise ValueError(f"age says: {done.stderr.decode().strip()}")
    return done.stdout


@dataclass(frozen=True)
class Video:
    """What a decoder makes of a segment; seconds of its picture, and of its longest GOP."""

    frames: int
    seconds: float
    longest_gop: float


def decoded(data: bytes) -> Video:
    """Decode every picture."""
    with av.open(io.BytesIO(data), "r") as media:
        times, keys = [], []
        for frame in media.decode(video=0):
            times.append(float(frame.time or 0))
            if frame.key_frame:
                keys.append(times[-1])
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    ends = [*keys[1:], times[-1] + step]
    gops = [end - start for start, end in zip(keys, ends, strict=True)]
    return Video(len(times), times[-1] - times[0] + step, max(gops))


def _roomwitness(*words: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("roomwitness")), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"roomwitness {words[0]}: {done.stderr.strip()}")
    return done.stdout


def _rows(path: Path, sql: str, *values: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()
