"""What can go wrong between a camera and us. No message holds an address or a credential."""

from typing import ClassVar

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause


class CaptureError(WitnessError):
    """Base of capture's errors; ``cause`` is what the gap is declared with."""

    key = "stream_protocol_error"
    cause: ClassVar[GapCause] = GapCause.PROTOCOL_ERROR


def cause_of(err: WitnessError) -> GapCause:
    """Why what follows is missing: of what is no fault of the camera's, the disk knows."""
    if isinstance(err, CaptureError):
        return err.cause
    return GapCause.DISK_FULL if err.key == "vault_full" else GapCause.DISK_FAILED


class CameraUnreachable(CaptureError):
    """No connection within the time allowed."""

    key = "camera_unreachable"
    cause = GapCause.CAMERA_UNREACHABLE


class CameraAuthFailed(CaptureError):
    """The camera refuses the user name or password."""

    key = "camera_auth_failed"
    cause = GapCause.CAMERA_AUTH


class CameraForbidden(CameraAuthFailed):
    """It knows us, perhaps, and refuses all the same (403): rights, sessions, or it starts."""


class StreamNotFound(CaptureError):
    """The camera has no stream at this address."""

    key = "stream_not_found"
    cause = GapCause.CAMERA_UNREACHABLE


class StreamUnsupported(CaptureError):
    """The stream's codec or transport is none that we record."""

    key = "stream_unsupported"


class TransportRefused(StreamUnsupported):
    """The camera does not send in the way that was asked for (RFC 2326, 11.3.12: 461)."""

    key = "transport_refused"


class TransportInsecure(StreamUnsupported):
    """TLS is wanted, and media over UDP, where nothing encrypts it."""

    key = "transport_insecure"


class TlsFailed(CaptureError):
    """What answers speaks no TLS, or none that is still safe."""

    key = "tls_failed"


class CertificateUnknown(CaptureError):
    """No authority vouches for the camera's certificate; ``fingerprint`` is its SHA-256."""

    key = "certificate_unknown"
    cause = GapCause.CAMERA_AUTH


class CertificateChanged(CertificateUnknown):
    """The certificate is not the ``pinned`` one: another device, or a camera that was reset."""

    key = "certificate_changed"


class StreamSilent(CaptureError):
    """The connection stands, but nothing at all comes."""

    key = "stream_silent"
    cause = GapCause.STALLED


class UdpSilent(StreamSilent):
    """The camera plays, but nothing of it arrives over UDP."""

    key = "stream_udp_silent"


class StreamStalled(CaptureError):
    """Something comes, but no picture."""

    key = "stream_stalled"
    cause = GapCause.STALLED


class StreamNoKeyframe(CaptureError):
    """Pictures come, but none that can be decoded by itself."""

    key = "stream_no_keyframe"
    cause = GapCause.NO_KEYFRAME


class ConnectionLost(CaptureError):
    """The camera closed the connection."""

    key = "camera_unreachable"
    cause = GapCause.CONNECTION_LOST


class StreamMoved(CaptureError):
    """The camera says that the stream is elsewhere; ``location`` is in no message."""

    key = "camera_unreachable"
    cause = GapCause.CONNECTION_LOST

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location


class StreamProtocolError(CaptureError):
    """The camera said something that is not RTSP, RTP or the codec that it announced."""
