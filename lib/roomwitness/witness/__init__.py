"""The conductor and what it is told: all that a face needs to import."""

from roomwitness.vault.keyfile import Custodian, StoredKeys

from .camera_link import CameraState
from .conductor import Witness
from .config import (
    CameraConfig,
    LegalFile,
    PanicInput,
    RelayLamp,
    RoomConfig,
    SiteConfig,
    SiteKeys,
    generate_site_keys,
)
from .destinations import WitnessConfig
from .holds import Released
from .listings import Listed
from .status import Checked, Problem, RoomStatus
from .timestamping import TimestampConfig

__all__ = [
    "CameraConfig",
    "CameraState",
    "Checked",
    "Custodian",
    "LegalFile",
    "Listed",
    "PanicInput",
    "Problem",
    "RelayLamp",
    "Released",
    "RoomConfig",
    "RoomStatus",
    "SiteConfig",
    "SiteKeys",
    "StoredKeys",
    "TimestampConfig",
    "Witness",
    "WitnessConfig",
    "generate_site_keys",
]
