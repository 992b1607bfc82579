"""What nobody had signed when a start found it is not proved as if somebody had."""

from pathlib import Path

import pytest

from roomwitness.cli import main
from roomwitness.custody import ProofInvalid, prove_entry

from .test_unsigned import SIGNER, folder, forge, opened

__all__ = ["folder"]


def test_an_adopted_line_is_not_proved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(folder, {"kind": "release_hold", "hold": "h"}, {"kind": "erased", "meeting": "m"})
    assert main(["prove", str(folder), "4"]) == 1
    assert "signs no such entry" in capsys.readouterr().err
    opened(folder).close()
    for number in (4, 5):
        assert main(["prove", str(folder), str(number)]) == 1
        assert "nobody had signed this entry" in capsys.readouterr().err
    for number in (0, 3, 6):
        assert prove_entry(folder, number).verify(SIGNER.vkey).index == number


def test_an_adopted_line_casts_doubt_on_nothing(folder: Path) -> None:
    """Whoever writes lines could else keep what is signed from being proved."""
    forge(folder, {"kind": "unsigned_adopted", "first": 0, "count": 4})
    opened(folder).close()
    for number in (0, 3, 5):
        assert prove_entry(folder, number).verify(SIGNER.vkey).index == number
    with pytest.raises(ProofInvalid):
        prove_entry(folder, 4)
