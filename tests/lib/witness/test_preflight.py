"""Preflight: what is wrong is told before the meeting, and what was mended is not."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import StreamInfo, StreamSource, probe
from roomwitness.policy.space import needed
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.process import in_thread
from roomwitness.vault import rates
from roomwitness.vault.age import generate_identity
from roomwitness.vault.index import Index
from roomwitness.vault.keys import KeyStore, new_recording_key
from roomwitness.vault.trial import keys_work
from roomwitness.vault.wrapping import KeyRing
from roomwitness.witness import RoomConfig, checks
from roomwitness.witness.ground import Ground
from roomwitness.witness.preflight import Preflight
from roomwitness.witness.refusals import Refusals
from roomwitness.witness.space import Space
from tests.camera import Camera, CameraConfig

from .house import LEGAL, House, booking, now, until

HOUR = timedelta(hours=1)


class Rounds:
    """A preflight that repeats quickly, and how often it has looked."""

    def __init__(self, house: House) -> None:
        self.host = RecordingHost(house.config.root, start=in_thread)
        self.free, self.count, self.house = 1 << 40, 0, house
        self.vault = house.vault()
        self.read: dict[str, datetime] = {"r1": now()}
        self.moment: datetime | None = None
        space = Space(lambda: self.free_bytes(), lambda _: 0, lambda r: ground.bits_per_s(r) / 8)
        ground = Ground(self, self.read, self.clock, lambda *asked: space.foreseen(*asked, 0))
        self.preflight = Preflight(
            self.host, ground.look, self.looked, self.current, self.clock, every_s=0.1
        )
        self.room: RoomConfig | None = None

    @property
    def index(self) -> Index:
        return self.vault.index

    def clock(self) -> datetime:
        return self.moment or now()

    def keys_work(self) -> bool:
        return self.vault.keys_work()

    def free_bytes(self) -> int:
        if self.free < 0:
            raise OSError
        return self.free

    def current(self, _room: str) -> RoomConfig | None:
        return self.room

    def looked(self, _room: str) -> None:
        self.count += 1

    def begin(self, source: StreamSource) -> None:
        self.preflight.begin(self.house.room(source), HOUR)

    def keys(self) -> list[str]:
        return [problem.key for problem in self.preflight.problems("r1")]

    async def another(self) -> list[str]:
        seen = self.count + 2  # The one after next began after this was asked.
        await until(lambda: self.count >= seen)
        return self.keys()


@pytest.fixture
async def rounds(house: House) -> AsyncIterator[Rounds]:
    found = Rounds(house)
    found.host.start()
    yield found
    await found.preflight.stop()
    await found.host.stop()
    found.vault.close()


async def test_a_camera_mended_in_time_is_no_problem_any_more(
    camera: Camera, rounds: Rounds
) -> None:
    rounds.begin(camera.source(password="wrong"))
    assert await rounds.another() == ["camera_auth_failed"]
    await camera.fault("refuse_rtsp")
    rounds.begin(camera.source())
    assert await rounds.another() == ["camera_unreachable"]
    await camera.fault("accept_rtsp")
    assert await rounds.another() == []
    await camera.fault("refuse_rtsp")
    assert await rounds.another() == ["camera_unreachable"]
    rounds.preflight.forget("r1")
    assert rounds.keys() == []


async def test_the_disk_must_hold_the_booked_length(camera: Camera, rounds: Rounds) -> None:
    rounds.free = needed(checks.ASSUMED_BITS_PER_S / 8, HOUR) - 1
    rounds.begin(camera.source())
    assert await rounds.another() == ["disk_short"]
    (problem,) = rounds.preflight.problems("r1")
    assert problem.placeholders == {"needed": "1.8", "free": "1.8", "rate": "4.0"}
    rounds.free += 1
    assert await rounds.another() == []
    rounds.free = -1
    assert await rounds.another() == []


async def test_the_measured_bit_rate_counts_once_there_is_one(
    camera: Camera, rounds: Rounds
) -> None:
    rates.learn(rounds.index, "c1", 45_000_000, 9.0, now())  # Too little to say anything.
    rounds.free = needed(2_000_000 / 8, HOUR)
    rounds.begin(camera.source())
    assert await rounds.another() == ["disk_short"]
    rates.learn(rounds.index, "c1", 45_000_000, 180.0, now())
    assert await rounds.another() == []
    rates.learn(rounds.index, "c1", 90_000_000, 180.0, now())
    assert await rounds.another() == ["disk_short"]


@given(st.lists(st.floats(1e3, 1e8), min_size=1, max_size=20))
def test_a_rate_rises_at_once_and_falls_slowly(measured: list[float]) -> None:
    known: float | None = None
    for each in measured:
        before, known = known, rates.blend(known, each)
        assert each <= known or math.isclose(each, known)
        assert before is None or known >= min(before, each) * 0.8
    assert known is not None
    assert known <= max(measured) * (1 + 1e-9)


async def test_a_recording_tells_what_its_camera_sends(
    camera: Camera, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_ENOUGH_S", 1.5)
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 2)
    await witness.stop_meeting("r1")
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    segments = vault.segments(recording.id)
    rate = sum(s.bytes for s in segments) * 8 / sum(s.media_seconds for s in segments)
    assert rates.known(vault.index) == {"c1": pytest.approx(rate)}
    vault.close()
    await witness.stop()


async def test_a_clock_that_is_off_is_told(camera: Camera, rounds: Rounds) -> None:
    await camera.fault("clock_offset_s", -3725.0)
    rounds.begin(camera.source())
    assert await rounds.another() == ["camera_clock_off"]
    (problem,) = rounds.preflight.problems("r1")
    assert problem.placeholders == {"offset": "-1 h 02 min"}
    await camera.fault("clock_offset_s", 1.5)
    assert await rounds.another() == []


def test_an_offset_is_shown_as_people_read_it() -> None:
    assert checks.shown_offset(2.34) == "+2.3 s"
    assert checks.shown_offset(-119.0) == "-119.0 s"
    assert checks.shown_offset(7200.0) == "+2 h 00 min"
    assert not checks.clock_off(None)
    assert not checks.clock_off(-2.0)
    assert checks.clock_off(-2.1)


async def test_a_camera_without_reports_has_no_offset(camera: Camera) -> None:
    camera.faults.no_reports = True
    info = await probe(camera.source(), report_s=0.3)
    assert info.clock_offset_s is None


async def test_the_store_of_keys_is_tried(camera: Camera, rounds: Rounds, house: House) -> None:
    store = house.config.ephemeral_dir / "ephemeral-keys.db"
    before = store.read_bytes()
    rounds.begin(camera.source())
    assert await rounds.another() == []
    aside = store.with_name("aside")
    store.rename(aside)
    assert await rounds.another() == ["key_store_unusable"]
    store.write_bytes(before)  # Another file of that name is not the one that is open.
    assert await rounds.another() == ["key_store_unusable"]
    aside.rename(store)
    assert await rounds.another() == []


def test_keys_of_another_site_are_noticed(house: House, tmp_path: Path) -> None:
    site, other = generate_identity(), generate_identity()
    store = KeyStore(tmp_path / "keys.db")
    assert not keys_work(store, KeyRing(site, (other.recipient,)))
    store.open()
    assert keys_work(store, KeyRing(site, (other.recipient,)))
    assert not store.ids()
    store.put("r", new_recording_key(site.recipient, (other.recipient,))[1])
    store.put("s", new_recording_key(None, (other.recipient,))[1])
    assert keys_work(store, KeyRing(site, (other.recipient,)))
    assert not keys_work(store, KeyRing(other, (site.recipient,)))
    assert not keys_work(store, KeyRing(site, ()))
    assert store.ids() == {"r", "s"}
    store.close()


async def test_a_calendar_that_was_not_read_lately_fails(camera: Camera, rounds: Rounds) -> None:
    rounds.moment = rounds.read["r1"] + timedelta(minutes=6)
    rounds.begin(camera.source())
    assert await rounds.another() == ["calendar_missing"]
    rounds.read["r1"] = rounds.moment
    assert await rounds.another() == []
    del rounds.read["r1"]
    assert await rounds.another() == ["calendar_missing"]
    rounds.room = rounds.house.room(camera.source(), bound=False)
    assert await rounds.another() == []
    rounds.room = rounds.house.room(camera.source(), bound=False, legal=replace(LEGAL, contact=""))
    assert await rounds.another() == ["legal_file_incomplete"]


async def test_a_result_is_news_once(camera: Camera, rounds: Rounds) -> None:
    assert rounds.preflight.result("r1") is None
    rounds.begin(camera.source())
    await rounds.another()
    first = rounds.preflight.result("r1")
    assert first is not None
    assert (first.number, first.failed) == (1, ())
    await camera.fault("refuse_rtsp")
    await until(lambda: rounds.preflight.result("r1") != first)
    assert rounds.preflight.result("r1").failed == ("camera_unreachable",)  # type: ignore[union-attr]
    await rounds.another()
    assert rounds.preflight.result("r1").number == 2  # type: ignore[union-attr]
    rounds.begin(camera.source())
    await rounds.another()
    assert rounds.preflight.result("r1").number == 3  # type: ignore[union-attr]


async def test_sound_that_is_wanted_must_be_there(rounds: Rounds) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5, audio=False)) as silent:
        rounds.begin(silent.source(audio=True))
        assert await rounds.another() == ["sound_missing"]
        rounds.begin(silent.source(audio=False))
        assert await rounds.another() == []


async def test_a_sound_that_does_not_come_is_told_before_the_meeting(rounds: Rounds) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5)) as camera:
        await camera.fault("mute")
        rounds.begin(camera.source(audio=True))
        assert await rounds.another() == ["sound_silent"]
        rounds.begin(camera.source(audio=False))
        assert await rounds.another() == []
        await camera.fault("mute", False)
        rounds.begin(camera.source(audio=True))
        assert await rounds.another() == []


async def test_a_sound_that_is_refused_or_not_recorded_is_told_before_the_meeting(
    rounds: Rounds,
) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5)) as camera:
        await camera.fault("refuse_sound")
        rounds.begin(camera.source(audio=True))
        assert await rounds.another() == ["sound_withheld"]
        rounds.begin(camera.source(audio=False))
        assert await rounds.another() == []
    async with Camera(CameraConfig(width=160, height=96, gop=5, sound="g726")) as camera:
        rounds.begin(camera.source(audio=True))
        assert await rounds.another() == ["sound_unsupported"]
        (problem,) = rounds.preflight.problems("r1")
        assert problem.placeholders == {"codec": "G726-32"}


@pytest.mark.parametrize(("gives", "keys"), [(False, ["keyframe_undecodable"]), (None, [])])
async def test_a_keyframe_must_give_a_picture(
    camera: Camera,
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    gives: bool | None,
    keys: list[str],
) -> None:
    """One that nobody could try is not held against the camera."""

    async def decodes(_info: StreamInfo) -> bool | None:
        return gives

    rounds.begin(camera.source())
    assert await rounds.another() == []
    monkeypatch.setattr("roomwitness.recording.worker.decodes", decodes)
    assert await rounds.another() == keys


async def test_a_check_on_demand_answers_and_goes_on_until_all_is_well(
    camera: Camera, rounds: Rounds
) -> None:
    room = rounds.house.room(camera.source())
    assert await rounds.preflight.now(room, HOUR) == ()
    await camera.fault("refuse_rtsp")
    (problem,) = await rounds.preflight.now(room, HOUR)
    assert problem.key == "camera_unreachable"
    assert await rounds.another() == ["camera_unreachable"]
    await rounds.preflight.now(room, HOUR)  # While it repeats: no second task.
    await camera.fault("accept_rtsp")
    await until(lambda: rounds.keys() == [])


async def test_a_password_corrected_in_time_is_used(camera: Camera, rounds: Rounds) -> None:
    rounds.begin(camera.source(password="wrong"))
    assert await rounds.another() == ["camera_auth_failed"]
    rounds.room = rounds.house.room(camera.source())
    assert await rounds.another() == []


async def test_a_refused_password_is_not_tried_each_round(camera: Camera, rounds: Rounds) -> None:
    wrong = camera.source(password="wrong")
    rounds.begin(wrong)
    assert await rounds.another() == ["camera_auth_failed"]
    asked = camera.rtsp.requests
    assert await rounds.another() == ["camera_auth_failed"]
    assert camera.rtsp.requests == asked
    await rounds.preflight.now(rounds.house.room(wrong), HOUR)  # Somebody wants to know.
    assert camera.rtsp.requests > asked
    rounds.room = rounds.house.room(camera.source())
    assert await rounds.another() == []


def test_how_long_a_camera_rests_that_refused() -> None:
    refusals, source = Refusals(lambda: 0.0), StreamSource("rtsp://cam/live", "user", "wrong")
    at = 0.0
    for seconds in (30, 120, 300, 600, 1200, 1800, 1800):
        refusals.refused("c1", source, at)
        assert refusals.rests("c1", source, at + seconds - 1)
        assert not refusals.rests("c1", source, at + seconds)
        assert not refusals.rests("c1", replace(source, password="other"), at)
        assert not refusals.rests("c2", source, at)
        at += seconds
    refusals.let_in("c1")
    assert not refusals.rests("c1", source, at)
    refusals.refused("c1", source, at)
    assert not refusals.rests("c1", source, at + 30)


async def test_a_restart_before_the_meeting_checks_again(camera: Camera, house: House) -> None:
    await camera.fault("refuse_rtsp")
    bookings = [booking(25, 60)]
    for _ in range(2):
        witness = await house.started(house.room(camera.source()))
        await witness.reconcile("r1", bookings)
        await until(witness.problems)
        assert [p.key for p in witness.problems()] == ["camera_unreachable"]
        await witness.stop()


async def test_a_changed_room_is_checked_at_once_and_not_a_minute_later(
    camera: Camera, house: House
) -> None:
    witness = await house.started(house.room(camera.source(password="wrong")))
    assert "camera_auth_failed" in {p.key for p in await witness.preflight("r1")}
    assert "camera_auth_failed" in {p.key for p in witness.problems()}
    await witness.set_rooms([house.room(camera.source())])
    await until(lambda: "camera_auth_failed" not in {p.key for p in witness.problems()}, 15.0)
    await witness.stop()


async def test_a_running_meeting_takes_the_corrected_password(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source(password="wrong")))
    await witness.start_meeting("r1")
    await until(lambda: "camera_auth_failed" in {p.key for p in witness.problems()})
    await witness.set_rooms([house.room(camera.source())])
    await until(lambda: witness.status("r1").bytes > 0)
    assert not witness.problems()
    await witness.stop()
