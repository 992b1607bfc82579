"""A panic button is heard though its camera answers otherwise than ONVIF says, or starts anew."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.onvif import pullpoint
from roomwitness.onvif.errors import OnvifAuthFailed, OnvifNoEvents
from roomwitness.onvif.pullpoint import PATIENCE_S, wait_s
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import until

from .test_pullpoint import Ear, listening, source


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user="admin", password="pass & <word>", inputs=2)) as found:
        yield found


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pullpoint, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(pullpoint, "MAX_WAIT_S", 0.1)


async def press_is_heard(camera: Camera, ear: Ear) -> None:
    camera.signals.press()
    await until(lambda: ("in1", True) in ear.inputs())


@pytest.mark.parametrize("how", ["404", "500", "empty", "silent"])
async def test_one_that_cannot_synchronize_is_heard(camera: Camera, how: str) -> None:
    await camera.fault("synchronization", how)
    async with listening(source(camera)) as ear:
        await until(lambda: ear.lives)
        assert ear.alive
        await press_is_heard(camera, ear)
        assert camera.signals.created == 1


async def test_one_that_refuses_to_synchronize_refuses_us(camera: Camera) -> None:
    await camera.fault("synchronization", "401")
    async with listening(source(camera)) as ear:
        await until(lambda: ear.lives)
        assert isinstance(ear.lives[0], OnvifAuthFailed)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_one_that_closes_instead_of_saying_nothing_is_heard(
    camera: Camera, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two renewals it may do so a few times, and without end if it renews."""
    monkeypatch.setattr(pullpoint, "_SHORTEST_S", 1.0)
    monkeypatch.setattr(pullpoint, "_EMPTY_S", 0.3)
    await camera.fault("longest_subscription_s", 2.0)
    await camera.fault("closes_empty", how)
    await camera.fault("no_long_poll", True)
    async with listening(source(camera)) as ear:
        await until(lambda: camera.signals.pulled >= 3 * pullpoint._HANG_UPS)
        await press_is_heard(camera, ear)
        assert camera.signals.created == 1
        assert all(life is None for life in ear.lives)


async def test_one_that_only_closes_is_lost(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pullpoint, "_EMPTY_S", 0.05)
    await camera.fault("closes_empty", "close")
    await camera.fault("no_long_poll", True)
    async with listening(source(camera)) as ear:
        await until(lambda: any(life is not None for life in ear.lives))
        (lost, *_) = (life for life in ear.lives if life is not None)
        assert lost is not None
        assert lost.key == "onvif_unreachable"


async def test_one_without_long_polls_is_asked_calmly(camera: Camera) -> None:
    await camera.fault("no_long_poll", True)
    loop = asyncio.get_running_loop()
    async with listening(source(camera)) as ear:
        await until(lambda: ear.alive and not camera.signals.waiting)
        asked, begin = camera.signals.pulled, loop.time()
        await until(lambda: camera.signals.pulled - asked >= 4)
        assert loop.time() - begin > 2.0
        await press_is_heard(camera, ear)
        assert camera.signals.created == 1


async def test_refusals_that_are_days_apart_do_not_count_together(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pullpoint, "PATIENCE_S", 0.0)
    allowed, refuse = camera.onvif._allowed, [False]

    def once(text: str) -> bool:
        if "PullMessages" in text and refuse[0]:
            refuse[0] = False
            return False
        return allowed(text)

    camera.onvif._allowed = once  # type: ignore[method-assign]
    async with listening(source(camera)) as ear:
        for count in (1, 2, 3):
            await until(lambda: ear.alive, 10)
            refuse[0] = True
            camera.signals.press()
            await until(lambda count=count: camera.signals.created > count, 10)  # type: ignore[misc]
        await until(lambda: ear.alive, 10)
        assert [type(life) for life in ear.lives if life is not None] == [OnvifAuthFailed] * 3


async def test_one_that_starts_refuses_everybody_and_is_heard_again(camera: Camera) -> None:
    async with listening(source(camera)) as ear:
        await until(lambda: ear.alive)
        await camera.fault("wrong_password", True)
        camera.signals.press()
        await until(lambda: len([e for e in ear.lives if isinstance(e, OnvifAuthFailed)]) > 3, 10)
        await camera.fault("wrong_password", False)
        await until(lambda: ear.alive, 10)


async def test_one_that_lists_no_events_when_we_begin_is_heard_once_it_does(
    camera: Camera,
) -> None:
    whole = camera.onvif._GetServices
    camera.onvif._GetServices = lambda: "<tds:GetServicesResponse/>"  # type: ignore[method-assign]
    async with listening(source(camera)) as ear:
        await until(lambda: len(ear.lives) > 3, 10)
        assert all(isinstance(life, OnvifNoEvents) for life in ear.lives)
        camera.onvif._GetServices = whole  # type: ignore[method-assign]
        await until(lambda: ear.alive, 10)


@given(st.integers(2, 99), st.integers(2, 99), st.floats(0, 1, exclude_max=True))
def test_only_one_that_let_us_in_just_now_is_asked_soon(
    failures: int, refusals: int, chance: float
) -> None:
    assert wait_s(failures, refusals, chance) > 200
    assert wait_s(failures, refusals, chance, PATIENCE_S) > 200
    assert wait_s(failures, refusals, chance, PATIENCE_S - 1) <= pullpoint.MAX_WAIT_S
