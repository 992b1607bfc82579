"""One camera and one house for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.camera import Camera, CameraConfig

from .house import House


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss")
    async with Camera(config) as found:
        yield found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
