"""Every kind of recipient, against age 1.3 both ways, and plugins that do not behave."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.vault import age
from roomwitness.vault.age import bech32
from roomwitness.vault.age.header import read
from roomwitness.vault.errors import (
    AgeFormatError,
    IdentityInvalid,
    IdentityOnToken,
    KeyMissing,
    RecipientsMixed,
)
from roomwitness.vault.store import Vault
from tests.peers import age as peer

from .conftest import SITE, Place, T, begin, write
from .plugins import Desk

ME = age.generate_identity()
PQ = age.generate_hybrid_identity()
DATA = b"evidence" * 20_000


# Post-quantum


def test_age_opens_what_we_encrypt_to_a_post_quantum_custodian(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"{PQ}\n")
    assert peer.run("-d", "-i", key, data=age.encrypt(DATA, [PQ.recipient])) == DATA
    other = age.generate_hybrid_identity()
    both = age.encrypt(DATA, [other.recipient, PQ.recipient])
    assert peer.run("-d", "-i", key, data=both) == DATA
    assert age.decrypt(both, [other]) == DATA


def test_we_open_what_age_encrypts_to_our_post_quantum_recipient() -> None:
    sealed = peer.run("-r", str(PQ.recipient), data=DATA)
    assert age.decrypt(sealed, [ME, PQ]) == DATA
    with pytest.raises(KeyMissing):
        age.decrypt(sealed, [ME, age.generate_hybrid_identity()])


def test_keygens_post_quantum_identity_is_ours_too(tmp_path: Path) -> None:
    key = tmp_path / "key"
    peer.run_program("age-keygen", "-pq", "-o", key)
    comment, text = key.read_text().splitlines()[-2:]
    identity = age.parse_identity(text)
    assert isinstance(identity, age.HybridIdentity)
    assert str(identity) == text
    assert comment.endswith(str(identity.recipient))
    assert age.parse_recipient(str(identity.recipient)) == identity.recipient


def test_a_post_quantum_recipient_shares_no_file_with_another() -> None:
    for others in ([ME.recipient], [age.parse_recipient(peer.TAGTEST), ME.recipient]):
        with pytest.raises(RecipientsMixed):
            age.encrypt(DATA, [PQ.recipient, *others])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damaged_post_quantum_header_opens(data: st.DataObject) -> None:
    sealed = bytearray(age.encrypt(b"", [PQ.recipient]))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((AgeFormatError, KeyMissing)):
        age.decrypt(bytes(sealed), [PQ])


# Tokens


def test_a_tokens_plugin_opens_what_we_encrypt_to_its_public_key() -> None:
    token = age.parse_recipient(peer.TAGTEST)
    assert isinstance(token, age.TagRecipient)
    assert str(token) == peer.TAGTEST
    assert peer.run("-d", "-j", "tagtest", data=age.encrypt(DATA, [token, ME.recipient])) == DATA


def test_a_tokens_key_is_a_point_of_the_curve() -> None:
    point = age.TagRecipient.from_string(peer.TAGTEST).public
    for wrong in (b"\x04" + point[1:], b"\x02" + b"\xff" * 32, point[:-1]):
        with pytest.raises(IdentityInvalid):
            age.parse_recipient(bech32.encode("age1tag", wrong))


# Reading


def test_each_kind_is_read_as_what_it_is() -> None:
    for identity in (ME, PQ):
        assert age.parse_identity(f" {identity}\n") == identity
        assert age.parse_recipient(f" {identity.recipient}\n") == identity.recipient
        assert str(identity) not in repr(identity)
    yubikey = bech32.encode("age1yubikey", b"\x02" * 33)
    assert str(age.parse_recipient(yubikey)) == yubikey
    tagpq = bech32.encode("age1tagpq", b"x")
    assert age.parse_custodian(str(PQ), Desk()) == PQ
    with pytest.raises(IdentityInvalid):
        age.parse_custodian("AGE-PLUGIN-YUBIKEY-1", Desk())
    with pytest.raises(IdentityOnToken):
        age.parse_identity(bech32.encode("age-plugin-yubikey-", b"1").upper())
    assert {
        text
        for text in (str(ME.recipient), str(PQ.recipient), peer.TAGTEST, yubikey, tagpq)
        if age.post_quantum(age.parse_recipient(text))
    } == {str(PQ.recipient), tagpq}


NO_RECIPIENTS = {
    "nothing": "",
    "no separator": "age1",
    "no data": "age1pq1",
    "no name": "age11qqqqqq",
    "upper case": str(PQ.recipient).upper(),
    "cut": str(PQ.recipient)[:-1],
    "no key of ML-KEM": bech32.encode("age1pq", b"\xff" * 1216),
    "too short": bech32.encode("age1pq", bytes(1215)),
    "a plugin without a name": bech32.encode("age1", b"x"),
    "a plugin elsewhere": bech32.encode("age1a/b", b"x"),
    "another prefix": bech32.encode("agenda", b"x"),
    "a plugin in upper case": bech32.encode("age1yubikey", b"x").upper(),
    "an identity": str(ME),
    "a post-quantum identity": str(PQ),
    "no ASCII": "age1yubikey1åäö",
}
NO_IDENTITIES = {
    "nothing": "",
    "lower case": str(ME).lower(),
    "post-quantum in lower case": str(PQ).lower(),
    "cut": str(PQ)[:-1],
    "a recipient": str(ME.recipient),
    "no data": "AGE-SECRET-KEY-",
}


# By name: keys are new in each run, and a test must have the same id in every process.
@pytest.mark.parametrize("name", NO_RECIPIENTS)
def test_what_is_no_recipient_is_refused(name: str) -> None:
    with pytest.raises(IdentityInvalid):
        age.parse_recipient(NO_RECIPIENTS[name])


@pytest.mark.parametrize("name", NO_IDENTITIES)
def test_what_is_no_identity_is_refused(name: str) -> None:
    with pytest.raises(IdentityInvalid):
        age.parse_identity(NO_IDENTITIES[name])


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (age.parse_recipient, age.parse_identity):
        with pytest.raises((IdentityInvalid, IdentityOnToken)):
            parse(text)


def test_what_is_read_is_written_the_same() -> None:
    sealed = age.encrypt(b"", [PQ.recipient])
    stanzas, covered, _ = read(io.BytesIO(sealed).readline)
    assert sealed.startswith(covered)
    assert [stanza.args[0] for stanza in stanzas] == ["mlkem768x25519"]


# Recordings


def test_recordings_last_as_long_as_the_weakest_custodians_key(place: Place) -> None:
    """Post-quantum while every custodian is; written, broken off, recovered and opened alike."""
    folders = place.folder, place.ephemeral, place.held
    for custodians, kind in (
        ((PQ.recipient,), "age1pq1"),
        ((PQ.recipient, ME.recipient), "age1"),
        ((ME.recipient,), "age1"),
    ):
        vault = Vault(*folders, SITE, custodians, min_free_bytes=0)
        vault.open()
        name = f"m-{len(custodians)}-{kind}"
        recording = begin(vault, name)
        assert recording.recipient.rpartition("1")[0] + "1" == kind
        write(vault, recording, DATA)
        writer = vault.segment_writer(recording.id, T + timedelta(seconds=6))
        writer.write(DATA)
        writer.flush()
        vault.close()  # As a kill leaves it.
        vault = Vault(*folders, SITE, custodians, min_free_bytes=0)
        vault.open()
        vault.recover()
        segments = vault.segments(recording.id)
        assert [b"".join(vault.read_segment(segment)) for segment in segments] == [DATA, DATA]
        assert vault.keys_work()
        for identity in (PQ, ME):
            if identity.recipient in custodians:
                (text,) = vault.export_identities(name, identity).values()
                for segment in segments:
                    sealed = segment.path.read_bytes()
                    assert age.decrypt(sealed, [age.parse_identity(text)]) == DATA
        vault.close()
