"""What the face may ask of the conductor; nothing here changes a meeting, a camera or a key."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from roomwitness.policy.words import Meeting
from roomwitness.vault import Receipt, listing
from roomwitness.vault.store import Vault

from . import problems
from .attested import attested
from .cameras import Cameras
from .config import RoomConfig
from .devices import Devices
from .errors import ReceiptNotFound, RoomNotFound
from .holds import Holds
from .keys import Keys
from .lamps import Lamps
from .ledger import Ledger
from .listings import Listings
from .outside import Outside
from .people import People
from .preflight import Preflight
from .presses import Presses
from .scrub import Scrub
from .sessions import Sessions
from .status import Problem, RoomStatus
from .upkeep import Upkeep
from .view import overdue, overrun, room_status, shown
from .watches import Watches
from .wishes import Wishes

# What is said of a camera whose address somebody else has, or nobody.
_MAY_BE_ELSEWHERE = frozenset({"camera_unreachable", "camera_auth_failed", "stream_not_found"})


class Answers:
    """The conductor's half that only looks; ``_disk_problem`` is why its last tick failed."""

    keys: Keys
    devices: Devices
    presses: Presses

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        wishes: Wishes,
        sessions: Sessions,
        preflight: Preflight,
        watches: Watches,
        upkeep: Upkeep,
        scrub: Scrub,
        holds: Holds,
        cameras: Cameras,
        outside: Outside,
        clock: Callable[[], datetime],
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._wishes = wishes
        self._sessions = sessions
        self._preflight = preflight
        self._watches = watches
        self._upkeep = upkeep
        self._scrub = scrub
        self.holds = holds
        self.outside = outside
        self.people = People(vault.people, ledger, upkeep, clock, wishes.of)
        self.listings = Listings(vault, ledger, upkeep, clock)
        self.cameras = cameras
        self.lamps = Lamps(
            cameras.source, lambda camera_id: cameras.state(camera_id).relays, cameras.notify
        )
        cameras.subscribe(self.lamps.heard)
        self._clock = clock
        self._disk_problem: Problem | None = None

    def status(self, room_id: str) -> RoomStatus:
        """The room as it is now.

        Raises:
            RoomNotFound: no such room.
        """
        room = self._room(room_id)
        problems_now = (*self._site_problems(), *self._room_problems(room))
        meetings = self._ledger.of_room(room_id)
        meeting = shown(meetings)
        return room_status(
            meetings,
            self._wishes.bookings.get(room_id, ()),
            self._sessions.statuses(meeting.id) if meeting else {},
            self._sessions.sealed(meeting.id) if meeting else 0,
            self._ledger.last_receipt.get(room_id),
            self._upkeep.space.used.get(room_id, 0),
            (p for p in problems_now if p.room_id in (None, room_id)),
            self._clock(),
            self._windows,
            self._preflight.result(room_id),
            self._watches.seconds(room_id),
            has_camera=bool(room.cameras),
        )

    def overdue(self) -> int:
        """Meetings of the site whose erasure is late: a promise that is being broken."""
        return len(overdue(self._ledger.meetings, self._clock(), self._windows))

    @property
    def _windows(self) -> dict[str, timedelta]:
        """How long each room's calm meetings are kept."""
        return {room.id: room.policy.review_window for room in self._wishes.rooms.values()}

    def meetings(self, room_id: str) -> tuple[Meeting, ...]:
        """The room's meetings that are not erased."""
        return self._ledger.of_room(room_id)

    async def receipt(self, name: str) -> str:
        """The signed receipt of an erasure, by its own or the meeting's id (docs/custody.md).

        Raises:
            ReceiptNotFound: there is none of that name.
        """
        found = await self._upkeep.run(self._vault.receipt_file, name)
        if found is None:
            raise ReceiptNotFound
        return await self._upkeep.run(attested, self._ledger, found)

    async def receipts(
        self,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[tuple[Receipt, ...], str | None]:
        """A page of receipts, the newest first, and what to give as ``after`` for the next.

        Raises:
            ReceiptNotFound: ``after`` is not what a page gave.
        """
        page = partial(listing.receipts, since=since, before=before, limit=limit)
        try:
            key = None if after is None else listing.read_key(after)
        except ValueError:
            raise ReceiptNotFound from None
        found = await self._upkeep.run(partial(page, after=key), self._vault.index)
        return found.rows, None if found.next is None else listing.write_key(found.next)

    async def checkpoint(self) -> tuple[str, str]:
        """The custody log's newest signed head, to keep elsewhere, and the site's verifier key.

        Raises:
            LogUnwritable.
        """
        return await self._upkeep.run(self._ledger.checkpoint), self._ledger.signer.vkey

    @property
    def log_vkey(self) -> str:
        """The verifier key of the site's custody log, to be published."""
        return self._ledger.signer.vkey

    @property
    def recorder_losses(self) -> int:
        """How often the recording process died since the start, and was replaced."""
        return self._sessions.losses

    def problems(self) -> tuple[Problem, ...]:
        """All that a person must mend now, each with a translated repair."""
        found = self._site_problems()
        for room in self._wishes.rooms.values():
            found += self._room_problems(room)
        return (*found, *self._removed_rooms())

    def _removed_rooms(self) -> Iterator[Problem]:
        """Evidence outlives its room, and still asks."""
        if not self._wishes.known:
            return
        rooms = self._wishes.rooms
        left = [m for m in self._ledger.meetings if m.held and m.room_id not in rooms]
        yield from problems.of_removed_rooms(left, self._scrub.damaged)
        for room_id in sorted({meeting.room_id for meeting in left}):
            yield from self.holds.problems(room_id, self._clock())

    def _site_problems(self) -> list[Problem]:
        lost = [m.held for m in map(self._ledger.get, self._upkeep.keys_lost) if m is not None]
        return [
            *problems.of_site(
                keys_lost=not all(lost),
                held_keys_lost=sum(lost),
                unlisted=len(self._vault.unlisted),
                disk=self._disk_problem,
                tampered=self._ledger.tampered,
                broken=[*self._upkeep.broken, *sorted(self._scrub.disagreeing)],
                rolled_back=self._ledger.rolled_back,
                unsigned=self._ledger.log.adopted,
            ),
            *self.keys.problems(),
            *self._upkeep.erasures.problems(),
            *self._scrub.problems(),
            *self.outside.problems(),
            *self._upkeep.space.problems(self._wishes.rooms),
        ]

    def _troubled(self) -> set[str]:
        found = (p for p in self.problems() if p.key in _MAY_BE_ELSEWHERE)
        return {p.camera_id for p in found if p.camera_id is not None}

    def wired(self, room: RoomConfig) -> tuple[Problem, ...]:
        """What the check before a meeting finds of what is wired to the cameras, and of lamps."""
        return (*self.cameras.problems(room), *self.lamps.ahead(room))

    def _room_problems(self, room: RoomConfig) -> Iterator[Problem]:
        yield from problems.of_room(
            room,
            calendar_lost=room.id in self._wishes.calendar_lost,
            invalid=self._wishes.invalid.get(room.id, 0),
        )
        yield from self._preflight.problems(room.id)
        yield from self.cameras.problems(room)
        yield from self.lamps.problems(room)
        yield from self.presses.problems(room.id)
        yield from self.devices.problems(room)
        yield from self.holds.problems(room.id, self._clock())
        yield from problems.of_cameras(room.id, self._watches.statuses(room.id))
        meetings = self._ledger.of_room(room.id)
        yield from problems.of_overrun(room.id, overrun(meetings, self._clock()))
        for meeting in meetings:
            cameras = self._sessions.statuses(meeting.id)
            yield from problems.of_meeting(meeting, self._scrub.damaged, cameras)

    def _room(self, room_id: str) -> RoomConfig:
        try:
            return self._wishes.rooms[room_id]
        except KeyError:
            raise RoomNotFound from None
