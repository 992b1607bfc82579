"""Sets the site up through Home Assistant's flows, as an admin would in the page."""

from collections.abc import Callable
from typing import Any

from .client import Answer, Client
from .place import Place

ENTRIES = "/api/config/config_entries/flow"
SUBENTRIES = "/api/config/config_entries/subentries/flow"
ROOM_12, ROOM_14 = "Room 12", "Room 14"
REVIEW_SECONDS = 45
LEGAL_FILE = {
    "purpose": "Protection of staff against threats and violence",
    "controller": "The demo's municipality",
    "contact": "dpo@example.org",
    "assessment_id": "IA-2026-1",
    "assessment_date": "2026-11-01",
    "dpia_reference": "DPIA-2026-1",
    "disposal_decision": "G-2026-7",
    "union_reference": "MBL-2026-3",
}


async def set_up(client: Client, place: Place, say: Callable[[str], None]) -> None:
    """Calendars, site, cameras, rooms, automations."""
    say("calendars")
    for name in (ROOM_12, ROOM_14):
        await client.flow(
            ENTRIES, "local_calendar", {"calendar_name": name, "import": "create_empty"}
        )
    say("the site and the custodian's identity")
    entry_id = await _site(client, place)
    cameras = []
    for camera in place.cameras:
        name, port = camera.name, camera.onvif_port
        try:
            cameras.append(await _camera(client, entry_id, name, port, _found(port)))
            say(f"camera {name}, found on the network")
        except NotFound:
            cameras.append(await _camera(client, entry_id, name, port, {"next_step_id": "onvif"}))
            say(f"camera {name}, by its address (this network has no multicast)")
    say("rooms")
    await _room(
        client,
        entry_id,
        ROOM_12,
        cameras[0],
        calendar="calendar.room_12",
        lamp="light.lamp_room_12",
    )
    await _room(client, entry_id, ROOM_14, cameras[1])
    say("automations from the blueprints")
    await _automations(client)


async def _site(client: Client, place: Place) -> str:
    identity = ""

    def confirm(shown: dict[str, Any]) -> dict[str, object]:
        nonlocal identity
        identity = shown["description_placeholders"]["identity"]
        place.identity.write_text(
            "# Only because this is a demo. A real site's custodian keeps this elsewhere.\n"
            f"{identity}\n"
        )
        place.identity.chmod(0o600)
        return {"confirm": identity[-6:]}

    made = await client.flow(
        ENTRIES, "room_witness", _suggested, {"next_step_id": "custodian"}, confirm
    )
    return str(made["result"]["entry_id"])


def _suggested(shown: dict[str, Any]) -> dict[str, object]:
    """What the form suggests."""
    return {f["name"]: f["default"] for f in shown["data_schema"] if "default" in f}


class NotFound(Exception):
    """The camera is not among those that answered."""


def _found(port: int) -> Callable[[dict[str, Any]], dict[str, object]]:
    """Pick the camera of that port from what answered on the network."""

    def pick(shown: dict[str, Any]) -> dict[str, object]:
        if shown["step_id"] == "discovered":
            for option in shown["data_schema"][0]["selector"]["select"]["options"]:
                if option["label"].endswith(f"(127.0.0.1:{port})"):
                    return {"found": option["value"]}
        raise NotFound

    return pick


async def _camera(client: Client, entry_id: str, name: str, port: int, how: Answer) -> str:
    address: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "username": "camera",
        "password": "demo password",
    }

    def details(shown: dict[str, Any]) -> dict[str, object]:
        return {**_suggested(shown), "name": name, "audio": True}

    way: list[Answer] = [{"next_step_id": "discovered"}, how] if callable(how) else [how]
    button = {"panic_input": "in1", "panic_when": "closed"}
    await client.flow(SUBENTRIES, [entry_id, "camera"], *way, address, details, button)
    return await _subentry(client, entry_id, name)


async def _subentry(client: Client, entry_id: str, title: str) -> str:
    found = await client.command("config_entries/subentries/list", entry_id=entry_id)
    return next(str(s["subentry_id"]) for s in found if s["title"] == title)


async def _room(client: Client, entry_id: str, name: str, camera: str, **bound: str) -> None:
    await client.flow(
        SUBENTRIES,
        [entry_id, "room"],
        {
            "name": name,
            "cameras": [camera],
            "times": {
                "lead": {"seconds": 0},
                "lag": {"seconds": 0},
                "review_window": {"seconds": REVIEW_SECONDS},
                "hold_period": {"days": 30},
                "preflight_lead": {"seconds": 20},
            },
            "legal_file": LEGAL_FILE,
            **bound,
        },
    )


async def _automations(client: Client) -> None:
    room = "switch.room_14_meeting"
    for number, (alias, blueprint, entity) in enumerate(
        (
            ("Room 14: calendar to recording", "calendar_to_recording", "calendar.room_14"),
            (
                "Room 14: wall switch to threat",
                "wall_switch_to_threat",
                "input_button.wall_switch_14",
            ),
        ),
        1,
    ):
        name = "calendar" if "calendar" in blueprint else "wall_switch"
        await client.post(
            f"/api/config/automation/config/{number}",
            {
                "alias": alias,
                "use_blueprint": {
                    "path": f"room_witness/{blueprint}.yaml",
                    "input": {name: entity, "room": room},
                },
            },
        )
