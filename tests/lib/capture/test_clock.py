"""Every picture's time, whatever the three clocks do (docs/time.md)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture import backoff
from roomwitness.capture.cameraclock import CameraClock, whole_hours
from roomwitness.capture.hostclock import HostClock
from roomwitness.capture.mediaclock import MediaClock
from roomwitness.policy.words import GapCause
from roomwitness.vault import wall_time

from .clockworld import SCENES, Weather, percentile, run

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", SCENES)
def test_an_hour_of_each_weather_stays_within_100_ms_and_is_covered(name: str) -> None:
    weather = replace(SCENES[name], fps=5.0, gop=10)
    found = run(weather)
    assert len(found.errors) > 17900
    assert percentile(found.errors, 1) < 0.1
    assert not found.offsets or percentile(found.offsets, 1) < 0.1
    assert found.sink.uncovered(found.start, found.end) == timedelta(0)
    kinds = [event.kind for event in found.sink.clocks]
    wanted = ["camera_offset"] if weather.reports else []
    if weather.host_step:
        wanted.append("host_step")
    if weather.media_step:
        wanted.append("media_step")
    if weather.camera_step:
        hours = abs(weather.camera_step[1]) >= 3600
        wanted.append("camera_hours" if hours else "camera_step")
    assert kinds == wanted
    for event in found.sink.clocks[1:]:
        steps = (weather.host_step, weather.media_step, weather.camera_step)
        assert any(step and abs(event.seconds - step[1]) < 0.1 for step in steps)
    causes = set(found.sink.causes) - {GapCause.CONNECTING}
    forward = weather.host_step is not None and weather.host_step[1] > 0
    assert (GapCause.CLOCK_STEP in causes) is forward
    assert causes <= {GapCause.CLOCK_STEP, GapCause.STREAM_CHANGED}


@settings(max_examples=20, deadline=None)
@given(
    drift=st.floats(-500, 500),
    jitter=st.floats(0.001, 0.08),
    camera=st.floats(-8000, 8000),
    media=st.none() | st.tuples(st.integers(60, 350), st.sampled_from([-9.0, -1.0, 1.5, 60.0])),
    host=st.none() | st.tuples(st.integers(60, 350), st.floats(0.2, 5000) | st.floats(-5000, -0.2)),
    seed=st.integers(0, 1000),
)
def test_no_weather_makes_it_worse(
    drift: float,
    jitter: float,
    camera: float,
    media: tuple[float, float] | None,
    host: tuple[float, float] | None,
    seed: int,
) -> None:
    found = run(
        Weather(
            seconds=400,
            fps=5.0,
            gop=10,
            drift_ppm=drift,
            jitter_s=jitter,
            camera_step=(200, camera),
            media_step=media,
            host_step=host,
        ),
        seed,
    )
    assert percentile(found.errors, 1) < 0.1
    assert found.sink.uncovered(found.start, found.end) < timedelta(seconds=1)


def test_the_first_pictures_may_be_late_and_their_time_is_mended_when_the_segment_ends() -> None:
    found = run(Weather(seconds=130, stalls=((0.0, 2.5),), reports=False))
    assert percentile(found.errors, 1) < 0.06


def test_a_clock_that_stood_still_is_noticed_without_reports() -> None:
    clock = MediaClock(90000)
    arrived = T
    for number in range(200):
        arrived += timedelta(seconds=0.5)
        clock.observe(number * 45000, arrived)
    for number in range(200, 270):
        arrived += timedelta(seconds=0.5)
        jump = clock.jump(number * 45000, arrived + timedelta(seconds=3))
        if jump:
            break
        clock.observe(number * 45000, arrived + timedelta(seconds=3))
    assert jump == pytest.approx(-3, abs=0.1)
    assert number > 250  # Half a minute of lateness might still have been the network.


def test_reports_that_have_nothing_to_do_with_the_pictures_are_let_go() -> None:
    clock = MediaClock(90000)
    assert not clock.running
    assert clock.uncertainty_s == pytest.approx(0.2)
    with pytest.raises(RuntimeError):
        clock.wall(0)
    clock.observe(0, T)
    clock.observe(90000 * 1000, T, report=True)
    assert clock.wall(0) == T
    assert clock.uncertainty_s >= 0.2
    clock.observe(900, T, report=True)
    assert clock.uncertainty_s < 0.2
    assert clock.wall(0) < T


def test_one_odd_report_is_not_a_step_two_are_and_a_reconnection_finds_one_too() -> None:
    clock = CameraClock()
    assert clock.offset_s is None

    def report(at: float, offset: float) -> float:
        ours = T + timedelta(seconds=at)
        return clock.report(ours + timedelta(seconds=offset), at, ours)

    assert report(0, 1.0) == 0
    assert report(5, 9.0) == 0
    assert report(10, 1.0) == 0
    assert clock.offset_s == pytest.approx(1.0)
    assert report(15, 3601.0) == 0
    assert report(20, 3601.0) == pytest.approx(3600)
    assert clock.offset_s == pytest.approx(3601)
    clock.connected()
    clock.shift(10)
    assert clock.offset_s == pytest.approx(3591)
    assert report(0.5, 1.0) == pytest.approx(-3590)
    assert clock.offset_s == pytest.approx(1)
    clock.shift(1)
    assert clock.offset_s == pytest.approx(0)


@pytest.mark.parametrize(
    ("seconds", "hours"), [(0, 0), (29, 0), (3590, 1), (-3601, -1), (1800, 0), (7215, 2)]
)
def test_whole_hours(seconds: float, hours: int) -> None:
    assert whole_hours(seconds) == hours


def test_our_clock_tells_steps_from_time_that_passes_and_from_being_interrupted() -> None:
    wall, steady = [1000.0], [5.0]
    clock = HostClock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = 1001.0, 6.0
    assert clock().timestamp() == 1001
    assert clock.stepped_s == 0
    wall[0] += 0.01
    assert clock().timestamp() == pytest.approx(1001.01)
    assert clock.stepped_s == 0
    wall[0] -= 3600
    assert clock().timestamp() == pytest.approx(1001.01 - 3600)
    assert clock.stepped_s == pytest.approx(-3600)
    ticks = iter([10.0, 10.2])
    slow = HostClock(lambda: 500.0, lambda: next(ticks, 10.4))
    slow()
    assert slow.stepped_s == 0


def test_a_segment_without_length_has_one_time() -> None:
    row = SimpleNamespace(start=T, end=T, media_seconds=0.0, host_steps=0)
    assert wall_time(row, 0.0) == T


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_back_off_begins_at_once_grows_and_never_passes_five_seconds(
    failures: int, chance: float
) -> None:
    delay = backoff.delay(failures, lambda: chance)
    assert 0 <= delay <= backoff.CAP_S
    assert (delay == 0) is (failures == 1)
    assert delay >= backoff.delay(failures - 1, lambda: chance)
    assert backoff.delay(12, lambda: 0.0) == backoff.CAP_S
    assert backoff.delay(99, lambda: 0.0, 30.0) == 30.0


@given(st.floats(0.01, 1.5), st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_after_a_short_outage_the_next_try_is_near(outage: float, chances: list[float]) -> None:
    at, failures, luck = 0.0, 1, iter(chances)
    while at < outage:  # Each try in the outage is refused at once.
        at += backoff.delay(failures, lambda: next(luck))
        failures += 1
    assert at - outage <= 0.5
