"""The zip that HACS installs: the integration's files, and the library in ``_lib``."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[2]
PARTS = (
    (TOP / "custom_components" / "room_witness", ""),
    (TOP / "lib" / "roomwitness", "_lib/roomwitness/"),
)


def files() -> Iterator[tuple[str, Path]]:
    for folder, prefix in PARTS:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and "_lib" not in path.parts:
                yield prefix + path.relative_to(folder).as_posix(), path


def main(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
