"""A start that fails, whatever it fails of, leaves nothing open: it can be tried again."""

import pytest

from roomwitness.vault.errors import StoreError
from roomwitness.vault.store import Vault

from .house import House


@pytest.mark.parametrize("error", [StoreError("damaged"), ValueError("foreign"), OSError(5, "EIO")])
async def test_it_closes_what_it_opened(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    witness = house.witness()

    def recover(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "recover", recover)
        with pytest.raises(type(error)):
            await witness.start()
    with pytest.raises(StoreError, match="closed"):
        witness._vault.index.rows("SELECT 1")
    with pytest.raises(RuntimeError):
        witness._disk.submit(list)
    again = await house.started(house.room(bound=False))
    await again.stop()
