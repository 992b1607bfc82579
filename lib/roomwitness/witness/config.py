"""What a site and its rooms are told at start: keys, folders, cameras, rules, legal file."""

import base64
from dataclasses import dataclass, field, fields
from pathlib import Path

from roomwitness.capture import StreamSource
from roomwitness.custody import SiteSigner
from roomwitness.onvif import DeviceId, OnvifSource
from roomwitness.policy.words import RoomPolicy
from roomwitness.vault.age import generate_identity
from roomwitness.vault.keyfile import Custodian, StoredKeys

from .errors import LegalFileIncomplete, RoomWithoutCamera


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """Folders and keys of one site.

    ``ephemeral_dir`` must be outside every backup: it holds the only keys of meetings that are not
    held. ``keys`` is what ``keys_file`` holds; it is written anew when keys change.
    """

    root: Path
    ephemeral_dir: Path
    held_dir: Path
    keys: StoredKeys
    keys_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKeys:
    """Fresh keys of a site; ``custodian_identity`` is shown once and never stored by us.

    ``log_private_key`` is base64 of 32 raw Ed25519 bytes.
    """

    site_identity: str = field(repr=False)
    custodian_identity: str = field(repr=False)
    custodian_recipient: str
    log_private_key: str = field(repr=False)

    def stored(
        self, origin: str, custodians: tuple[Custodian, ...] = (), *, sealed: bool = False
    ) -> StoredKeys:
        """What the site keeps of them; without ``custodians`` it is the one that was made here."""
        return StoredKeys(
            origin=origin,
            custodians=custodians or (Custodian(self.custodian_recipient),),
            site_identity=self.site_identity,
            log_private_key=self.log_private_key,
            sealed=sealed,
        )


def generate_site_keys(origin: str) -> SiteKeys:
    """Make the site's identity, the custodian's recovery identity and the log's signing key."""
    custodian = generate_identity()
    return SiteKeys(
        site_identity=str(generate_identity()),
        custodian_identity=str(custodian),
        custodian_recipient=str(custodian.recipient),
        log_private_key=base64.b64encode(SiteSigner.generate(origin).private_bytes).decode(),
    )


def signer(keys: StoredKeys) -> SiteSigner:
    """The log's signing key among them."""
    return SiteSigner.from_private_bytes(keys.origin, base64.b64decode(keys.log_private_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalFile:
    """The legal ground of a room's recording; every field must be filled in before it arms."""

    assessment_id: str = ""
    assessment_date: str = ""
    dpia_reference: str = ""
    disposal_decision: str = ""
    union_reference: str = ""
    purpose: str = ""
    controller: str = ""
    contact: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the fields that are still empty."""
        return tuple(f.name for f in fields(self) if not str(getattr(self, f.name)).strip())

    def require(self) -> None:
        """Refuse where a field is empty.

        Raises:
            LegalFileIncomplete.
        """
        if missing := self.missing:
            raise LegalFileIncomplete(fields=", ".join(missing))


@dataclass(frozen=True, slots=True)
class PanicInput:
    """The digital input of a panic button; ``when_open``: pressing it opens the contact."""

    token: str
    when_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """One camera of a room; ``id`` is stable and says nothing about address or place.

    ``onvif`` is None for a camera that is known by its stream alone.
    """

    id: str
    source: StreamSource
    onvif: OnvifSource | None = None
    panic: PanicInput | None = None
    device: DeviceId = field(default_factory=DeviceId)


@dataclass(frozen=True, slots=True)
class RelayLamp:
    """A relay output of a camera, to which a recording lamp is wired."""

    camera_id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """One room. ``calendar_bound`` says that bookings given to ``reconcile`` drive it.

    ``lamp`` is on while it records; its camera need not be one of the room's. ``quota_bytes`` is
    how much its recordings may take before no new meeting begins; None: no end. ``cameras_gone``
    counts cameras that it is said to have and that no longer exist.
    """

    id: str
    cameras: tuple[CameraConfig, ...]
    policy: RoomPolicy
    legal_file: LegalFile
    calendar_bound: bool
    quota_bytes: int | None = None
    lamp: RelayLamp | None = None
    cameras_gone: int = 0

    @property
    def armed(self) -> bool:
        """Whether there is something to record it with, and its legal file allows it."""
        return bool(self.cameras) and not self.legal_file.missing

    def require_armed(self) -> None:
        """Refuse where it is not.

        Raises:
            RoomWithoutCamera, LegalFileIncomplete.
        """
        if not self.cameras:
            raise RoomWithoutCamera
        self.legal_file.require()
