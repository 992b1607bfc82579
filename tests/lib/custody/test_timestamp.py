"""RFC 3161 timestamps by a real authority, OpenSSL's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody.cms import sorted_certificates
from roomwitness.custody.errors import TimestampInvalid
from roomwitness.custody.timestamp import query, read_roots, verify
from tests.tsa import Authority

DATA = b"roomwitness/test\n1\nroot\n"


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "authority")


def test_a_timestamp_holds_with_its_root_and_openssl_agrees(tsa: Authority, tmp_path: Path) -> None:
    asked = query(DATA)
    response = tsa.reply(asked.body)
    time = verify(response, DATA, read_roots(tsa.root), asked.nonce)
    assert abs(time - datetime.now(UTC)) < timedelta(seconds=60)
    assert verify(response, DATA, ()) == time, "by what it carries"
    data, file = tmp_path / "data", tmp_path / "data.tsr"
    data.write_bytes(DATA)
    file.write_bytes(response)
    assert "Verification: OK" in tsa.verified(data, file)
    assert DATA not in asked.body, "only a hash leaves"


def test_what_does_not_hold_is_refused(tsa: Authority, tmp_path: Path) -> None:
    asked = query(DATA)
    response = tsa.reply(asked.body)
    roots = read_roots(tsa.root)
    assert asked.nonce is not None
    other = Authority(tmp_path / "other")
    for wrong in (
        lambda: verify(response, DATA + b"x", roots, asked.nonce),
        lambda: verify(response, DATA, roots, asked.nonce + 1),
        lambda: verify(response, DATA, read_roots(other.root), asked.nonce),
        lambda: verify(other.reply(asked.body), DATA, roots, asked.nonce),
        lambda: verify(response[:-40], DATA, roots, asked.nonce),
        lambda: verify(b"", DATA, roots),
        lambda: verify(tsa.reply(b"nonsense"), DATA, roots),
        lambda: read_roots("nonsense"),
    ):
        with pytest.raises(TimestampInvalid):
            wrong()


@given(st.binary(max_size=200))
def test_no_bytes_are_a_traceback(response: bytes) -> None:
    with pytest.raises(TimestampInvalid):
        verify(response, DATA, ())


@given(st.data())
def test_certificates_are_put_in_order_and_nothing_else_is_moved(
    tsa: Authority, data: st.DataObject
) -> None:
    if not _MADE:
        _MADE["response"] = tsa.reply(query(DATA).body)
    response = _MADE["response"]
    once = sorted_certificates(response)
    assert sorted(once) == sorted(response)
    assert sorted_certificates(once) == once
    cut = data.draw(st.integers(0, len(response) - 1))
    with pytest.raises(ValueError, match=r"cut short|not a timestamp"):
        sorted_certificates(response[:cut])


_MADE: dict[str, bytes] = {}


@given(st.data())
def test_no_changed_byte_moves_time_or_hash(tsa: Authority, data: st.DataObject) -> None:
    """A flip in what nobody signs may pass; one that changes what is said may not."""
    if not _MADE:
        _MADE["response"] = tsa.reply(query(DATA).body)
    response = _MADE["response"]
    roots = read_roots(tsa.root)
    time = verify(response, DATA, roots)
    changed = bytearray(response)
    changed[data.draw(st.integers(0, len(response) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert verify(bytes(changed), DATA, roots) == time
    except TimestampInvalid:
        return
