"""``scripts/demo``: see there."""

import argparse
import asyncio
import contextlib
import signal
import time
from pathlib import Path

from . import bookings, check, files, setup
from .client import Client, Refused, until
from .place import HOME, Place, empty, is_ours, locked
from .server import running

# Held by a check while it walks.
_CHECKS = "check.lock"
_WHAT = """
Open  {url}/room-witness   (user demo, password demo)

  Room 12  is bound to its calendar. A booking begins at {first:%H:%M:%S}: its state goes to
           recording and the lamp goes on. Press "Report threat" and it is held as evidence.
           The next booking begins at {second:%H:%M:%S}. Leave it alone: {review} s after its end
           it is erased, and "Last erasure" has the receipt. A visit follows every three minutes.
  Room 14  is driven by automations made from the blueprints: its calendar begins a meeting at
           {other:%H:%M:%S}, the wall switch reports a threat.

  Each camera has a panic button wired to it. To press the one in room 12, in another terminal:
           curl -X POST {panic}

  The cameras, for any video player: {streams}
  (user camera, password "demo password").
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
        begin = await bookings.top_up(client)
        first, second, *_ = (start.astimezone() for start in begin["calendar.room_12"])
        print(
            _WHAT.format(
                url=place.url,
                first=first,
                second=second,
                other=begin["calendar.room_14"][0].astimezone(),
                panic=place.panic,
                streams=" ".join(f"rtsp://127.0.0.1:{c.rtsp_port}/stream" for c in place.cameras),
                review=setup.REVIEW_SECONDS,
                home=place.home,
                log=place.log,
                identity=place.identity,
            ),
            flush=True,
        )
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 10)
            # A check has the calendars for itself while it walks.
            with locked(place.home, _CHECKS) as nobody, contextlib.suppress(OSError, Refused):
                if nobody and await client.running():
                    await bookings.top_up(client)


async def _check(place: Place, *, start: bool) -> bool:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(place.url))
        if start:
            await stack.enter_async_context(running(place))
        await _prepare(place, client)
        if not stack.enter_context(locked(place.home, _CHECKS)):
            raise SystemExit("error: another check walks here now")
        return await check.walk(place, client)


async def _until_told(work: asyncio.Future[bool | None], ended: asyncio.Event) -> bool:
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
        return False


async def _main(args: argparse.Namespace) -> bool:
    home = args.home.resolve()
    if not is_ours(home):
        raise SystemExit(f"error: {home} holds something else: name an empty folder")
    ended = asyncio.Event()
    with locked(home) as nobody:
        if nobody:
            return await _start(home, args, ended)
    place = Place.load(home)
    if place is None:
        raise SystemExit("error: a demo is being set up here: wait until it is ready")
    if not args.check or args.fresh:
        raise SystemExit(f"error: the demo runs here already: open {place.url}/room-witness")
    return await _until_told(asyncio.ensure_future(_check(place, start=False)), ended)


async def _start(home: Path, args: argparse.Namespace, ended: asyncio.Event) -> bool:
    place = None if args.fresh else Place.load(home)
    if place is None:
        place = Place.new(home, args.port or 8123)
        known = False
    else:
        place = place.at(args.port or place.port)
        known = True
    if (said := place.taken()) is not None:
        raise SystemExit(f"error: {said}")
    if not known:  # Also what a first start that was interrupted left.
        empty(home)
    files.write(place)
    if known:
        place.save()
    if args.check:
        return await _until_told(asyncio.ensure_future(_check(place, start=True)), ended)
    # That Ctrl-C ended it is not a failure.
    await _until_told(asyncio.ensure_future(_run(place, ended)), ended)
    return True


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
