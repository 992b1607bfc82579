"""The age format: the whole C2SP kit, two independent programs, and every way to damage a file."""

import io
import subprocess
from hashlib import sha256
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.vault import age
from roomwitness.vault.age import bech32
from roomwitness.vault.age.file import CHUNK
from roomwitness.vault.errors import AgeFormatError, IdentityInvalid, KeyMissing

from . import kit

VECTORS = kit.vectors()
ME = age.generate_identity()


def claimed(vector: kit.Vector) -> bool:
    """Binary files opened by X25519 and post-quantum identities: what our reader says it reads."""
    identities = vector.fields.get("identity", [])
    return "armored" not in vector.fields and bool(identities) and all(map(is_ours, identities))


def is_ours(text: str) -> bool:
    try:
        age.parse_identity(text)
    except IdentityInvalid:
        return False
    return True


def test_the_kit_has_what_we_claim() -> None:
    assert sum(map(claimed, VECTORS)) >= 75
    assert sum(v.name.startswith("hybrid") and claimed(v) for v in VECTORS) >= 17


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_c2sp_kit(vector: kit.Vector) -> None:
    identities = [
        age.parse_identity(text) for text in vector.fields.get("identity", []) if is_ours(text)
    ]
    source, plain = io.BytesIO(vector.body), []

    def read() -> None:
        plain.extend(age.decrypt_stream(source, identities))

    expect = vector.one("expect") if claimed(vector) else "refused"
    if expect == "success":
        read()
        assert sha256(b"".join(plain)).hexdigest() == vector.one("payload")
    elif expect == "no match":
        with pytest.raises(KeyMissing):
            read()
    elif expect == "refused":  # Armor, passphrases, other key types: an error, never bytes.
        with pytest.raises((AgeFormatError, KeyMissing)):
            read()
        assert not plain
    else:
        with pytest.raises(AgeFormatError):
            read()
        # Only whole chunks that were authentic are given before the failure.
        assert all(len(piece) == CHUNK for piece in plain)
        assert expect == "payload failure" or not plain


sizes = st.sampled_from(
    [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7, 9 * CHUNK, 9 * CHUNK + 1]
)


@given(sizes, st.integers(1, 100_000) | st.just(10 * CHUNK))
def test_round_trip_however_it_is_written(size: int, step: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    out = io.BytesIO()
    writer = age.Encryptor([age.generate_identity().recipient, ME.recipient], out.write)
    for start in range(0, size, step):
        writer.write(data[start : start + step])
    writer.finish()
    assert age.decrypt(out.getvalue(), [age.generate_identity(), ME]) == data


@given(sizes)
@settings(max_examples=14)
def test_pyrage_reads_ours_and_we_read_pyrages(size: int) -> None:
    data = b"\x07" * size
    theirs = pyrage.x25519.Identity.from_str(str(ME))
    assert pyrage.decrypt(age.encrypt(data, [ME.recipient]), [theirs]) == data
    sealed = pyrage.encrypt(data, [theirs.to_public()])
    assert age.decrypt(sealed, [ME]) == data
    assert str(theirs.to_public()) == str(ME.recipient)


def test_the_age_program_reads_ours(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{ME}\n")
    (tmp_path / "file.age").write_bytes(age.encrypt(b"evidence" * 20_000, [ME.recipient]))
    done = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key", tmp_path / "file.age"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"evidence" * 20_000


@given(st.data())
@settings(max_examples=200)
def test_no_damaged_file_opens(data: st.DataObject) -> None:
    sealed = bytearray(age.encrypt(b"a" * (CHUNK + 500), [ME.recipient]))
    if data.draw(st.booleans()):
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    else:
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((AgeFormatError, KeyMissing)):
        age.decrypt(bytes(sealed), [ME])


def test_a_killed_writers_whole_chunks_can_be_had() -> None:
    sealed = age.encrypt(bytes(3 * CHUNK), [ME.recipient])
    for cut, expected in ((1, 2 * CHUNK), (CHUNK + 20, CHUNK), (2 * CHUNK + 40, 0)):
        assert len(age.decrypt_prefix(io.BytesIO(sealed[:-cut]), [ME])) == expected
    assert len(age.decrypt_prefix(io.BytesIO(sealed), [ME])) == 3 * CHUNK
    with pytest.raises(AgeFormatError):
        age.decrypt_prefix(io.BytesIO(sealed[:30]), [ME])


def test_keys_are_read_strictly_and_never_shown() -> None:
    assert age.Identity.from_string(f" {ME}\n") == ME
    assert age.Recipient.from_string(str(ME.recipient)) == ME.recipient
    assert str(ME) not in repr(ME)
    for text in ("", "age1", str(ME).lower(), str(ME.recipient).upper(), str(ME)[:-1], "x" * 62):
        with pytest.raises(IdentityInvalid):
            age.Identity.from_string(text)
        with pytest.raises(IdentityInvalid):
            age.Recipient.from_string(text)
    mixed = str(ME.recipient)[:-5] + str(ME.recipient)[-5:].upper()
    with pytest.raises(IdentityInvalid):
        age.Recipient.from_string(mixed)


@given(st.binary(min_size=1, max_size=60), st.sampled_from(["a", "age", "age-secret-key-"]))
def test_bech32_round_trip(data: bytes, prefix: str) -> None:
    assert bech32.decode(bech32.encode(prefix, data)) == (prefix, data)


@pytest.mark.parametrize("text", ["A12UEL5L", "a12uel5l", "1nwldj5", "abc1rzg", "split1a2y9w"])
def test_bech32_edges_of_bip_173(text: str) -> None:
    if text.lower() == "a12uel5l":
        assert bech32.decode(text) == ("a", b"")
    else:
        with pytest.raises(ValueError, match=r"."):
            bech32.decode(text)


def test_a_write_that_fails_uses_no_nonce_twice() -> None:
    """Whoever saw both would have the difference of the two texts."""
    seen: list[bytes] = []
    full = False

    def write(data: memoryview | bytes) -> None:
        seen.append(bytes(data))
        if full:
            raise OSError(28, "No space left on device")

    writer = age.Encryptor([ME.recipient], write)
    full = True
    for fill in (b"a", b"b"):
        with pytest.raises(OSError, match="No space"):
            writer.write(fill * (2 * CHUNK))
    first, second = seen[1:]
    mixed = bytes(x ^ y for x, y in zip(first[:1000], second[:1000], strict=True))
    assert mixed != bytes([ord("a") ^ ord("b")]) * 1000


def test_nothing_is_written_to_who_was_let_go_of() -> None:
    out = io.BytesIO()
    writer = age.Encryptor([ME.recipient], out.write)
    writer.finish()
    writer.close()
    assert writer.pending == b""
    whole = out.getvalue()
    for data in (b"a", bytes(age.CHUNK + 1)):
        with pytest.raises(ValueError):  # noqa: PT011
            writer.write(data)
    assert out.getvalue() == whole
