"""Witnesses over HTTP: the options, a real witness, and this Home Assistant as one."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.room_witness.const import DOMAIN
from roomwitness.custody import SiteSigner, verify_receipt
from roomwitness.custody.checkpoints import kept_notes
from roomwitness.custody.cosignature import cosignatures
from roomwitness.custody.merkle import consistency_proof, leaf_hash, subtrees, tree_root
from roomwitness.custody.signing import Checkpoint
from roomwitness.custody.submission import Submission
from roomwitness.witness import outside
from tests.camera import Camera
from tests.tsa import Authority
from tests.witness_server import WitnessServer

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_room import call, state

LEAVES = [leaf_hash(b"%d" % n) for n in range(20)]
ADDRESS = "/api/room_witness/witness/add-checkpoint"


async def form(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> Any:
    shown: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert shown["menu_options"] == ["holds", "witnesses", "timestamps", "witnessing"]
    return await hass.config_entries.options.async_configure(
        shown["flow_id"], {"next_step_id": step}
    )


async def choose(hass: HomeAssistant, entry: MockConfigEntry, step: str, **values: str) -> Any:
    shown = await form(hass, entry, step)
    result = await hass.config_entries.options.async_configure(shown["flow_id"], values)
    await hass.async_block_till_done()
    return result


def custody(hass: HomeAssistant) -> Path:
    return Path(hass.config.path("room_witness", "vault", "custody"))


def vkey(hass: HomeAssistant) -> str:
    return (custody(hass) / "log.vkey").read_text().strip()


def cosigned(hass: HomeAssistant, key: str) -> list[int]:
    return [
        kept.size for kept, note in kept_notes(custody(hass)) if list(cosignatures(note, [key]))
    ]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "_LOOK_EVERY_S", 0.05)


async def test_a_witness_is_entered_and_signs_what_happens(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    async with WitnessServer(vkey(hass)) as server:
        wrong = f"{server.url} {vkey(hass)}"
        for line in (wrong, server.url, f"ftp://x {server.vkey}", f"http://a:b@x {server.vkey}"):
            shown = await choose(hass, entry, "witnesses", witnesses=f"{line}\n")
            assert shown["errors"] == {"witnesses": "witness_invalid"}
            assert shown["description_placeholders"]["line"] == line
            hass.config_entries.options.async_abort(shown["flow_id"])
        assert shown["description_placeholders"]["log_key"] == f"`{vkey(hass)}`"
        await call(hass, "start")
        await call(hass, "report_threat")
        await asyncio.sleep(0.2)
        assert server.requests == [], "nothing leaves the house unless it is asked for"
        lines = f"\n {server.url}  {server.vkey}\n"
        done = await choose(hass, entry, "witnesses", witnesses=lines)
        assert done["type"] is FlowResultType.CREATE_ENTRY
        await until(hass, lambda: cosigned(hass, server.vkey))
        (first,) = cosigned(hass, server.vkey)
        await call(hass, "stop")
        await call(hass, "release", reason="Decision 9")
        await until(hass, lambda: len(cosigned(hass, server.vkey)) > 1)
        assert cosigned(hass, server.vkey)[-1] > first
        last = "sensor.room_12_last_erasure"
        await until(hass, lambda: state(hass, last) != "unknown")
        erased = hass.states.get(last)
        assert erased is not None
        lines = (custody(hass) / "log.jsonl").read_text().splitlines()
        size = 1 + next(n for n, line in enumerate(lines) if '"kind":"erased"' in line)
        await until(hass, lambda: cosigned(hass, server.vkey)[-1] >= size)
        answer = await hass.services.async_call(
            DOMAIN,
            "get_receipt",
            {"receipt": erased.attributes["receipt"]},
            blocking=True,
            return_response=True,
        )
        assert answer is not None
        facts, proven = verify_receipt(str(answer["file"]), vkey(hass), [server.vkey])
        assert facts["decision"] == "G-7"
        assert [seen.name for seen in proven.cosigned] == [server.name]
        sent = b"".join(server.requests)
        assert b"Room 12" not in sent
        assert b"Decision" not in sent
        await choose(hass, entry, "holds", two_people=True, erase_at_review=False)
        shown = await form(hass, entry, "witnesses")
        (field,) = shown["data_schema"].schema
        assert field.description["suggested_value"] == f"{server.url} {server.vkey}"
        hass.config_entries.options.async_abort(shown["flow_id"])
        server.logs = []
        issues = ir.async_get(hass).issues
        await call(hass, "start")
        await call(hass, "report_threat")
        await until(hass, lambda: (DOMAIN, "witness_refuses") in issues)
        told = issues[DOMAIN, "witness_refuses"].translation_placeholders
        assert told == {"names": "witness.example/w1"}
    await choose(hass, entry, "witnesses", witnesses="")
    await until(hass, lambda: (DOMAIN, "witness_refuses") not in issues)
    monkeypatch.setattr(outside, "_LATE", timedelta(0))
    await choose(hass, entry, "witnesses", witnesses=f"{server.url} {server.vkey}")
    await until(hass, lambda: (DOMAIN, "witness_unreachable") in issues)


async def test_this_home_assistant_is_a_witness(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    client = await hass_client_no_auth()
    log = SiteSigner.generate("log.example")

    async def post(old: int, size: int, signer: SiteSigner = log) -> tuple[int, str, str]:
        proof = tuple(consistency_proof(subtrees(LEAVES), old, size))
        note = signer.sign(Checkpoint(log.name, size, tree_root(LEAVES[:size])).text())
        answer = await client.post(ADDRESS, data=Submission(old, proof, note).body())
        return answer.status, await answer.text(), answer.content_type

    assert (await post(0, 3))[0] == 404, "it is no witness unless it is asked to be"
    shown = await choose(hass, entry, "witnessing", witness_for="nonsense")
    assert shown["errors"] == {"witness_for": "log_key_invalid"}
    told = shown["description_placeholders"]
    assert told["witness_url"].endswith("/api/room_witness/witness`")
    done = await hass.config_entries.options.async_configure(
        shown["flow_id"], {"witness_for": f"{log.vkey}\n"}
    )
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    status, line, kind = await post(0, 3)
    assert (status, kind) == (200, "text/plain")
    note = log.sign(Checkpoint(log.name, 3, tree_root(LEAVES[:3])).text())
    (seen,) = cosignatures(note + line, [told["witness_key"].strip("`")])
    assert seen.name == "roomwitness/test/witness"
    assert await post(0, 9) == (409, "3\n", "text/x.tlog.size")
    assert (await post(3, 9))[0] == 200
    assert (await post(9, 9, SiteSigner.generate(log.name)))[0] == 403
    assert (await client.post(ADDRESS, data=b"x" * 40_000)).status == 413
    assert (await client.post(ADDRESS, data=b"")).status == 400
    assert (await client.get(ADDRESS)).status == 405
    await hass.config_entries.async_reload(entry.entry_id)
    assert (await post(0, 12))[1] == "9\n", "also after a restart"
    await hass.config_entries.async_unload(entry.entry_id)
    assert (await post(9, 12))[0] == 404
    shown = await form(hass, entry, "witnessing")
    assert shown["reason"] == "site_not_loaded"


async def test_one_room_witness_is_the_witness_of_another(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """Both ends of ours, over HTTP; one Home Assistant is enough to be both."""
    entry = await make_site(camera_subentry(camera), room_subentry())
    client = await hass_client_no_auth()
    url = str(client.make_url("/api/room_witness/witness"))
    key = entry.runtime_data.witness.witnessing.vkey
    await choose(hass, entry, "witnessing", witness_for=vkey(hass))
    await choose(hass, entry, "witnesses", witnesses=f"{url} {key}")
    await call(hass, "start")
    for _ in range(3):
        await call(hass, "report_threat")
        await asyncio.sleep(0.1)
    await until(hass, lambda: len(cosigned(hass, key)) >= 1)
    await call(hass, "stop")
    await call(hass, "release", reason="Decision 9")
    before = len(cosigned(hass, key))
    await until(hass, lambda: len(cosigned(hass, key)) > before)
    assert not [i for _, i in ir.async_get(hass).issues if i.startswith("witness")]


async def test_a_timestamp_authority_is_entered_and_stamps_what_happens(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str, tmp_path: Path
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    authority = await hass.async_add_executor_job(Authority, tmp_path / "authority")
    async with authority as tsa:
        for values, error in (
            ({"tsa_url": "gopher://x"}, {"tsa_url": "address_invalid"}),
            ({"tsa_url": "http://[x"}, {"tsa_url": "address_invalid"}),
            ({"tsa_url": tsa.url, "tsa_root": "x"}, {"tsa_root": "certificate_invalid"}),
        ):
            shown = await choose(hass, entry, "timestamps", **values)
            assert shown["errors"] == error
            hass.config_entries.options.async_abort(shown["flow_id"])
        await choose(hass, entry, "timestamps", tsa_url=tsa.url, tsa_root=tsa.root)
        await call(hass, "start")
        await call(hass, "report_threat")

        def files() -> list[Path]:
            return sorted((custody(hass) / "checkpoints").glob("*.tsr"))

        await until(hass, files)
        response = files()[-1]
        data = response.with_suffix(".checkpoint")
        told = await hass.async_add_executor_job(tsa.verified, data, response)
        assert "Verification: OK" in told
        assert entry.options["tsa_url"] == tsa.url
        await choose(hass, entry, "timestamps")
        count = len(tsa.requests)
        await call(hass, "stop")
        await call(hass, "release", reason="Decision 9")
        await asyncio.sleep(0.3)
        assert len(tsa.requests) == count, "switched off again"
