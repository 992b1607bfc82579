"""Bookings from the calendar entities themselves: at start, every minute, and on their push.

Not from calendar triggers: those poll every 15 minutes and miss meetings that already run.
Titles, descriptions and places are never read; an event's UID is kept as a digest.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event, async_track_time_interval
from homeassistant.util import dt as dt_util

from roomwitness.errors import WitnessError
from roomwitness.policy.words import Booking

from .const import CONF_CALENDAR
from .rooms import room_subentries

if TYPE_CHECKING:
    from .site import Site

_LOGGER = logging.getLogger(__name__)

_EVERY = timedelta(seconds=60)
_BACK = timedelta(days=1)
_AHEAD = timedelta(days=7)
_LOOKED_AT = timedelta(seconds=1)
_READ_TIMEOUT_S = 30.0


class Bookings:
    """Keeps every bound room reconciled with its calendar."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stops: list[Callable[[], None]] = []
        self._pushes: dict[str, tuple[CalendarEntity, Callable[[], None]]] = {}
        self._untrack: Callable[[], None] | None = None
        self._reading: set[str] = set()
        self._again: set[str] = set()
        self._unreadable: dict[str, str] = {}

    @property
    def _hass(self) -> HomeAssistant:
        return self._site.hass

    def _calendars(self) -> dict[str, str]:
        """Calendar entity of each bound room."""
        return {
            room_id: room.data[CONF_CALENDAR]
            for room_id, room in room_subentries(self._site.entry).items()
            if CONF_CALENDAR in room.data
        }

    @callback
    def async_start(self) -> None:
        """Begin to follow the calendars."""
        self._stops.append(async_track_time_interval(self._hass, self._async_minute, _EVERY))
        if not self._hass.is_running:
            self._stops.append(
                self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STARTED, self._async_started)
            )

    @callback
    def async_stop(self) -> None:
        """Let go of the calendars."""
        for stop in self._stops:
            stop()
        for _, leave in self._pushes.values():
            leave()
        self._pushes.clear()
        if self._untrack is not None:
            self._untrack()

    @callback
    def async_rooms_changed(self) -> None:
        """Rooms or their calendars are other ones now."""
        if self._untrack is not None:
            self._untrack()
        calendars = self._calendars()
        self._untrack = async_track_state_change_event(
            self._hass, set(calendars.values()), self._async_state_changed
        )
        for entity_id in set(self._pushes) - set(calendars.values()):
            self._pushes.pop(entity_id)[1]()
        for room_id in calendars:
            self._async_read(room_id)

    @callback
    def _async_minute(self, _now: datetime) -> None:
        for room_id in self._calendars():
            self._async_read(room_id)

    @callback
    def _async_started(self, _event: Event) -> None:
        self._async_minute(dt_util.utcnow())

    @callback
    def _async_state_changed(self, event: Event[EventStateChangedData]) -> None:
        self._async_pushed(event.data["entity_id"])

    @callback
    def _async_pushed(self, entity_id: str) -> None:
        for room_id, calendar in self._calendars().items():
            if calendar == entity_id:
                self._async_read(room_id)

    @callback
    def _async_read(self, room_id: str) -> None:
        """Read the room's calendar, once more afterwards if asked while it is being read."""
        if room_id in self._reading:
            self._again.add(room_id)
            return
        self._reading.add(room_id)
        self._site.entry.async_create_background_task(
            self._hass, self._async_reconcile(room_id), f"room_witness bookings {room_id}"
        )

    async def _async_reconcile(self, room_id: str) -> None:
        try:
            await self._async_reconcile_once(room_id)
        except WitnessError as err:
            # The disk: the conductor tries again by itself and shows what is wrong.
            _LOGGER.debug("Bookings could not be carried out yet: %s", err.key)
        finally:
            self._reading.discard(room_id)
            if room_id in self._again:
                self._again.discard(room_id)
                self._async_read(room_id)

    async def _async_reconcile_once(self, room_id: str) -> None:
        entity_id = self._calendars().get(room_id)
        if entity_id is None:
            return
        component = self._hass.data.get(DATA_COMPONENT)
        entity = component.get_entity(entity_id) if component is not None else None
        if not isinstance(entity, CalendarEntity) or not entity.available:
            if self._hass.is_running:  # Before that it may only not be loaded yet.
                await self._site.witness.calendar_lost(room_id)
            return
        self._async_follow(entity_id, entity)
        now = dt_util.utcnow()
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                events = await entity.async_get_events(self._hass, now - _BACK, now + _AHEAD)
            bookings = [_booking(event) for event in events]
        except Exception as err:  # Each integration has its own, and may let them through.
            self._async_unreadable(room_id, type(err).__name__)
            await self._site.witness.calendar_lost(room_id)
            return
        self._unreadable.pop(room_id, None)
        await self._site.witness.reconcile(room_id, bookings)

    @callback
    def _async_unreadable(self, room_id: str, error: str) -> None:
        """Say once what keeps the calendar from being read: the error's type, not what it tells."""
        if self._unreadable.get(room_id) != error:
            self._unreadable[room_id] = error
            _LOGGER.warning("A room's calendar could not be read: %s", error)

    @callback
    def _async_follow(self, entity_id: str, entity: CalendarEntity) -> None:
        """Hear of changes at once: the calendar pushes to whoever looks at it.

        Whatever changes, and whatever days one looks at; so it is asked for next to none, because
        core has all their events made out for us, and we read our own days anyway.
        """
        known = self._pushes.get(entity_id)
        if known is not None and known[0] is entity:
            return
        if known is not None:
            known[1]()
        now = dt_util.now()
        leave = entity.async_subscribe_events(
            now, now + _LOOKED_AT, lambda _events: self._async_pushed(entity_id)
        )
        self._pushes[entity_id] = (entity, leave)


def _booking(event: CalendarEvent) -> Booking:
    """An event's times and identity, nothing else of it."""
    start = dt_util.as_utc(event.start_datetime_local)
    end = dt_util.as_utc(event.end_datetime_local)
    identity = event.uid or f"{start.isoformat()} {end.isoformat()}"
    return Booking(
        uid=hashlib.sha256(identity.encode()).hexdigest()[:32],
        recurrence_id=event.recurrence_id,
        start=start,
        end=end,
    )
