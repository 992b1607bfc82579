"""Does the camera record by itself? (ONVIF Recording Control 5, Recording Search 5, Core 8.10.)

Only what the device tells by these services is seen: a card or a cloud that is switched on in its
own pages is not, where it has no Profile G.
"""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from . import names, xml
from .connection import Connection
from .errors import OnvifError, OnvifUnreachable

_MAX_JOBS = 32


@dataclass(frozen=True, slots=True)
class OwnRecordings:
    """``active``: it records now, or whenever its schedule says; ``stored``: pictures are in it.

    ``elsewhere``: it knows a storage on the network, which it may send to without saying so.
    """

    active: bool
    stored: bool
    elsewhere: bool = False


async def own_recordings(device: Connection) -> OwnRecordings:
    """Ask; a device without these services, or that does not let us look, tells of none.

    Raises:
        OnvifUnreachable.
    """
    return OwnRecordings(
        active=await _active(device),
        stored=await _stored(device),
        elsewhere=await _elsewhere(device),
    )


async def _active(device: Connection) -> bool:
    answer = await _asked(device, names.RECORDING, "GetRecordingJobs")
    for job in list(xml.every(answer, "JobItem"))[:_MAX_JOBS]:
        # Of several jobs of one recording only that of the highest priority runs.
        if xml.text(job, "Mode").lower() == "active":
            return True
    return False


async def _stored(device: Connection) -> bool:
    """Empty recordings are listed too: only their summary tells whether there are pictures."""
    answer = await _asked(device, names.SEARCH, "GetRecordingSummary")
    begin, end = xml.text(answer, "DataFrom"), xml.text(answer, "DataUntil")
    return xml.text(answer, "NumberRecordings") not in ("", "0") and begin != end


async def _elsewhere(device: Connection) -> bool:
    """A share, an FTP server or a cloud; what is only in the camera has no address."""
    answer = await _asked(device, names.DEVICE, "GetStorageConfigurations")
    return any(
        xml.text(storage, "StorageUri")
        for storage in list(xml.every(answer, "StorageConfigurations"))[:_MAX_JOBS]
    )


async def _asked(device: Connection, service: str, operation: str) -> Element | None:
    try:
        return await device.call(service, operation)
    except OnvifUnreachable:
        raise
    except OnvifError:
        return None
