"""Whether index and custody log agree, on recordings and on holds."""

from pathlib import Path

from roomwitness.custody import (
    LogTampered,
    disagreements,
    hold_disagreements,
    read_account,
    read_again,
)
from roomwitness.vault.index import Index
from roomwitness.vault.listed import listed, open_holds


def differences(index: Index, folder: Path, vkey: str) -> frozenset[str]:
    """Invariants (docs/schema.md) that do not hold between them; for any thread."""
    try:
        before = read_account(folder, vkey)
        rows, holds = list(listed(index.rows)), open_holds(index.rows)
        after = read_again(before, folder, vkey)
    except LogTampered:
        return frozenset({"log-whole"})
    found = *disagreements(rows, before, after), *hold_disagreements(holds, before, after)
    unsigned = {"log-signed"} if before.unsigned and after.unsigned else set()
    return frozenset(name for name, _ in found) | unsigned
