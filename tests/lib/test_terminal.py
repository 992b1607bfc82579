"""The custodian at a terminal of their own: what a token's plugin wants is asked and not shown."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roomwitness.vault import age
from roomwitness.vault.age import bech32
from roomwitness.vault.keys import Holder, KeyStore, Wraps

from .vault.plugins import make
from .vault.test_plugins import ME

PIN = "123456"
# Opens whatever it is asked for, if the PIN is right: it was given the file key to encrypt.
BOX = """
import pathlib
kept = pathlib.Path({kept!r})
if "wrap-file-key" in sent:
    kept.write_bytes(sent["wrap-file-key"][2])
    ask("recipient-stanza", "0", "box", body=b"nothing")
elif sent["recipient-stanza"][1][1] == "box":
    ask("msg", body=b"touch \\x1b[2Jit")
    say("confirm", "eWVz", "bm8", body=b"sure?")
    sure = read()
    say("request-public", body=b"slot?")
    slot = read()
    say("request-secret", body=b"PIN?")
    if (sure[:2], slot[2], read()[2]) == (("ok", ["yes"]), b"9a", b"123456"):
        ask("file-key", "0", body=kept.read_bytes())
    else:
        say("error", "internal", body=b"wrong PIN"); read()
say("done")
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A held key store whose one recording opens by a plugin, and the identity file for it."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    monkeypatch.setenv("PATH", f"{plugins}{os.pathsep}/usr/bin{os.pathsep}/bin")
    box = make(plugins, "box", BOX.format(kept=str(tmp_path / "kept")))
    store = KeyStore(tmp_path / "held" / "held-keys.db")
    store.open()
    sealed = age.encrypt(str(ME).encode(), [box])
    store.put("r1", Wraps({Holder.custodian(box): sealed}))
    store.close()
    identity = tmp_path / "token.txt"
    identity.write_text("# token\n" + bech32.encode("age-plugin-box-", b"7").upper() + "\n")
    return tmp_path / "held", identity


def typed(words: list[str], answers: list[tuple[str, str]]) -> tuple[str, int]:
    """Run ``roomwitness`` at a terminal and type; all that it showed, and how it ended."""
    screen, keyboard = pty.openpty()
    # setsid makes the terminal its own: a PIN is read from /dev/tty.
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "roomwitness.cli", *words]
    child = subprocess.Popen(command, stdin=keyboard, stdout=keyboard, stderr=keyboard)
    os.close(keyboard)
    shown, waited = b"", list(answers)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([screen], [], [], 1)[0]:
            continue
        try:
            data = os.read(screen, 4096)
        except OSError:  # It has ended.
            break
        shown += data
        if waited and waited[0][0].encode() in shown:
            os.write(screen, waited.pop(0)[1].encode() + b"\n")
    os.close(screen)
    return shown.decode(), child.wait(10)


@pytest.mark.parametrize("pin", [PIN, "000000"])
def test_a_token_asks_at_the_terminal(
    held: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, pin: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "lib"))
    store, identity = held
    words = ["export", str(store), "--identity", str(identity)]
    shown, code = typed(words, [("sure? (1: yes, 2: no)", "1"), ("slot?", "9a"), ("PIN?", pin)])
    assert "touch  [2Jit" in shown, "and nothing that commands the terminal"
    assert "\x1b" not in shown
    assert pin not in shown
    if pin == PIN:
        assert code == 0
        assert f"# recording r1\r\n{ME}" in shown
    else:
        assert code == 1
        assert "wrong PIN" in shown
        assert "FAILED: plugin_failed" in shown
        assert str(ME) not in shown


def test_no_answer_is_a_no(held: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "lib"))
    store, identity = held
    words = ["export", str(store), "--identity", str(identity)]
    shown, code = typed(words, [("sure?", "3"), ("slot?", ""), ("PIN?", "")])
    assert (code, "FAILED: plugin_failed" in shown) == (1, True)
