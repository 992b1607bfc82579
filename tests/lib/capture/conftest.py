"""What several files of capture's tests need."""

import pytest

from bench import _media


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> _media.Film:
    """Access units that can be known again in a recording."""
    folder = tmp_path_factory.mktemp("film") / "units"
    return _media.make(folder, size="640x360", mbit_s=3.0, fps=25, seconds=6)
