"""A camera's clock, its identity, and what it records by itself (ONVIF Profile G)."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from .config import Faults

RECORDING, SEARCH = "/onvif/recording_service", "/onvif/search_service"


class Housekeeping:
    """``jobs`` are the modes of its recording jobs; None: it has no Profile G."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.ntp = True
        self.zone = "CET-1CEST,M3.5.0,M10.5.0/3"
        self.may_set = True
        self.keeps_clock_wrong = False
        self.endpoint: UUID = uuid4()
        self.serial = ""
        self.jobs: list[str] | None = None
        self.stored = 0
        self.storages: list[str] | None = None

    def answer(self, name: str, text: str) -> str | None:
        """The response's XML, ``!CODE`` for a fault; None if this is none of our operations."""
        operation = getattr(self, f"_{name}", None)
        return None if operation is None else str(operation(text))

    @property
    def services(self) -> dict[str, str]:
        return {} if self.jobs is None else {"ver10/recording": RECORDING, "ver10/search": SEARCH}

    def _GetSystemDateAndTime(self, _text: str) -> str:  # noqa: N802 (ONVIF's name)
        now = datetime.now(UTC) + timedelta(seconds=self._faults.clock_offset_s)
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
            f"<tt:DateTimeType>{'NTP' if self.ntp else 'Manual'}</tt:DateTimeType>"
            f"<tt:DaylightSavings>true</tt:DaylightSavings><tt:TimeZone><tt:TZ>{self.zone}</tt:TZ>"
            f"</tt:TimeZone><tt:UTCDateTime><tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>"
            f"{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time><tt:Date>"
            f"<tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}"
            "</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>"
            "</tds:GetSystemDateAndTimeResponse>"
        )

    def _SetSystemDateAndTime(self, text: str) -> str:  # noqa: N802
        if not self.may_set:
            return "!NotAuthorized"
        names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
        found = [re.search(rf"<tt:{name}>(\d+)<", text) for name in names]
        saving = re.search(r"<DaylightSavings>true<", text)
        zone = re.search(r"<tt:TZ>([^<]*)<", text)
        if None in found or zone is None or zone[1] != self.zone or saving is None:
            return "!InvalidDateTime"
        self.ntp = "<DateTimeType>NTP<" in text
        if not self.keeps_clock_wrong:
            told = datetime(*(int(m[1]) for m in found if m), tzinfo=UTC)  # type: ignore[arg-type, misc]
            self._faults.clock_offset_s = (told - datetime.now(UTC)).total_seconds()
        return "<tds:SetSystemDateAndTimeResponse/>"

    def _GetEndpointReference(self, _text: str) -> str:  # noqa: N802
        return (
            f"<tds:GetEndpointReferenceResponse><tds:GUID>urn:uuid:{str(self.endpoint).upper()}"
            "</tds:GUID></tds:GetEndpointReferenceResponse>"
        )

    def _GetStorageConfigurations(self, _text: str) -> str:  # noqa: N802
        if self.storages is None:
            return "!ActionNotSupported"
        found = "".join(
            f'<tds:StorageConfigurations token="s{n}"><tds:Data type="{"NFS" if uri else "LOCAL"}">'
            f"<tds:LocalPath>/mnt</tds:LocalPath><tds:StorageUri>{uri}</tds:StorageUri></tds:Data>"
            "</tds:StorageConfigurations>"
            for n, uri in enumerate(self.storages)
        )
        return (
            f"<tds:GetStorageConfigurationsResponse>{found}</tds:GetStorageConfigurationsResponse>"
        )

    def _GetRecordingJobs(self, _text: str) -> str:  # noqa: N802
        jobs = "".join(
            f"<trc:JobItem><tt:JobToken>job{n}</tt:JobToken><tt:JobConfiguration><tt:RecordingToken>"
            f"r{n}</tt:RecordingToken><tt:Mode>{mode}</tt:Mode><tt:Priority>1</tt:Priority>"
            "</tt:JobConfiguration></trc:JobItem>"
            for n, mode in enumerate(self.jobs or ())
        )
        return (
            '<trc:GetRecordingJobsResponse xmlns:trc="http://www.onvif.org/ver10/recording/wsdl">'
            f"{jobs}</trc:GetRecordingJobsResponse>"
        )

    def _GetRecordingSummary(self, _text: str) -> str:  # noqa: N802
        until = "2026-11-20T10:00:00Z" if self.stored else "2026-11-01T00:00:00Z"
        return (
            '<tse:GetRecordingSummaryResponse xmlns:tse="http://www.onvif.org/ver10/search/wsdl">'
            "<tse:Summary><tt:DataFrom>2026-11-01T00:00:00Z</tt:DataFrom>"
            f"<tt:DataUntil>{until}</tt:DataUntil><tt:NumberRecordings>{len(self.jobs or ())}"
            "</tt:NumberRecordings></tse:Summary></tse:GetRecordingSummaryResponse>"
        )
