"""A sealed site: a full copy of its disk opens nothing, and the custodian opens everything.

Whoever has the copy tries every secret that could be in it: age identities as text, 32-byte keys
as base64, hexadecimal or raw bytes anywhere in a file, and 16-byte file keys, against every wrap
and every segment. The same search opens an assisted site's recordings: so it would find a key.
"""

import base64
import hmac
import io
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from homeassistant.core import HomeAssistant

from custom_components.room_witness import paths
from roomwitness.vault.age import Identity, bech32, decrypt, header
from roomwitness.vault.age.x25519 import hkdf
from roomwitness.vault.errors import WitnessError
from roomwitness.vault.tail import kept
from tests.camera import Camera
from tests.peers import age

from .conftest import TIMES, camera_subentry, room_subentry, until
from .test_keys import Flow, age_keygen, log_of
from .test_room import STATE, call, state
from .test_site import issue_ids

_IDENTITY = re.compile(rb"AGE-SECRET-KEY-[0-9A-Z-]{40,}", re.IGNORECASE)
_BASE64 = re.compile(rb"(?<![\w+/-])[\w+/-]{43}(?![\w+/-])")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_HEX = re.compile(rb"[0-9A-Fa-f]{64}")
# A random key has more different bytes than that, but for one in a million.
_DIFFERENT = {32: 22, 16: 12}
# Behind its header and first bytes a segment is nothing but ciphertext under a key of its own.
_HEAD_OF_A_SEGMENT = 4096


class Copy:
    """What a thief has: every file of the configuration folder, with the vault in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wraps = [file for _, _, _, file in self.rows()]
        self.segments = sorted((folder / "room_witness" / "vault" / "segments").rglob("*.*"))

    def rows(self) -> list[tuple[str, str, str, bytes]]:
        found = []
        for name in (f"{paths.EPHEMERAL}/ephemeral-keys.db", "room_witness/held/held-keys.db"):
            with closing(sqlite3.connect(self.folder / name)) as db:
                found += db.execute("SELECT recording, kind, key, file FROM wrap").fetchall()
        return found

    def files(self) -> Iterator[bytes]:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                yield data[:_HEAD_OF_A_SEGMENT] if path in self.segments else data

    def pieces(self, size: int) -> set[bytes]:
        """Every piece of that size, at every offset of every file, that may be random."""
        found = {
            data[at : at + size] for data in self.files() for at in range(len(data) - size + 1)
        }
        # Text is looked at below: a random key is never text.
        return {p for p in found if not p.isascii() and len(set(p)) >= _DIFFERENT[size]}

    def secrets(self) -> set[bytes]:
        """Whatever could be an X25519 identity."""
        found = self.pieces(32)
        for data in self.files():
            for text in _IDENTITY.findall(data):
                try:
                    found.add(bech32.decode(text.decode())[1])
                except ValueError:
                    continue
            for text in _BASE64.findall(data):
                found.add(base64.urlsafe_b64decode(text.translate(_URL_SAFE) + b"="))
            found |= {bytes.fromhex(text.decode()) for text in _HEX.findall(data)}
        return {secret for secret in found if len(secret) == 32}

    def opened(self, identities: list[Identity]) -> tuple[list[bytes], list[Path]]:
        """The wraps and the segments, also open ones, that any of these opens."""
        return (
            [file for file in self.wraps if _opens(io.BytesIO(file).read(), identities)],
            [path for path in self.segments if _opens_segment(path, identities)],
        )

    def recipients(self) -> set[bytes]:
        """Public halves that are worth finding the secret of: the recordings'."""
        index = self.folder / "room_witness" / "vault" / "index.db"
        with closing(sqlite3.connect(index)) as db:
            texts = db.execute("SELECT recipient FROM recording").fetchall()
        return {bech32.decode(text)[1] for (text,) in texts}

    def file_keys(self) -> list[bytes]:
        """Those 16-byte pieces that are the file key of a wrap: its MAC tells."""
        macs = []
        for file in self.wraps:
            _, covered, mac = header.read(io.BytesIO(file).readline)
            macs.append((covered, mac))
        return [
            piece
            for piece in self.pieces(16)
            if any(
                hmac.digest(key, covered, sha256) == mac
                for key in (_header_key(piece),)
                for covered, mac in macs
            )
        ]


