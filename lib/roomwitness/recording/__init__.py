"""The recording process: capture and vault put together, apart from Home Assistant.

``host`` is the end that Home Assistant's process has, ``worker`` the other one; ``messages`` go
between them.
"""

from .errors import RecorderLost
from .host import Job, RecordingHost
from .messages import Clock, News, Sealed, Status

__all__ = ["Clock", "Job", "News", "RecorderLost", "RecordingHost", "Sealed", "Status"]
