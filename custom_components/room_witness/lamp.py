"""The lamp at the door: on while the room records, so that whoever enters sees it."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from homeassistant.const import (
    ATTR_ENTITY_ID,
    CONF_HOST,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
)
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.core import DOMAIN as HOMEASSISTANT_DOMAIN
from homeassistant.helpers.event import async_call_later, async_track_state_change_event

from roomwitness.onvif import Connection, OnvifError, io

from .const import CONF_LAMP, CONF_RELAYS
from .rooms import camera_subentries, onvif_source, relay_lamp, room_subentries

if TYPE_CHECKING:
    from .site import Site, WitnessConfigEntry

_LOGGER = logging.getLogger(__name__)

# A lamp shows within so many seconds what it is told, or people are told that it does not.
_SHOWN_S = 10.0
# So long a lamp's integration may take; then it is broken off, so that it can be tried again.
_TAKEN_S = 30.0


class Lamps:
    """Keeps each lamp on while a room that it belongs to records, and off otherwise.

    What the lamp itself shows counts, not what was sent: one that a crash left on is put out, one
    that somebody puts out is on again, and a restart in mid-meeting switches nothing.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._recording: dict[str, bool | None] = {}
        self._lamps: set[str] = set()
        self._left: set[str] = set()  # Of rooms that have another one now, or are gone.
        self._sent: dict[str, bool] = {}
        self._switching: set[str] = set()
        self._failed: set[str] = set()
        self._looks: dict[str, tuple[bool, CALLBACK_TYPE]] = {}  # Of lamps that were told this.
        self._untrack: Callable[[], None] | None = None

    @callback
    def async_rooms_changed(self) -> None:
        """Rooms or their lamps are other ones now."""
        self._async_untrack()
        before, self._lamps = self._lamps, self._configured()
        self._left = (self._left | before) - self._lamps
        self._untrack = async_track_state_change_event(
            self._site.hass, self._lamps | self._left, self._async_state_changed
        )
        for room_id in room_subentries(self._site.entry):
            self.async_sync(room_id)
        for lamp in tuple(self._left):
            self._async_follow(lamp)

    @callback
    def async_renamed(self, old: str, new: str) -> None:
        """The lamp has another id: what has the old one next is none that a room had."""
        for lamps in (self._lamps, self._left):
            if old in lamps:
                lamps.remove(old)
                lamps.add(new)

    @callback
    def async_stop(self) -> None:
        """Leave the lamps as they are: what is interrupted goes on after a restart."""
        self._async_untrack()
        for lamp in tuple(self._looks):
            self._async_look_no_more(lamp)

    @callback
    def _async_untrack(self) -> None:
        if self._untrack is not None:
            self._untrack()
            self._untrack = None

    @callback
    def async_sync(self, room_id: str) -> None:
        """Switch the room's lamp if it does not show what is."""
        status = self._site.status_or_none(room_id)
        self._recording[room_id] = None if status is None else status.recording
        room = room_subentries(self._site.entry).get(room_id)
        if room is not None and (lamp := room.data.get(CONF_LAMP)) is not None:
            self._async_follow(lamp)

    def _configured(self) -> set[str]:
        rooms = room_subentries(self._site.entry).values()
        return {room.data[CONF_LAMP] for room in rooms if CONF_LAMP in room.data}

    def _wanted(self, lamp: str) -> bool | None:
        """Whether the lamp is to be on; None while one of its rooms is not known yet."""
        known = [
            self._recording.get(room_id)
            for room_id, room in room_subentries(self._site.entry).items()
            if room.data.get(CONF_LAMP) == lamp
        ]
        return True if True in known else None if None in known else False

    def _tell(self, lamp: str, *, failed: bool | None) -> None:
        """Have its rooms say that it could not be switched on or off; None: it shows what is."""
        for room_id in tuple(self._recording):
            room = room_subentries(self._site.entry).get(room_id)
            if room is not None and room.data.get(CONF_LAMP) == lamp:
                self._site.witness.lamps.failed(room_id, on=failed)

    @callback
    def _async_state_changed(self, event: Event[EventStateChangedData]) -> None:
        self._async_follow(event.data["entity_id"])

    @callback
    def _async_follow(self, lamp: str) -> None:
        ours = lamp in self._lamps or lamp in self._left
        if self._untrack is not None and ours and (on := self._wanted(lamp)) is not None:
            self._async_show(lamp, on=on)

    def _shown(self, lamp: str) -> bool | None:
        """What the lamp shows; None if it is not there, or nobody knows."""
        state = self._site.hass.states.get(lamp)
        if state is None or state.state == STATE_UNAVAILABLE:
            return None
        # A lamp that does not say how it is has to be believed.
        return {STATE_ON: True, STATE_OFF: False}.get(state.state, self._sent.get(lamp))

    @callback
    def _async_show(self, lamp: str, *, on: bool) -> None:
        if _is_gone(self._site.hass, lamp):
            # It tells us when it is there; at a start it may only not be loaded yet.
            if self._site.hass.is_running:
                self._tell(lamp, failed=on or None)
            return
        if self._shown(lamp) is on:
            self._async_is_right(lamp, on=on)
            return
        if lamp in self._switching:
            return  # We look again when that is done.
        self._switching.add(lamp)
        self._async_look_later(lamp, on=on)
        self._site.entry.async_create_background_task(
            self._site.hass, self._async_switch(lamp, on=on), f"room_witness lamp {lamp}"
        )

    @callback
    def _async_is_right(self, lamp: str, *, on: bool) -> None:
        self._async_look_no_more(lamp)
        self._sent[lamp] = on
        self._left.discard(lamp)
        self._failed.discard(lamp)
        self._tell(lamp, failed=None)

    @callback
    def _async_is_wrong(self, lamp: str, why: str, *, on: bool) -> None:
        if self._wanted(lamp) is not on or (not on and _is_gone(self._site.hass, lamp)):
            return
        if lamp not in self._failed:  # The next change, or the next minute, tries again.
            _LOGGER.warning("The lamp %s could not be switched: %s", lamp, why)
        self._failed.add(lamp)
        self._tell(lamp, failed=on)

    @callback
    def _async_look_later(self, lamp: str, *, on: bool) -> None:
        """A bulb without power takes every command; whether it obeys is seen later only."""
        if lamp in self._looks and self._looks[lamp][0] is on:
            return
        self._async_look_no_more(lamp)

        @callback
        def look(_now: object) -> None:
            del self._looks[lamp]
            if self._shown(lamp) is not on:
                self._async_is_wrong(lamp, "it does not show what it was told", on=on)

        self._looks[lamp] = on, async_call_later(self._site.hass, _SHOWN_S, look)

    @callback
    def _async_look_no_more(self, lamp: str) -> None:
        if lamp in self._looks:
            self._looks.pop(lamp)[1]()

    async def _async_switch(self, lamp: str, *, on: bool) -> None:
        try:
            await _async_turn(self._site.hass, lamp, on=on)
        except Exception as err:  # Whatever its integration meets, the visitor is not told.
            self._async_is_wrong(lamp, type(err).__name__, on=on)
        else:
            self._sent[lamp] = on
        finally:
            self._switching.discard(lamp)
        if self._wanted(lamp) is not on:
            self._async_follow(lamp)
        elif self._shown(lamp) is on:
            self._async_is_right(lamp, on=on)

    def gone(self, room_id: str) -> bool:
        """Whether a lamp of the room is not there, so that it could not be switched; any thread."""
        room = room_subentries(self._site.entry).get(room_id)
        if room is None or not self._site.hass.is_running:
            return False
        lamp, relay = room.data.get(CONF_LAMP), relay_lamp(room.data)
        if relay is not None:
            camera = camera_subentries(self._site.entry).get(relay.camera_id)
            if camera is None or relay.token not in camera.data.get(CONF_RELAYS, ()):
                return True
        return lamp is not None and _is_gone(self._site.hass, lamp)


