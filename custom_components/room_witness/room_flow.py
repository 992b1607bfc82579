"""A room: its cameras, its calendar, its times, its lamp, its legal file."""

from datetime import timedelta
from typing import Any

import probatio as vol
from homeassistant.components.calendar.const import DOMAIN as CALENDAR_DOMAIN
from homeassistant.config_entries import ConfigSubentry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME, UnitOfTime
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.selector import (
    AreaSelector,
    DurationSelector,
    DurationSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)

from roomwitness.capture.preroll import MAX_SECONDS
from roomwitness.policy.holds import SHORTEST_PERIOD

from .const import (
    CONF_AREA,
    CONF_CALENDAR,
    CONF_CAMERAS,
    CONF_HOLD_PERIOD,
    CONF_LAG,
    CONF_LAMP,
    CONF_LAMP_RELAY,
    CONF_LEAD,
    CONF_MANUAL_LENGTH,
    CONF_PRE_ROLL,
    CONF_PREFLIGHT_LEAD,
    CONF_QUOTA,
    CONF_REVIEW_WINDOW,
    DOMAIN,
    SECTION_LEGAL_FILE,
    SECTION_TIMES,
)
from .rooms import camera_subentries, relay_lamp, relay_options, room_subentries

_DURATION = DurationSelector(DurationSelectorConfig(enable_day=True))
_TIMES = {
    CONF_LEAD: {"minutes": 0},
    CONF_LAG: {"minutes": 0},
    CONF_MANUAL_LENGTH: {"hours": 3},
    CONF_REVIEW_WINDOW: {"hours": 1},
    CONF_HOLD_PERIOD: {"days": 30},
    CONF_PREFLIGHT_LEAD: {"minutes": 10},
}
_LEGAL_FILE = (
    "purpose",
    "controller",
    "contact",
    "assessment_id",
    "assessment_date",
    "dpia_reference",
    "disposal_decision",
    "union_reference",
)
_PRE_ROLL = NumberSelector(
    NumberSelectorConfig(
        min=0,
        max=MAX_SECONDS,
        step=1,
        unit_of_measurement=UnitOfTime.SECONDS,
        mode=NumberSelectorMode.SLIDER,
    )
)
# More than 72 hours needs a fuller reason than a form can ask for (EDPB guidelines 3/2019).
_LONGEST_REVIEW = timedelta(hours=72)
# More is a number in the wrong field: 15 hours where 15 minutes were meant.
_LONGEST_AROUND = timedelta(hours=2)
# The calendar blueprint puts the end off every 10 minutes.
_SHORTEST_MANUAL, _LONGEST_MANUAL = timedelta(minutes=30), timedelta(hours=12)


