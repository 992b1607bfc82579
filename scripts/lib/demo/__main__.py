"""``scripts/demo``: see there."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import time
from pathlib import Path

from . import bookings, check, files, setup
from .client import Client, until
from .place import HOME, Place, is_free
from .server import running

_WHAT = """
Open  {url}/room-witness   (user demo, password demo)

  Room 12  is bound to its calendar. A booking begins at {first:%H:%M:%S}: its state goes to
           recording and the lamp goes on. Press "Report threat" and it is held as evidence.
           The next booking begins at {second:%H:%M:%S}. Leave it alone: {review} s after its end
           it is erased, and "Last erasure" has the receipt.
  Room 14  is driven by automations made from the blueprints: its calendar begins a meeting at
           {other:%H:%M:%S}, the wall switch reports a threat.

  Everything is in {home}; Home Assistant's log is {log}.
  The custodian's identity, with which evidence opens, is in {identity} (only in a demo!).
  scripts/demo --check, in another terminal, walks two meetings by itself.

Ctrl-C ends the demo.
"""


def _say(text: str, began: float) -> None:
    print(f"  [{time.monotonic() - began:5.1f} s] {text}", flush=True)


async def _prepare(place: Place, client: Client) -> None:
    """Wait for the page; the first time onboard and set the site up."""
    began = time.monotonic()
    _say("waiting for Home Assistant", began)
    await until(client.answers, f"Home Assistant did not start (see {place.log})", 180)
    if Place.load(place.home) is None:
        _say("onboarding", began)
        await client.onboard()
        await until(client.running, "Home Assistant did not finish to start", 120)
        await setup.set_up(client, place, lambda text: _say(text, began))
        place.save()
    await until(client.running, "Home Assistant did not finish to start", 120)
    await until(lambda: _rooms(client), "the rooms did not appear", 60)
    _say("ready", began)


async def _rooms(client: Client) -> bool:
    states = await client.states()
    wanted = ("sensor.room_12_state", "sensor.room_14_state", "calendar.room_14")
    return all(states.get(name, {}).get("state", "unavailable") != "unavailable" for name in wanted)


async def _run(place: Place, ended: asyncio.Event) -> None:
    async with running(place), Client(place.url) as client:
        await _prepare(place, client)
        await bookings.clear(client)
        first = await bookings.book(client, "calendar.room_12", 30, 150)
        second = await bookings.book(client, "calendar.room_12", 180, 240)
        other = await bookings.book(client, "calendar.room_14", 45, 165)
        print(
            _WHAT.format(
                url=place.url,
                first=first.astimezone(),
                second=second.astimezone(),
                other=other.astimezone(),
                review=setup.REVIEW_SECONDS,
                home=place.home,
                log=place.log,
                identity=place.identity,
            ),
            flush=True,
        )
        await ended.wait()


async def _check(place: Place) -> bool:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(place.url))
        if not (place.is_running() and await client.answers()):
            await stack.enter_async_context(running(place))
        await _prepare(place, client)
        return await check.walk(place, client)


async def _until_told(work: asyncio.Task[bool | None], ended: asyncio.Event) -> bool:
    """Run the work; Ctrl-C or a TERM ends it, cleanly."""

    def stop() -> None:
        if not ended.is_set():
            print("\nending what was started ...", flush=True)
            ended.set()
            work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await work is not False
    except asyncio.CancelledError:
        return True


async def _main(args: argparse.Namespace) -> bool:
    home = args.home.resolve()
    place = Place.load(home)
    if place is not None and args.port is not None and args.port != place.port:
        place = None
        args.fresh = True
    known = place is not None and place.is_running()
    if args.fresh and not (known and args.check):
        place = None
    if place is None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        place = Place.new(home, args.port or 8123)
        files.write(place)
    if not (args.check and known) and not is_free(place.port):
        raise SystemExit(
            f"error: port {place.port} is taken; another demo? End it, or choose: --port N"
        )
    ended = asyncio.Event()
    work = _check(place) if args.check else _run(place, ended)
    return await _until_told(asyncio.ensure_future(work), ended)


def main() -> None:
    """Run the demo or its check."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="walk two meetings unattended")
    parser.add_argument("--port", type=int, help="of Home Assistant's page (8123)")
    parser.add_argument("--home", type=Path, default=HOME, help="where everything is kept (.demo)")
    parser.add_argument("--fresh", action="store_true", help="forget the demo that is here")
    args = parser.parse_args()
    try:
        good = asyncio.run(_main(args))
    except TimeoutError as err:
        raise SystemExit(f"error: {err}") from None
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
