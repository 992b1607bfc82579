"""What HACS installs: the zip alone in an empty Home Assistant, no source tree on the path."""

import asyncio
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from demo.client import Client, until
from demo.files import write_server
from demo.place import Place
from tests.peers import free_port

from .conftest import TOP

pytestmark = pytest.mark.timeout(300)

# Without what the project's own environment adds for its editable install; tells what was loaded.
START = """
import atexit, pathlib, runpy, sys
config = pathlib.Path(sys.argv[1])
source = sys.argv[2]
sys.path[:] = [path for path in sys.path if path.rstrip("/") != source]
def tell():
    (config / "loaded").write_text(sys.modules["roomwitness"].__file__)
atexit.register(tell)
sys.argv = ["hass", "-c", str(config), "--skip-pip"]
runpy.run_module("homeassistant", run_name="__main__")
"""


async def test_the_zip_alone_loads_in_an_empty_home_assistant(tmp_path: Path) -> None:
    await asyncio.to_thread(
        subprocess.run, [TOP / "scripts" / "build"], check=True, capture_output=True
    )
    wheel = next((TOP / "dist").glob("roomwitness-*.whl"))
    assert "roomwitness/cli.py" in zipfile.ZipFile(wheel).namelist()
    place = Place(tmp_path, free_port(), ())
    write_server(place, "config:\nfrontend:\nautomation: []\nlogger:\n  default: warning\n")
    target = place.config / "custom_components" / "room_witness"
    with zipfile.ZipFile(TOP / "dist" / "room_witness.zip") as archive:
        archive.extractall(target)
    assert (target / "_lib" / "roomwitness" / "__init__.py").is_file()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", START, place.config, TOP / "lib"],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )
    try:
        async with Client(place.url) as client:
            await until(client.answers, "Home Assistant did not start", 120)
            await client.onboard()
            await until(client.running, "Home Assistant did not finish to start", 120)
            entry = await set_up(client, place)
            assert entry["state"] == "loaded"
            blueprints = await client.command("blueprint/list", domain="automation")
            assert "room_witness/calendar_to_recording.yaml" in blueprints
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
    loaded = Path(await asyncio.to_thread((place.config / "loaded").read_text))
    assert loaded == target / "_lib" / "roomwitness" / "__init__.py"


async def set_up(client: Client, place: Place) -> dict[str, str]:
    """The site's flow, then the entry."""

    def confirm(shown: dict[str, dict[str, str]]) -> dict[str, object]:
        return {"confirm": shown["description_placeholders"]["identity"][-6:]}

    vault = str(place.config / "room_witness" / "vault")
    flows, kind = "/api/config/config_entries/flow", {"next_step_id": "custodian"}
    await client.flow(flows, "room_witness", {"vault": vault}, kind, confirm)
    entries = await client.get("/api/config/config_entries/entry?domain=room_witness")
    return dict(entries[0])
