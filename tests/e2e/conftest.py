"""A running demo, as a person starts it, and a browser that is logged in to it."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.peers import free_port

TOP = Path(__file__).parents[2]
from demo.client import PASSWORD, USER  # noqa: E402


@dataclass
class Demo:
    """A demo that was started by ``scripts/demo``."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return "".join(self.printed)

    def log(self) -> str:
        return (self.home / "home-assistant.log").read_text()

    def wait_for(self, words: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"{words!r} was not printed:\n{self.text}"
            assert self.process.poll() is None, f"it ended:\n{self.text}"
            time.sleep(0.1)

    def processes(self) -> list[int]:
        """Everything that runs with this home in its command line or environment."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(self.home).encode() in (
                    (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


def launch(*words: str | Path, home: Path, port: int = 0) -> Demo:
    """Start ``scripts/demo`` and read what it prints."""
    process = subprocess.Popen(
        [TOP / "scripts" / "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DEMO_TEST_HOME": str(home)},
        start_new_session=True,
    )
    found = Demo(home, port, process)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found.printed.append(line)

    threading.Thread(target=read, daemon=True).start()
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo") / "home"
    port = free_port()
    found = launch("--home", home, "--port", str(port), home=home, port=port)
    process = found.process
    try:
        found.wait_for("Ctrl-C ends the demo", 240)
        yield found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        opened = play.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


@pytest.fixture
def page(demo: Demo, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(30_000)
    found = context.new_page()
    found.goto(demo.url)
    found.get_by_role("textbox", name="Username").fill(USER)
    found.get_by_role("textbox", name="Password").fill(PASSWORD)
    found.get_by_role("button", name="Log in").click()
    found.locator("home-assistant-main").wait_for(state="attached")
    yield found
    context.close()


def in_thread[T](work: object) -> T:
    """Run a coroutine while Playwright's own loop is in this thread."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))  # type: ignore[arg-type]
    thread.start()
    thread.join()
    return found[0]
