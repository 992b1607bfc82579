"""A plugin's process, and the stanzas that go to and fro (c2sp.org/age-plugin, "IPC protocol")."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from roomwitness.vault.errors import AgeFormatError, IdentityInvalid, PluginFailed, PluginMissing

from . import bech32, header
from .header import Stanza

OK, FAIL, UNSUPPORTED = (Stanza((word,), b"") for word in ("ok", "fail", "unsupported"))
# Somebody answers these, or nobody does.
ASKS = frozenset({"msg", "confirm", "request-public", "request-secret"})
_DONE = Stanza(("done",), b"")
_NAME = re.compile(r"[a-z0-9+\-._]+")
_MAX_COMMANDS = 256
_MAX_LINE = 4096
# Seconds that a plugin has to end by itself once it has said that it is done.
_GRACE = 1.0


def plugin_name(text: str, before: str, after: str, *, upper: bool) -> str:
    """The plugin that a recipient or identity is for.

    Raises:
        IdentityInvalid: it is for none.
    """
    try:
        prefix, _ = bech32.decode(text)
    except ValueError:
        raise IdentityInvalid("not an age key") from None
    name = prefix.removeprefix(before).removesuffix(after)
    if prefix != before + name + after or not _NAME.fullmatch(name):
        raise IdentityInvalid("not an age key")
    if text != (text.upper() if upper else text.lower()):
        raise IdentityInvalid("not an age key")
    return name


def program(name: str) -> str | None:
    """Where the plugin is on ``PATH``; folders relative to the present one don't count."""
    import shutil  # Here, for the recording process: it reads recipients, and runs no plugin.

    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())
    return shutil.which(f"age-plugin-{name}", path=path)


def talk(
    name: str,
    machine: str,
    told: Iterable[Stanza],
    answer: Callable[[Stanza], Stanza],
    environment: Mapping[str, str],
    seconds: float,
) -> None:
    """Tell a plugin everything, then ``answer`` each of its commands until it is done.

    Blocks for at most ``seconds``; afterwards nothing of the plugin runs. ``answer`` may raise
    AgeFormatError.

    Raises:
        PluginMissing: it is not on ``PATH``.
        PluginFailed: it ends early, takes too long or does not keep to the protocol.
    """
    path = program(name)
    if path is None:
        raise PluginMissing(f"age-plugin-{name} is not here", plugin=name)
    try:
        with _running(path, machine, environment, seconds) as (there, back):
            for stanza in (*told, _DONE):
                there.write(stanza.encode())
            there.flush()
            _follow(there, back, answer)
    except (OSError, AgeFormatError) as err:
        raise PluginFailed(f"age-plugin-{name}: {err}", plugin=name) from None


def _follow(there: IO[bytes], back: IO[bytes], answer: Callable[[Stanza], Stanza]) -> None:
    """Phase 2, in which the plugin leads."""
    for _ in range(_MAX_COMMANDS):
        command = header.read_stanza(lambda: back.readline(_MAX_LINE + 2))
        if command.args[0] == "done":
            return
        there.write(answer(command).encode())
        there.flush()
    raise AgeFormatError("it does not come to an end")


@contextmanager
def _running(
    path: str, machine: str, environment: Mapping[str, str], seconds: float
) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Its standard input and output, for a while."""
    import tempfile  # As above.

    with subprocess.Popen(  # noqa: S603 (found on PATH by a name that is checked; no shell)
        [path, f"--age-plugin={machine}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
        env=environment,
        start_new_session=True,
    ) as process:
        there, back = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            # A killed plugin ends our reading and writing, whatever it was about to do.
            with _alarm(seconds, process.pid):
                yield there, back
            with _alarm(_GRACE, process.pid):
                there.close()
                while back.read(_MAX_LINE):
                    pass
        finally:
            _kill(process.pid)


@contextmanager
def _alarm(seconds: float, group: int) -> Iterator[None]:
    alarm = threading.Timer(seconds, _kill, (group,))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        alarm.join()


def _kill(group: int) -> None:
    """End a plugin and whatever it started; it is not reaped yet, so the number is its own."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
