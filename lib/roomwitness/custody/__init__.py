"""The custody log: append-only, signed, and checked by anyone."""

from .errors import LogTampered, LogUnwritable
from .log import CustodyLog
from .signing import SiteSigner
from .verify import Verified, verify_log

__all__ = ["CustodyLog", "LogTampered", "LogUnwritable", "SiteSigner", "Verified", "verify_log"]
