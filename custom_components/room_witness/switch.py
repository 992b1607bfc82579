"""The switch that starts and stops a room's recording by hand; the actions are aimed at it."""

from contextlib import suppress
from datetime import datetime
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from roomwitness.policy.errors import TransitionNotAllowed
from roomwitness.policy.words import RUNNING, HoldKind
from roomwitness.witness.errors import RoomBusy, RoomIdle

from . import decisions
from .const import DOMAIN
from .entity import RoomEntity
from .meetings import async_rows
from .people import async_may_decide, pseudonym
from .rooms import camera_subentries
from .site import WitnessConfigEntry

PARALLEL_UPDATES = 0

MEETING = SwitchEntityDescription(key="meeting", translation_key="meeting")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WitnessConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switch of every room."""
    site = entry.runtime_data
    site.async_on_room(
        lambda room_id: async_add_entities(
            [MeetingSwitch(site, room_id, MEETING)], config_subentry_id=room_id
        )
    )


class MeetingSwitch(RoomEntity, SwitchEntity):
    """On while a meeting runs."""

    @property
    @override
    def is_on(self) -> bool:
        """Whether a meeting runs."""
        return self.status.state in RUNNING

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Start a meeting, or let one that was started by hand go on for as long again."""
        async with self.acting():
            try:
                await self.site.witness.start_meeting(self.room_id)
            except RoomBusy:
                with suppress(RoomIdle, TransitionNotAllowed):  # Its booking says when it ends.
                    await self.site.witness.go_on(self.room_id)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """End the meeting, if one runs."""
        async with self.acting():
            with suppress(RoomIdle):
                await self.site.witness.stop_meeting(self.room_id)

    async def async_start_meeting(self) -> ServiceResponse:
        """Start a meeting; an error if one runs."""
        async with self.acting():
            return {"meeting_id": await self.site.witness.start_meeting(self.room_id)}

    async def async_stop_meeting(self) -> None:
        """End the meeting; an error if none runs."""
        async with self.acting():
            await self.site.witness.stop_meeting(self.room_id)

    async def async_preflight(self) -> ServiceResponse:
        """Check the room now; what is wrong is also shown as repairs."""
        async with self.acting():
            found = await self.site.witness.preflight(self.room_id)
        cameras = camera_subentries(self.site.entry)
        return {
            "passed": not found,
            "problems": [
                {"check": p.key, "camera": cameras[p.camera_id].title}
                if p.camera_id in cameras
                else {"check": p.key}
                for p in found
            ],
        }

    @property
    def _by(self) -> str | None:
        """Who asks, as a pseudonym; None is an automation or a device."""
        return pseudonym(self.site.witness, self._context)

    async def _decider(self) -> str | None:
        """Who asks, if they may decide about evidence."""
        by = self._by  # Now: the next call has another context.
        await async_may_decide(self.site, self._context)
        return by

    async def async_report_threat(self) -> ServiceResponse:
        """Hold the running meeting, or the one that has just ended."""
        async with self.acting():
            return {"meeting_id": await self.site.witness.report_threat(self.room_id, self._by)}

    async def async_hold(
        self,
        kind: str,
        reason: str,
        meeting_id: str | None = None,
        review_date: datetime | None = None,
    ) -> ServiceResponse:
        """Place one more hold."""
        meeting = self._meeting(meeting_id, held=False)
        async with self.acting():
            hold = await self.site.witness.holds.place(
                meeting, HoldKind(kind), reason, self._by, _utc(review_date)
            )
        return {
            "meeting_id": meeting,
            "hold_id": hold.id,
            "review_date": hold.review_date.isoformat(),
        }

    async def async_extend(
        self,
        review_date: datetime,
        reason: str,
        meeting_id: str | None = None,
        hold_id: str | None = None,
    ) -> ServiceResponse:
        """Put the review of one hold, or of all of a meeting, off."""
        meeting = self._meeting(meeting_id, held=True)
        async with self.acting():
            return await decisions.extend(
                self.site.witness, self._by, meeting, review_date, reason, hold_id
            )

    async def async_release(
        self, reason: str, meeting_id: str | None = None, hold_id: str | None = None
    ) -> ServiceResponse:
        """End one hold, or all of a meeting; or ask for it, where two people are needed."""
        by = await self._decider()
        meeting = self._meeting(meeting_id, held=True)
        async with self.acting():
            return await decisions.release(self.site.witness, by, meeting, reason, hold_id)

    async def async_withdraw_release(
        self, meeting_id: str | None = None, hold_id: str | None = None
    ) -> ServiceResponse:
        """Take back a release that waits for its second person."""
        meeting = self._meeting(meeting_id, held=True)
        async with self.acting():
            return await decisions.withdraw(self.site.witness, self._by, meeting, hold_id)

    async def async_hand_over(self, meeting_id: str | None = None) -> ServiceResponse:
        """Note that the police have the evidence; it stays held."""
        by = await self._decider()
        meeting = self._meeting(meeting_id, held=True)
        async with self.acting():
            return await decisions.hand_over(self.site.witness, by, meeting)

    async def async_list_evidence(self) -> ServiceResponse:
        """The room's held meetings and their holds; no reasons. The log says who asked."""
        async with self.acting():
            found = await self.site.witness.listings.evidence(self._by, self.room_id)
        return {"meetings": await async_rows(self.site, self._context, found)}

    def _meeting(self, meeting_id: str | None, *, held: bool) -> str:
        """The meeting that is meant: the one named, or the only one that it can be."""
        mine = [m for m in self.site.witness.meetings(self.room_id) if m.started is not None]
        if meeting_id is not None:
            found = [m for m in mine if m.id == meeting_id]
        else:
            found = [m for m in mine if m.held is held] or mine
        if len(found) != 1:
            key = "meeting_ambiguous" if found else "meeting_not_found"
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key=key)
        return found[0].id


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else dt_util.as_utc(moment)
