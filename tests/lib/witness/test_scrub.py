"""The daily check: it goes on for ever, and says so when it cannot be made."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from roomwitness.vault.errors import StoreError
from roomwitness.vault.store import Vault
from roomwitness.witness.scrub import Scrub

from .house import House, until

SECRET = "/mnt/the mayor"


class Stores:
    """Vault and ledger, as far as they are asked: each round takes what it is to find, or raise."""

    def __init__(self) -> None:
        self.rounds = 0
        self.damage: list[str] = []
        self.differ: frozenset[str] = frozenset()
        self.error: Exception | None = None

    def damaged(self, _stop: Callable[[], bool]) -> list[str]:
        self.rounds += 1
        if self.error is not None:
            raise self.error
        return self.damage

    def disagreements(self) -> frozenset[str]:
        return self.differ

    async def next(self) -> None:
        """Wait for a round that began after now, and for its end."""
        seen = self.rounds
        await until(lambda: self.rounds > seen + 1)


class Desk:
    def __init__(self) -> None:
        self.stores = Stores()
        self.told: list[str] = []
        self.changes = 0
        self.refuse: Exception | None = None
        stores: Any = self.stores
        self.scrub = Scrub(stores, stores, self._take, self._take, self._changed, every_s=0.01)

    async def _take(self, what: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.told.append(what)

    def _changed(self) -> None:
        self.changes += 1

    def problems(self) -> list[tuple[str, str]]:
        return [(p.key, p.placeholders["error"]) for p in self.scrub.problems()]


@asynccontextmanager
async def checking() -> AsyncIterator[Desk]:
    desk = Desk()
    desk.scrub.start()
    try:
        await until(lambda: desk.stores.rounds)
        yield desk
    finally:
        await desk.scrub.stop()


async def test_what_breaks_after_the_first_round_is_found_and_told_once() -> None:
    async with checking() as desk:
        desk.stores.damage = ["m1"]
        await until(lambda: desk.told == ["m1"])
        assert desk.scrub.damaged == {"m1"}
        desk.stores.differ = frozenset({"log-signed"})
        await until(lambda: desk.scrub.disagreeing == {"log-signed"})
        await desk.stores.next()
        assert desk.told == ["m1", "log-signed"]
        desk.stores.damage = []  # Put back from a backup; then it breaks again.
        await until(lambda: desk.scrub.damaged == frozenset())
        desk.stores.damage = ["m1"]
        await until(lambda: desk.told == ["m1", "log-signed", "m1"])


@pytest.mark.parametrize("error", [StoreError(), RuntimeError(SECRET)])
async def test_what_could_not_be_told_is_told_in_the_next_round(error: Exception) -> None:
    async with checking() as desk:
        desk.refuse = error
        desk.stores.damage = ["m1", "m2"]
        await until(lambda: desk.scrub.damaged == {"m1", "m2"})
        await desk.stores.next()
        assert desk.told == []
        desk.refuse = None
        await until(lambda: desk.told == ["m1", "m2"])


async def test_an_unforeseen_error_is_told_by_its_name_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with checking() as desk:
        desk.stores.error = RuntimeError(SECRET)
        await until(desk.problems)
        assert desk.problems() == [("scrub_failed", "RuntimeError")]
        await desk.stores.next()
        assert desk.changes == 1
        desk.stores.error = None
        await until(lambda: not desk.problems())
        assert desk.changes == 2
        desk.stores.damage = ["m1"]
        await until(lambda: desk.told == ["m1"])
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == ["What is stored could not be checked: RuntimeError"]
    assert SECRET not in caplog.text


async def test_a_disk_in_trouble_is_told_by_others(caplog: pytest.LogCaptureFixture) -> None:
    async with checking() as desk:
        desk.stores.error = StoreError()
        await desk.stores.next()
        assert desk.problems() == []
        desk.stores.error = None
        desk.stores.damage = ["m1"]
        await until(lambda: desk.told == ["m1"])
    assert caplog.text == ""


async def test_the_site_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[str]:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(Vault, "damaged", fail)
    witness = await house.started(house.room(bound=False))
    try:
        await until(lambda: [p.key for p in witness.problems()] == ["scrub_failed"])
        assert witness.status("r1").problem == "scrub_failed"
    finally:
        await witness.stop()
