"""Every kind of recipient, against age 1.3 both ways, and plugins that do not behave."""

import io
import json
import os
import stat
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.vault import Vault, age
from roomwitness.vault.age import bech32, plugin
from roomwitness.vault.age.header import read
from roomwitness.vault.errors import (
    AgeFormatError,
    IdentityInvalid,
    IdentityOnToken,
    KeyMissing,
    PluginFailed,
    PluginMissing,
    RecipientsMixed,
)
from tests.peers import age as peer

from .conftest import SITE, Place, T, begin, write

ME = age.generate_identity()
PQ = age.generate_hybrid_identity()
DATA = b"evidence" * 20_000


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of plugins on ``PATH``, beside age's own ones."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.setenv(
        "PATH", os.pathsep.join(map(str, (folder, peer.folder(), "/usr/bin", "/bin")))
    )
    return folder


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


# Plugins


@pytest.mark.usefixtures("plugins")
def test_real_plugins_encrypt_for_us() -> None:
    token = age.PluginRecipient.from_string(peer.TAGTEST)
    assert token.name == "tag"
    assert peer.run("-d", "-j", "tagtest", data=age.encrypt(DATA, [token, ME.recipient])) == DATA
    hybrid = age.PluginRecipient.from_string(str(PQ.recipient))
    assert age.decrypt(age.encrypt(DATA, [hybrid, PQ.recipient]), [PQ]) == DATA
    with pytest.raises(RecipientsMixed):
        age.encrypt(DATA, [hybrid, ME.recipient])


def test_a_plugin_that_is_not_here_is_named(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipient = age.parse_recipient(bech32.encode("age1yubikey", b"\x02" * 33))
    with pytest.raises(PluginMissing) as caught:
        recipient.wrap(bytes(16))
    assert caught.value.placeholders == {"plugin": "yubikey"}
    # A program in the present folder is not on the way.
    make(plugins, "yubikey", "")
    monkeypatch.chdir(plugins)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}/usr/bin")
    with pytest.raises(PluginMissing):
        recipient.wrap(bytes(16))


READ = """
import base64, sys, time
def read():
    kind, *args = sys.stdin.readline()[3:].split()
    body = ""
    while len(line := sys.stdin.readline().rstrip("\\n")) == 64:
        body += line
    body += line
    return kind, args, base64.b64decode(body + "=" * (-len(body) % 4))
def say(*args, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    print("-> " + " ".join(args), text, sep="\\n", flush=True)
def ask(*args, body=b""):
    say(*args, body=body)
    return read()[0]
sent = {}
while (command := read())[0] != "done":
    sent[command[0]] = command
"""


