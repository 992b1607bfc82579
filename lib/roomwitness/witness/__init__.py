"""The conductor and what it is told: all that a face needs to import."""

from roomwitness.vault.keyfile import Custodian, StoredKeys

from .conductor import Witness
from .config import (
    CameraConfig,
    LegalFile,
    RoomConfig,
    SiteConfig,
    SiteKeys,
    generate_site_keys,
)
from .holds import Released
from .listings import Listed
from .status import Checked, Problem, RoomStatus

__all__ = [
    "CameraConfig",
    "Checked",
    "Custodian",
    "LegalFile",
    "Listed",
    "Problem",
    "Released",
    "RoomConfig",
    "RoomStatus",
    "SiteConfig",
    "SiteKeys",
    "StoredKeys",
    "Witness",
    "generate_site_keys",
]