def _header_key(file_key: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), quicker than by an object for each."""
    return hmac.digest(hmac.digest(bytes(32), file_key, sha256), b"header\x01", sha256)


def _opens(data: bytes, identities: list[Identity]) -> bool:
    try:
        decrypt(data, identities)
    except WitnessError:
        return False
    return True


def _opens_segment(path: Path, identities: list[Identity]) -> bool:
    if path.suffix == ".tail":
        try:
            return bool(kept(path, identities[0])) if identities else False
        except WitnessError:
            return False
    return _opens(path.read_bytes(), identities)


def held_for(secrets: set[bytes], wanted: set[bytes]) -> list[Identity]:
    """The identities among them that open something: those of a public half that is wanted."""
    found = []
    for secret in secrets:
        public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        if public in wanted:
            found.append(Identity(secret))
    return found


def stolen(hass: HomeAssistant, folder: Path) -> Copy:
    shutil.copytree(hass.config.config_dir, folder)
    return Copy(folder)


@pytest.mark.parametrize("mode", ["assisted", "sealed"])
async def test_a_full_copy_of_a_sealed_sites_disk_opens_nothing(
    hass: HomeAssistant,
    camera: Camera,
    calendar: str,
    tmp_path_factory: pytest.TempPathFactory,
    mode: str,
) -> None:
    tmp_path = tmp_path_factory.mktemp("elsewhere")  # Not in the configuration folder.
    identity, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "custodian.txt")
    flow = Flow(hass)
    await flow.start()
    await flow.go(vault=paths.default_vault(hass), mode=mode)
    await flow.go(next_step_id="custodian_own")
    entry = (await flow.go(recipient=recipient))["result"]
    await hass.async_block_till_done()
    hass.config_entries.async_add_subentry(entry, camera_subentry(camera))
    review = {**TIMES, "review_window": {"seconds": 3600}}
    hass.config_entries.async_add_subentry(entry, room_subentry(times=review))
    await hass.async_block_till_done()
    witness = entry.runtime_data.witness
    assert await hass.services.async_call(
        "room_witness",
        "preflight",
        {"entity_id": "switch.room_12_meeting"},
        blocking=True,
        return_response=True,
    ) == {"switch.room_12_meeting": {"passed": True, "problems": []}}
    # One held, one in its review window, one that records: all at the time of the theft.
    segments = Path(paths.default_vault(hass)) / "segments"
    for count, threat in ((1, True), (2, False), (3, False)):
        await call(hass, "start")
        await until(hass, lambda count=count: len(list(segments.glob("*/*.tail"))) == 1)
        if threat:
            await call(hass, "report_threat")
        if count < 3:
            await call(hass, "stop")
            await until(hass, lambda: not list(segments.glob("*/*.tail")))
    assert state(hass, STATE) == "recording"
    copy = await hass.async_add_executor_job(stolen, hass, tmp_path / "stolen")
    assert len({recording for recording, *_ in copy.rows()}) == 3
    assert {path.suffix for path in copy.segments} == {".age", ".part", ".tail"}

    assert _header_key(bytes(16)) == hkdf(bytes(16), b"", b"header")

    def thief() -> tuple[list[Identity], list[bytes], list[Path], list[bytes]]:
        secrets = copy.secrets()
        # Whom the wraps are for: the custodian and, of an assisted site, the site.
        wrapped_for = {bech32.decode(recipient)[1]}
        site = witness.keys.stored.ring.site
        assert site.secret in secrets, "the search would find a key"
        identities = held_for(secrets, wrapped_for | copy.recipients())
        identities.append(site)
        wraps, opened = copy.opened(identities)
        inner = [Identity.from_string(decrypt(file, identities).decode()) for file in wraps]
        opened += copy.opened(inner)[1] if inner else []
        return identities, wraps, opened, copy.file_keys() if mode == "sealed" else []

    identities, wraps, opened, file_keys = await hass.async_add_executor_job(thief)
    assert identities == [witness.keys.stored.ring.site], "no other secret is on the disk"
    assert file_keys == []
    if mode == "assisted":
        assert len(wraps) == 3
        assert {path.suffix for path in opened} >= {".age"}
    else:
        assert (wraps, opened) == ([], [])

    def custodian() -> None:
        """With the age program alone: the wrap, then the segment."""
        for recording, kind, _, file in copy.rows():
            if kind == "site":
                continue
            key = tmp_path / "recording.txt"
            key.write_bytes(age.run("-d", "-i", identity, data=file) + b"\n")
            folder = copy.folder / "room_witness" / "vault" / "segments" / recording
            for segment in folder.glob("*.mp4.age"):
                assert age.run("-d", "-i", key, segment)[4:8] == b"ftyp"

    await hass.async_add_executor_job(custodian)
    await call(hass, "stop")
    assert issue_ids(hass) == set()
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_mode_is_changed_in_the_page(
    hass: HomeAssistant, make_site: Any, camera: Camera
) -> None:
    entry = await make_site()
    for mode in ("sealed", "assisted"):
        flow = Flow(hass, entry)
        result = await flow.start("mode")
        (field,) = result["data_schema"].schema
        assert field.default() != mode
        assert (await flow.go(mode=mode))["reason"] == "mode_changed"
    log = await hass.async_add_executor_job(log_of, hass)
    assert [e["mode"] for e in log if e["kind"] == "mode_changed"] == ["sealed", "assisted"]
