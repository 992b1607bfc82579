"""Capture: RTSP to keyframe-aligned fragments to segments. It knows no vault."""

from .errors import CaptureError, CertificateChanged, CertificateUnknown
from .preroll import Nowhere, PreRoll
from .probe import StreamInfo, probe
from .recorder import Recorder
from .sink import SegmentOut, SegmentSink
from .source import StreamSource, Transport
from .status import CaptureStatus
from .timeouts import Timeouts
from .tls import presented

__all__ = [
    "CaptureError",
    "CaptureStatus",
    "CertificateChanged",
    "CertificateUnknown",
    "Nowhere",
    "PreRoll",
    "Recorder",
    "SegmentOut",
    "SegmentSink",
    "StreamInfo",
    "StreamSource",
    "Timeouts",
    "Transport",
    "presented",
    "probe",
]
