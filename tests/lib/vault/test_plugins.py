"""age's plugins, real ones and such that do not behave."""

import json
import os
import time
from pathlib import Path

import pytest

from roomwitness.vault import age
from roomwitness.vault.age import bech32, plugin
from roomwitness.vault.errors import (
    KeyMissing,
    PluginFailed,
    PluginMissing,
    RecipientsMixed,
)
from tests.peers import age as peer

from .plugins import Desk, make

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
