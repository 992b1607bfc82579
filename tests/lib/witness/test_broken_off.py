"""An erasure that dies between the keys and the log is finished by the next start, and no loss."""

from datetime import timedelta

import pytest

from roomwitness.witness.ledger import Ledger

from .house import House, until
from .test_upkeep import NOWHERE, at_work, keys


async def test_keys_that_were_to_go_are_no_lost_keys(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = house.room(NOWHERE, bound=False)
    late, real = [timedelta(0)], Ledger.note_all

    def dies(ledger: Ledger, leaves: list[bytes]) -> int:
        if any(b'"erased"' in leaf for leaf in leaves):
            raise KeyError("killed")
        return real(ledger, leaves)

    with monkeypatch.context() as patch:
        async with at_work(house, room, late=late) as witness:
            await witness.start_meeting("r1")
            await witness.stop_meeting("r1")
            patch.setattr(Ledger, "note_all", dies)
            late[0] = timedelta(seconds=5)
            await until(lambda: not keys(house))
    assert "erased" not in house.log_kinds()
    async with at_work(house, room, late=[timedelta(seconds=6)]) as witness:
        assert "ephemeral_keys_lost" not in {problem.key for problem in witness.problems()}
        await until(lambda: witness.status("r1").last_receipt)
    kinds = house.log_kinds()
    assert "ephemeral_keys_lost" not in kinds
    assert kinds.count("erased") == 1
