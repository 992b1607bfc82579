"""The site's keys on disk: one file, for its owner only. They are never in the config entry."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from roomwitness.files import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeys:
    """What a site needs to go on; the custodian's secret is not among it."""

    origin: str
    custodian_recipient: str
    site_identity: str = field(repr=False)
    log_private_key: str = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read the file; None if there is none, or it is not one of ours."""
        try:
            return cls(**json.loads(path.read_text()))
        except OSError, ValueError, TypeError:
            return None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        replace(path, json.dumps(asdict(self), indent=2).encode(), sync=True)
