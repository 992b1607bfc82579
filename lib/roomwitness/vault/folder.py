"""Whether a folder can hold a vault."""

from pathlib import Path

from roomwitness.files import replace

from .errors import disk_error


def check_folder(path: Path) -> None:
    """Make the folder if need be, and try to write in it.

    Raises:
        VaultFull, VaultUnwritable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / ".writable"
        replace(probe, b"", sync=False)
        probe.unlink()
    except OSError as err:
        raise disk_error(err) from None