class RoomFlow(ConfigSubentryFlow):
    """One form, so that everything about a room is seen together."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a room."""
        return await self._async_form("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change a room."""
        return await self._async_form("reconfigure", user_input)

    async def _async_form(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        reconfigure = step_id == "reconfigure"
        cameras = camera_subentries(self._get_entry())
        if not cameras:
            return self.async_abort(reason="no_cameras")
        errors = self._errors(user_input) if user_input is not None else {}
        if user_input is not None and not errors:
            name = user_input.pop(CONF_NAME).strip()
            if not reconfigure:
                return self.async_create_entry(title=name, data=user_input)
            subentry = self._get_reconfigure_subentry()
            if (device := self._device(subentry)) is not None:
                area = user_input.get(CONF_AREA)
                dr.async_get(self.hass).async_update_device(device.id, area_id=area)
            return self.async_update_and_abort(
                self._get_entry(), subentry, title=name, data=user_input
            )
        suggested = user_input
        if suggested is None and reconfigure:
            subentry = self._get_reconfigure_subentry()
            there = [each for each in subentry.data[CONF_CAMERAS] if each in cameras]
            # A camera that is gone is not offered, so the form would not be taken with it.
            suggested = {CONF_NAME: subentry.title, **subentry.data, CONF_CAMERAS: there}
            if (device := self._device(subentry)) is not None:
                suggested[CONF_AREA] = device.area_id  # It may have been moved there.
        options = [SelectOptionDict(value=key, label=s.title) for key, s in cameras.items()]
        chosen = relay_lamp(self._get_reconfigure_subentry().data) if reconfigure else None
        relays = relay_options(self._get_entry(), chosen)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(_schema(options, relays), suggested),
            errors=errors,
        )

    def _device(self, subentry: ConfigSubentry) -> dr.DeviceEntry | None:
        identifier, entry = (DOMAIN, subentry.subentry_id), self._get_entry()
        return dr.async_get(self.hass).async_get_device_by_identifier(identifier, entry.entry_id)

    def _errors(self, user_input: dict[str, Any]) -> dict[str, str]:
        errors: dict[str, str] = {}
        own = self._get_reconfigure_subentry().subentry_id if self.source != "user" else None
        others = [r for key, r in room_subentries(self._get_entry()).items() if key != own]
        if not user_input[CONF_NAME].strip():
            errors[CONF_NAME] = "name_missing"
        if not user_input[CONF_CAMERAS]:
            errors[CONF_CAMERAS] = "camera_missing"
        calendar = user_input.get(CONF_CALENDAR)
        if calendar is not None and calendar in {r.data.get(CONF_CALENDAR) for r in others}:
            errors[CONF_CALENDAR] = "calendar_taken"
        times = {k: timedelta(**v) for k, v in user_input[SECTION_TIMES].items()}
        if any(value < timedelta(0) for value in times.values()):
            errors["base"] = "negative_time"
        elif times[CONF_REVIEW_WINDOW] > _LONGEST_REVIEW:
            errors["base"] = "review_window_too_long"
        elif times[CONF_HOLD_PERIOD] < SHORTEST_PERIOD:
            errors["base"] = "hold_period_too_short"
        elif max(times[CONF_LEAD], times[CONF_LAG]) > _LONGEST_AROUND:
            errors["base"] = "around_booking_too_long"
        elif not _SHORTEST_MANUAL <= times[CONF_MANUAL_LENGTH] <= _LONGEST_MANUAL:
            errors["base"] = "manual_length_out_of_range"
        return errors


def _schema(cameras: list[SelectOptionDict], relays: dict[str, str]) -> vol.Schema:
    times = {vol.Required(name, default=default): _DURATION for name, default in _TIMES.items()}
    legal = {vol.Optional(name, default=""): TextSelector() for name in _LEGAL_FILE}
    return vol.Schema(
        {
            vol.Required(CONF_NAME): TextSelector(),
            vol.Optional(CONF_AREA): AreaSelector(),
            vol.Required(CONF_CAMERAS, default=list): SelectSelector(
                SelectSelectorConfig(
                    options=cameras, multiple=True, mode=SelectSelectorMode.DROPDOWN
                )
            ),
            vol.Optional(CONF_CALENDAR): EntitySelector(
                EntitySelectorConfig(domain=CALENDAR_DOMAIN)
            ),
            vol.Optional(CONF_LAMP): EntitySelector(
                EntitySelectorConfig(domain=["light", "switch", "input_boolean"])
            ),
            **(_relay(relays) if relays else {}),
            vol.Optional(CONF_QUOTA): NumberSelector(
                NumberSelectorConfig(
                    min=1, step=1, unit_of_measurement="GB", mode=NumberSelectorMode.BOX
                )
            ),
            vol.Required(CONF_PRE_ROLL, default=0): _PRE_ROLL,
            vol.Required(SECTION_TIMES): section(vol.Schema(times), {"collapsed": True}),
            vol.Required(SECTION_LEGAL_FILE): section(vol.Schema(legal), {"collapsed": False}),
        }
    )


def _relay(relays: dict[str, str]) -> dict[Any, Any]:
    """A lamp that is wired to a camera, where some camera has a relay."""
    options = [SelectOptionDict(value=key, label=label) for key, label in relays.items()]
    config = SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
    return {vol.Optional(CONF_LAMP_RELAY): SelectSelector(config)}
