"""One hour with cuts, an outage, a loss and a new picture size, played in a real browser.

What is in the vault is decrypted on its way to the browser; nothing readable is written.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from roomwitness.policy.words import GapCause, Meeting, MeetingState
from roomwitness.vault import Segment
from roomwitness.vault.store import Vault
from tests.lib.witness.house import House

from .playback import hour

PAGE = Path(__file__).parent / "playback" / "index.html"


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, vault: Vault, segments: dict[str, Segment], about: bytes, *args: Any):
        self._vault, self._segments, self._about = vault, segments, about
        super().__init__(*args)

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if name == "recording.json":
            self._give("application/json", self._about)
        elif name in self._segments:
            self._give("video/mp4", b"".join(self._vault.read_segment(self._segments[name])))
        else:
            self._give("text/html", PAGE.read_bytes())

    def _give(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def _about(vault: Vault, recording: str, segments: list[Segment]) -> dict[str, Any]:
    first = b"".join(vault.read_segment(segments[0]))
    profile = first[first.index(b"avcC") + 5 :][:3].hex()

    def since(at: Any) -> float:
        return float((at - hour.START).total_seconds())

    return {
        "codec": f"avc3.{profile}",
        "length": hour.SECONDS,
        "segments": [{"start": since(s.start), "end": since(s.end), "url": s.id} for s in segments],
        "gaps": [
            {"start": since(g.start), "end": since(g.end), "cause": g.cause, "lost": g.lost_packets}
            for g in vault.gaps(recording)
        ],
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vault, str]]:
    vault = House(tmp_path_factory.mktemp("hour")).vault()
    meeting = Meeting(
        id="m1", room_id="r1", state=MeetingState.RECORDING, origin="manual",
        planned_start=hour.START, started=hour.START,
    )  # fmt: skip
    vault.save_meeting(meeting)
    recording = vault.begin_recording("m1", "c1", hour.START).id
    hour.record(vault, recording)
    yield vault, recording
    vault.close()


@contextmanager
def _served(vault: Vault, recording: str) -> Iterator[str]:
    segments = vault.segments(recording)
    about = json.dumps(_about(vault, recording, segments)).encode()
    handler = partial(_Handler, vault, {s.id: s for s in segments}, about)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _seek(page: Page, second: float) -> dict[str, float]:
    """Go there, and what the picture then says."""
    page.evaluate(
        """async at => { const shown = new Promise(
              done => video.requestVideoFrameCallback(done));
              video.currentTime = at; await shown; }""",
        second,
    )
    found: dict[str, float] = page.evaluate(f"shown({hour.BITS})")
    return found


def test_an_hour_with_cuts_and_gaps_plays(
    recorded: tuple[Vault, str], browser: Browser, tmp_path: Path
) -> None:
    vault, recording = recorded
    segments, gaps = vault.segments(recording), vault.gaps(recording)
    assert len(segments) >= 60
    causes = {gap.cause for gap in gaps}
    assert causes == {GapCause.CONNECTION_LOST, GapCause.PACKET_LOSS, GapCause.DAMAGED}
    errors: list[str] = []
    with _served(vault, recording) as url:
        page = browser.new_page(viewport={"width": 1000, "height": 680})
        page.on("pageerror", lambda err: errors.append(str(err)))
        page.goto(url)
        page.wait_for_function("window.ready && video.readyState >= 2")
        # Anywhere in the hour, either side of every kind of cut.
        for second in (5, 59.9, 60.1, 743.5, 1199.6, 1200.4, 1790, 1830, 2399, 2420, 3590):
            found = _seek(page, second)
            assert found["second"] == pytest.approx(second, abs=1.01), second
            assert found["width"] == (hour.SMALL if second < hour.LARGER_AT else hour.LARGE)[0]
        # Played over a cut with a new size, then over the outage, which is skipped and said.
        for begin, end in ((1197.5, 1203), (1797, hour.OUTAGE[1] + 4)):
            _seek(page, begin)
            page.evaluate("jumps.length = 0; video.playbackRate = 2; video.play()")
            page.wait_for_function(f"video.currentTime > {end}", timeout=20_000)
            page.evaluate("video.pause()")
            found = page.evaluate(f"shown({hour.BITS})")
            assert found["second"] == pytest.approx(found["at"], abs=1.3)
        (jump,) = page.evaluate("jumps")
        assert jump[0] == pytest.approx(hour.OUTAGE[0], abs=0.5)
        assert hour.OUTAGE[1] <= jump[1] <= hour.OUTAGE[1] + 4.1  # The next keyframe.
        page.screenshot(path=tmp_path / "playback.png")
        page.close()
    assert errors == []