def make(folder: Path, name: str, script: str) -> age.PluginRecipient:
    """A plugin in Python, and its recipient."""
    path = folder / f"age-plugin-{name}"
    path.write_text(f"#!{sys.executable} -IS\n{READ}{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return age.PluginRecipient.from_string(bech32.encode(f"age1{name}", b"x"))


def test_a_plugin_is_told_what_the_protocol_says(plugins: Path, tmp_path: Path) -> None:
    recipient = make(
        plugins,
        "odd.name-1",
        f"""
import json, os, pathlib
asked = [ask("grease-7", "1", body=b"zzz"), ask("msg", body=b"touch it"), ask("request-secret"),
    ask("confirm", "eWVz"), ask("labels", "one", "two")]
asked += [ask("recipient-stanza", "0", "odd", "a1", body=sent["wrap-file-key"][2]),
    ask("recipient-stanza", "0", "odder")]
pathlib.Path({str(tmp_path / "seen")!r}).write_text(json.dumps(
    [sys.argv[1:], sorted(os.environ), asked, sent["add-recipient"][1],
    "extension-labels" in sent]))
say("done")
""",
    )
    os.environ["SUPERVISOR_TOKEN"] = "secret"
    try:
        wrapped = recipient.wrap(bytes(range(16)))
    finally:
        del os.environ["SUPERVISOR_TOKEN"]
    assert [s.args for s in wrapped.stanzas] == [("odd", "a1"), ("odder",)]
    assert wrapped.stanzas[0].body == bytes(range(16))
    assert wrapped.labels == {"one", "two"}
    argv, environment, asked, added, labels = json.loads((tmp_path / "seen").read_text())
    assert argv == ["--age-plugin=recipient-v1"]
    assert not {"SUPERVISOR_TOKEN", "PYTEST_CURRENT_TEST"} & set(environment)
    assert asked == ["unsupported", "fail", "fail", "fail", "ok", "ok", "ok"]
    assert added == [str(recipient)]
    assert labels


@pytest.mark.parametrize(
    "script",
    [
        "say('error', 'recipient', '0', body=b'no'); read()",
        "say('done')",
        "say('recipient-stanza', '1', 'x')",
        "say('recipient-stanza', '0')",
        "say('recipient-stanza', '0', 'scrypt', 'salt', '18')",
        "ask('labels', 'a'); say('labels', 'b')",
        "say('labels', 'a', 'a')",
        "print('hello', flush=True)",
        "print('-> x ' + 'y' * 5000, flush=True)",
        "sys.stdout.buffer.write(b'-> \\xff\\n\\n'); sys.stdout.flush()",
        "print('-> recipient-stanza 0 x\\n====', flush=True)",
        "sys.exit(1)",
        "\nwhile True: ask('msg', body=b'again')",
        "\nwhile True: print('-> x\\n', flush=True)",
    ],
)
def test_a_plugin_that_does_not_keep_to_the_protocol_fails(plugins: Path, script: str) -> None:
    recipient = make(plugins, "bad", script)
    with pytest.raises(PluginFailed) as caught:
        recipient.wrap(bytes(16))
    assert caught.value.placeholders == {"plugin": "bad"}


@pytest.mark.parametrize(
    "script",
    [
        "time.sleep(600)",
        # What it started holds its standard output open.
        "import subprocess; subprocess.Popen(['sleep', '600'])",
    ],
)
def test_a_plugin_that_hangs_is_ended(
    plugins: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    recipient = make(plugins, "slow", f"open({str(plugins / 'ran')!r}, 'a').write('x'); {script}")
    monkeypatch.setattr(plugin, "TIMEOUT", 1.0)
    started = time.monotonic()
    with pytest.raises(PluginFailed):
        recipient.wrap(bytes(16))
    assert time.monotonic() - started < 20
    # A recording's start does not wait for it again, but a person's try does.
    ran = (plugins / "ran").read_text
    before = len(ran())
    with pytest.raises(PluginFailed):
        recipient.wrap(bytes(16))
    assert len(ran()) == before
    monkeypatch.setattr(plugin, "TIMEOUT", 30.0)
    (plugins / "age-plugin-slow").unlink()
    recipient = make(plugins, "slow", "ask('recipient-stanza', '0', 'x'); say('done')")
    with pytest.raises(PluginFailed):
        recipient.wrap(bytes(16))
    age.try_recipient(str(recipient))
    assert recipient.wrap(bytes(16)).stanzas


def test_a_plugin_that_cannot_start_fails(plugins: Path) -> None:
    recipient = make(plugins, "broken", "")
    (plugins / "age-plugin-broken").write_text("#!/nowhere/python\n")
    with pytest.raises(PluginFailed):
        recipient.wrap(bytes(16))


# Identities in a plugin's care


class Desk:
    """Somebody in front of the plugin: what they were told, and what they answer."""

    def __init__(self, *answers: str | bool | None) -> None:
        self.told: list[object] = []
        self.answers = list(answers)

    def tell(self, message: str) -> None:
        self.told.append(message)

    def ask(self, message: str, *, secret: bool) -> str | None:
        self.told.append((message, secret))
        answer = self.answers.pop(0)
        assert not isinstance(answer, bool)
        return answer

    def choose(self, message: str, yes: str, no: str | None) -> bool | None:
        self.told.append((message, yes, no))
        answer = self.answers.pop(0)
        assert not isinstance(answer, str)
        return answer


TOKEN = bech32.encode("age-plugin-tagtest-", b"").upper()


@pytest.mark.usefixtures("plugins")
def test_a_tokens_plugin_opens_files_of_ours_and_of_age() -> None:
    token = age.parse_custodian(f" {TOKEN}\n", Desk())
    assert isinstance(token, age.TokenIdentity)
    assert token.name == "tagtest"
    assert TOKEN not in repr(token)
    recipient = age.parse_recipient(peer.TAGTEST)
    assert age.decrypt(age.encrypt(DATA, [ME.recipient, recipient]), [token]) == DATA
    assert age.decrypt(peer.run("-r", peer.TAGTEST, data=DATA), [token]) == DATA
    hybrid = age.parse_recipient(peer.tagtest_post_quantum())
    assert age.decrypt(age.encrypt(DATA, [hybrid]), [token]) == DATA
    with pytest.raises(KeyMissing):
        age.decrypt(age.encrypt(DATA, [ME.recipient]), [token])


def opens(folder: Path, script: str, *answers: str | bool | None) -> tuple[bytes | None, Desk]:
    desk = Desk(*answers)
    recipient = make(folder, "box", script)
    identity = age.parse_custodian(bech32.encode("age-plugin-box-", b"7").upper(), desk)
    stanza = age.parse_recipient(str(ME.recipient)).wrap(bytes(16)).stanzas[0]
    assert recipient.name == "box"
    return identity.unwrap(stanza), desk


def test_a_plugin_asks_whoever_is_there(plugins: Path, tmp_path: Path) -> None:
    found, desk = opens(
        plugins,
        f"""
import json, pathlib
say("msg", body=b"touch it"); seen = [read()[0]]
say("request-secret", body=b"PIN?"); kind, _, pin = read(); seen.append([kind, pin.decode()])
say("request-public", body=b"serial?"); seen.append(read()[0])
say("confirm", "eWVz", "bm8", body=b"sure?"); seen.append(read()[:2])
say("confirm", "b2s", body=b"ready?"); seen.append(read()[0])
say("grease-1"); seen.append(read()[0])
seen += [sys.argv[1:], sent["add-identity"][1], sent["recipient-stanza"][1][:2]]
pathlib.Path({str(tmp_path / "seen")!r}).write_text(json.dumps(seen))
ask("file-key", "0", body=bytes(range(16)))
say("done")
""",
        "12å4",
        None,
        False,
        None,
    )
    assert found == bytes(range(16))
    assert desk.told == [
        "touch it",
        ("PIN?", True),
        ("serial?", False),
        ("sure?", "yes", "no"),
        ("ready?", "ok", None),
    ]
    identity = bech32.encode("age-plugin-box-", b"7").upper()
    assert json.loads((tmp_path / "seen").read_text()) == [
        "ok",
        ["ok", "12å4"],
        "fail",
        ["ok", ["no"]],
        "fail",
        "unsupported",
        ["--age-plugin=identity-v1"],
        [identity],
        ["0", "X25519"],
    ]


def test_a_plugin_that_opens_nothing_says_nothing(plugins: Path) -> None:
    assert opens(plugins, "say('done')")[0] is None


@pytest.mark.parametrize(
    "script",
    [
        "say('error', 'internal', body=b'no token'); read()",
        "ask('file-key', '1', body=bytes(16))",
        "ask('file-key', '0', body=bytes(15))",
        "ask('file-key', '0', body=bytes(16)); ask('file-key', '0', body=bytes(16))",
        "ask('confirm', 'eWVz', 'bm8', 'bm8')",
        "ask('confirm', 'e=')",
        "sys.exit(2)",
    ],
)
def test_a_plugin_that_opens_wrongly_fails(plugins: Path, script: str) -> None:
    with pytest.raises(PluginFailed):
        opens(plugins, script)


def test_a_plugin_that_does_not_end_by_itself_is_ended(plugins: Path) -> None:
    """Its work is done: what it gave is taken."""
    script = "ask('recipient-stanza', '0', 'x'); say('done')\nwhile True: time.sleep(1)"
    started = time.monotonic()
    assert make(plugins, "stays", script).wrap(bytes(16)).stanzas[0].args == ("x",)
    assert time.monotonic() - started < 8


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
