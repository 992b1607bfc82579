"""The README's first command: what a person sees and presses, and what --check says."""

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from demo.client import Client
from roomwitness.vault.inspect import inspect
from tests.peers import free_port

from .conftest import TOP, Demo, in_thread, launch

pytestmark = pytest.mark.timeout(400)


def start(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A start that is refused."""
    command = [TOP / "scripts" / "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


async def set_language(url: str, language: str) -> None:
    async with Client(url) as client:
        await client.login()
        await client.command("frontend/set_user_data", key="language", value={"language": language})


def shot(page: Page, name: str) -> None:
    """For a person to look at, in .tools/shots."""
    folder = TOP / ".tools" / "shots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def test_it_says_where_to_look_and_what_to_press(demo: Demo) -> None:
    assert f"{demo.url}/room-witness" in demo.text
    for words in ("Report threat", "wall switch", "user demo, password demo"):
        assert words in demo.text


def test_a_meeting_is_recorded_and_a_threat_reported_in_the_browser(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.url}/room-witness")
    room = page.locator("hui-grid-section").filter(has_text="Room 12")
    expect(room.get_by_text("Recording", exact=True).first).to_be_visible(timeout=90_000)
    expect(room.get_by_text("Lamp at the door")).to_be_visible()
    shot(page, "recording")
    room.locator("hui-tile-card").filter(has_text="Report threat").click()
    held = room.locator("hui-tile-card").filter(has_text="Evidence held")
    expect(held.get_by_text("1", exact=True)).to_be_visible()
    time.sleep(2)
    shot(page, "threat")


@pytest.mark.parametrize(
    ("language", "add_room", "add_camera"),
    [
        ("en", ("Add room", "Legal file"), ("Add camera", "on the network")),
        ("sv", ("Lägg till rum", "Rättsligt underlag"), ("Lägg till kamera", "nätverket")),
    ],
)
def test_the_integrations_pages_are_translated(
    demo: Demo, page: Page, language: str, add_room: tuple[str, str], add_camera: tuple[str, str]
) -> None:
    in_thread(set_language(demo.url, language))
    try:
        page.goto(f"{demo.url}/config/integrations/integration/room_witness")
        expect(page.get_by_text("Room 12", exact=True).first).to_be_visible()
        shot(page, f"integration-{language}")
        for step, word in (add_room, add_camera):
            page.goto(f"{demo.url}/config/integrations/integration/room_witness")
            page.get_by_role("button", name=re.compile(step, re.IGNORECASE)).first.click()
            expect(page.get_by_text(word).first).to_be_visible()
            shot(page, f"{step}-{language}".replace(" ", "-"))
            shown = page.locator("body").aria_snapshot()
            untranslated = re.search(r"component\.|[a-z]+_[a-z]+", re.sub(r"/url:.*", "", shown))
            assert not untranslated, shown
    finally:
        in_thread(set_language(demo.url, "en"))


def test_no_traceback_of_ours_is_in_the_log(demo: Demo) -> None:
    blocks = re.split(r"(?m)^(?=\d{4}-\d\d-\d\d )", demo.log())
    ours = [b for b in blocks if re.search(r"room.?witness", b) and "Traceback" in b]
    assert not ours, ours[0]


def test_only_this_machine_reaches_it(demo: Demo) -> None:
    own = demo.processes()
    listening = [
        c.laddr
        for c in psutil.net_connections("tcp")
        if c.pid in own and c.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 5, "Home Assistant's page; ONVIF and RTSP of two cameras"
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_cameras_were_found_on_the_network_or_it_is_said(demo: Demo) -> None:
    found = re.findall(r"camera Room 1[24] \w+, (found on the network|by its address)", demo.text)
    assert len(found) == 2, demo.text


def test_nothing_is_fetched_or_compiled_at_run_time(demo: Demo) -> None:
    assert "Skipping pip installation" in demo.log()
    errors = re.findall(r"(?m)^\S+ \S+ (?:ERROR|CRITICAL) .*", demo.log())
    assert not errors, errors


def test_check_walks_both_meetings_against_the_running_server(demo: Demo) -> None:
    check = subprocess.run(
        [TOP / "scripts" / "demo", "--check", "--home", demo.home],
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert "all good" in check.stdout
    assert check.stdout.count(" ok ") >= 20


def test_a_second_demo_in_the_same_folder_says_where_the_first_is(demo: Demo) -> None:
    done = start("--home", demo.home)
    assert done.returncode != 0
    assert f"the demo runs here already: open {demo.url}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_not_a_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    done = start("--fresh", "--home", tmp_path)
    assert done.returncode != 0
    assert "holds something else" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_second_demo_on_the_same_port_is_refused_clearly(demo: Demo, tmp_path: Path) -> None:
    done = start("--home", tmp_path / "other", "--port", str(demo.port))
    assert done.returncode != 0
    assert f"port {demo.port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_all_that_it_started_and_a_second_start_takes_seconds(demo: Demo) -> None:
    assert len(demo.processes()) >= 4, "the demo, two cameras, Home Assistant"
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert demo.processes() == []
    held = vault(demo)["hold"]
    assert held
    port = free_port()
    again = launch("--home", demo.home, "--port", str(port), home=demo.home)
    try:
        again.wait_for("Ctrl-C ends the demo", 90)
        assert "onboarding" not in again.text, "it was set up before"
        assert f"http://127.0.0.1:{port}/room-witness" in again.text, "it moved"
        assert [h["id"] for h in vault(demo)["hold"]] == [h["id"] for h in held]
        assert len(demo.processes()) >= 4
    finally:
        again.process.kill()  # No time to clean up: the kernel ends the others.
        again.process.wait(60)
    end = time.monotonic() + 60
    while demo.processes():
        assert time.monotonic() < end, "something was left behind"
        time.sleep(0.2)


def vault(demo: Demo) -> dict[str, list[dict[str, object]]]:
    return inspect(demo.home / "config" / "room_witness" / "vault")
