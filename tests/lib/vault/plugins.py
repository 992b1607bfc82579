"""Plugins for age, and somebody who answers what they ask."""

import stat
import sys
from pathlib import Path

from roomwitness.vault import age
from roomwitness.vault.age import bech32

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
