"""Whether a folder can hold a vault, and whether it holds one."""

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


def begun(root: Path) -> bool:
    """Whether there is anything of a vault in the folder: an index, a log or a recording.

    Raises:
        VaultUnwritable: it cannot be looked at.
    """
    try:
        if any(
            path.is_file() and path.stat().st_size
            for path in (root / "index.db", root / "custody" / "log.jsonl")
        ):
            return True
        segments = root / "segments"
        return segments.is_dir() and any(path.is_dir() for path in segments.iterdir())
    except OSError as err:
        raise disk_error(err) from None