def _is_gone(hass: HomeAssistant, lamp: str) -> bool:
    state = hass.states.get(lamp)
    return state is None or state.state == STATE_UNAVAILABLE


async def async_put_out(hass: HomeAssistant, entry: WitnessConfigEntry) -> None:
    """The site is removed: nothing records, and nobody will look after its lamps any more."""
    cameras = camera_subentries(entry)
    for room in room_subentries(entry).values():
        relay = relay_lamp(room.data)
        camera = cameras.get(relay.camera_id) if relay is not None else None
        if relay is not None and camera is not None and CONF_HOST in camera.data:
            try:
                async with Connection(onvif_source(camera.data)) as device:
                    await io.set_relay(device, relay.token, active=False)
            except OnvifError as err:
                _LOGGER.warning("A lamp on a camera could not be switched: %s", err.key)
        lamp = room.data.get(CONF_LAMP)
        if lamp is None or (state := hass.states.get(lamp)) is None or state.state != STATE_ON:
            continue
        try:
            await _async_turn(hass, lamp, on=False)
        except Exception as err:  # It keeps the site from nothing.
            _LOGGER.warning("The lamp %s could not be switched: %s", lamp, type(err).__name__)


async def _async_turn(hass: HomeAssistant, lamp: str, *, on: bool) -> None:
    """Have the lamp's integration switch it; raises whatever that does, and TimeoutError."""
    async with asyncio.timeout(_TAKEN_S):
        await hass.services.async_call(
            HOMEASSISTANT_DOMAIN,
            SERVICE_TURN_ON if on else SERVICE_TURN_OFF,
            {ATTR_ENTITY_ID: lamp},
            blocking=True,
        )
