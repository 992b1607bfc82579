"""``roomwitness``: what a person without Home Assistant needs to check or open evidence."""

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from roomwitness.custody import (
    LogTampered,
    TlogProof,
    disagreements,
    hold_disagreements,
    prove_entry,
    read_account,
    read_again,
    timestamp,
    verify_files,
    verify_log,
    verify_receipt,
    witnessed,
)
from roomwitness.errors import WitnessError
from roomwitness.terminal import Terminal
from roomwitness.vault.age import AnyIdentity, parse_custodian
from roomwitness.vault.check import Finding, Places, check
from roomwitness.vault.errors import StoreError
from roomwitness.vault.inspect import export_identities, inspect
from roomwitness.vault.listed import holds_in, listed_in


def _verify_log(args: argparse.Namespace) -> int:
    key = args.vkey.read_text() if args.vkey else None
    found = verify_log(args.folder, key, [path.read_text() for path in args.kept])
    print(f"OK: {found.size} signed entries of {found.origin}")
    print(f"root {found.root}, last entry {found.last_time or 'none'}")
    for entries in found.adopted:
        print(
            f"Entries {entries.start} to {entries.stop - 1} were not signed when a start found"
            " them: a restored backup leaves such, and so does whoever writes in the file."
        )
    if found.kept:
        print(f"It continues each of the {found.kept} checkpoints that are kept beside it.")
    _timestamps(args.folder, args.tsa_root)
    for cosigned in witnessed(args.folder, _lines(args.witness)):
        print(
            f"cosigned by {cosigned.name}: up to entry {cosigned.size},"
            f" last at {cosigned.time.isoformat()}"
        )
    if args.kept:
        print(f"It continues each of {len(args.kept)} kept checkpoints: nothing was rewritten.")
    if key is None:
        print("Checked with the key beside the log: compare it with the one the site published.")
    if found.unsigned:
        print(
            f"UNSIGNED: {found.unsigned} lines from entry {found.size} on, not vouched for:"
            " a backup's copy may end in such, and so does a file in which somebody wrote."
        )
    return 1 if found.unsigned else 0


def _timestamps(folder: Path, root: Path | None) -> None:
    if root is None:
        if count := len(list(timestamp.timestamps(folder))):
            print(f"{count} of them have a timestamp, not checked: give --tsa-root")
        return
    found = timestamp.verify_timestamps(folder, timestamp.read_roots(root.read_text()))
    first, last = found[0], found[-1]
    print(
        f"{len(found)} timestamps hold: {first.size} entries were there at"
        f" {first.time.isoformat()}, {last.size} at {last.time.isoformat()}"
    )


def _prove(args: argparse.Namespace) -> None:
    print(prove_entry(args.folder, args.entry).text(), end="")


def _verify_proof(args: argparse.Namespace) -> None:
    proof = TlogProof.parse(args.file.read_text())
    found = proof.verify(args.vkey.read_text(), _lines(args.witness))
    print(f"OK: entry {found.index} of {found.size} of {found.origin}")
    print(json.dumps(found.entry, ensure_ascii=False))
    for cosigned in found.cosigned:
        print(f"seen by {cosigned.name} at {cosigned.time.isoformat()}")


def _verify_receipt(args: argparse.Namespace) -> None:
    facts, proven = verify_receipt(
        args.file.read_text(), args.vkey.read_text(), _lines(args.witness)
    )
    print(
        f"OK: meeting {facts.get('meeting')} was erased at {facts.get('erased_at')},"
        f" entry {proven.index} of {proven.size} of {proven.origin}"
    )
    print(json.dumps(facts, indent=2, ensure_ascii=False))


def _lines(path: Path | None) -> list[str]:
    return path.read_text().split() if path else []


def _verify_recording(args: argparse.Namespace) -> None:
    key = args.vkey.read_text() if args.vkey else None
    name = args.recording or args.folder.resolve().name
    count = verify_files(args.folder, name, args.custody, key)
    print(f"OK: the {count} files are those of recording {name} that the log was told of")


def _inspect(args: argparse.Namespace) -> None:
    print(json.dumps(inspect(args.vault), indent=2))


# Where Home Assistant's integration keeps it, in the configuration folder.
_EPHEMERAL = ".room_witness_unheld.log.d"


def _places(args: argparse.Namespace) -> Places:
    return Places(
        args.vault,
        args.ephemeral or args.vault.parent.parent / _EPHEMERAL,
        args.held or args.vault.parent / "held",
    )


def _check(args: argparse.Namespace) -> int:
    places = _places(args)

    def look() -> list[Finding]:
        custody = args.custody or args.vault / "custody"
        return check(places, deep=args.deep) + _against_log(args.vault, custody, args.vkey)

    if args.repair:
        from roomwitness.witness.offline import mend

        keys_file = args.keys or args.vault.parent / "keys" / "site.json"
        found = mend(places, keys_file, look, datetime.now(UTC))
    else:
        found = look()
    if args.json:
        print(json.dumps([asdict(finding) for finding in found]))
    else:
        for finding in found:
            print(
                f"{'repaired' if finding.repaired else 'BROKEN'}: {finding.invariant} {finding.of}"
            )
        print("FAILED" if found else "OK: every invariant holds")
    return 0 if all(finding.repaired for finding in found) else 1


def _against_log(vault: Path, custody: Path, vkey: Path | None) -> list[Finding]:
    key = vkey.read_text() if vkey else None
    try:
        before = read_account(custody, key)
        rows = listed_in(vault)
        holds = holds_in(vault)
        after = read_again(before, custody, key)
    except LogTampered as err:
        return [Finding("log-whole", str(err))]
    found = [*disagreements(rows, before, after), *hold_disagreements(holds, before, after)]
    if before.unsigned and after.unsigned:
        found.append(("log-signed", f"lines behind entry {after.size}: {after.unsigned}"))
    return [Finding(*each) for each in found]


def _export(args: argparse.Namespace) -> int:
    identity = _custodian(args.identity)
    stores = [args.held / "held-keys.db"]
    if args.ephemeral is not None:
        stores.append(args.ephemeral / "ephemeral-keys.db")
    found, closed = export_identities(stores, identity)
    for recording_id, text in sorted(found.items()):
        print(f"# recording {recording_id}\n{text}")
    for recording_id in sorted(closed):
        print(f"not wrapped for this identity: {recording_id}", file=sys.stderr)
    return 1 if closed else 0


def _rewrap(args: argparse.Namespace) -> int:
    # Here and not above: the other commands need nothing of what records.
    from roomwitness.witness.offline import rewrap

    identity = None
    if args.identity is not None:
        identity = _custodian(args.identity)
    found = rewrap(
        _places(args),
        args.keys or args.vault.parent / "keys" / "site.json",
        identity,
        args.add,
        args.retire,
        datetime.now(UTC),
    )
    print(f"{found.added} wraps made, {found.removed} removed")
    for name, count in found.waiting.items():
        print(f"{count} recordings lack a wrap for {name}: another custodian must open them")
    for name, count in found.kept.items():
        print(f"{count} recordings can only be opened by {name}: kept")
    return 1 if found.waiting or found.kept else 0


def _recover(args: argparse.Namespace) -> int:
    from roomwitness.witness.offline import recover

    keys_file = args.keys or args.vault.parent / "keys" / "site.json"
    identity = _custodian(args.identity)
    found, left = recover(_places(args), keys_file, identity, datetime.now(UTC))
    for each in found:
        print(f"made whole: {each.recording_id}/{each.segment_id}, {each.bytes} bytes")
    print(f"{len(found)} segments made whole, {left} recordings not opened by this identity")
    return 1 if left else 0


def _discard(args: argparse.Namespace) -> None:
    from roomwitness.witness.offline import discard

    keys_file = args.keys or args.vault.parent / "keys" / "site.json"
    identity = _custodian(args.identity) if args.identity else None
    now = datetime.now(UTC)
    for one in discard(_places(args), keys_file, args.recording, now, identity):
        print(f"destroyed: {one.recording}")


def _custodian(path: Path) -> AnyIdentity:
    """The identity in an age identity file: its first line that is no comment.

    That of a plugin asks at the terminal for what the plugin wants: a PIN, a touch.
    """
    lines = (line.strip() for line in path.read_text().splitlines())
    text = next((line for line in lines if line and not line.startswith("#")), "")
    return parse_custodian(text, Terminal())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="roomwitness", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], text: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("verify-log", _verify_log, "Check a custody log against its signed checkpoint.")
    sub.add_argument("folder", type=Path, help="the custody folder (log.jsonl, checkpoint)")
    sub.add_argument("--vkey", type=Path, help="file with the verifier key that the site published")
    sub.add_argument(
        "--kept",
        type=Path,
        action="append",
        default=[],
        help="file with a checkpoint that was kept elsewhere; may be given several times",
    )
    sub.add_argument(
        "--witness", type=Path, help="file with verifier keys of its witnesses: each must cosign"
    )
    sub.add_argument(
        "--tsa-root", type=Path, help="PEM file with the root of its timestamp authority"
    )
    sub = command("prove", _prove, "Print the proof that an entry is in a custody log.")
    sub.add_argument("folder", type=Path, help="the custody folder (log.jsonl, checkpoint)")
    sub.add_argument("entry", type=int, help="the entry's number; the first is 0")
    for name, run, text in (
        ("verify-proof", _verify_proof, "Check a .tlog-proof file offline."),
        ("verify-receipt", _verify_receipt, "Check an erasure's receipt offline."),
    ):
        sub = command(name, run, text)
        sub.add_argument("file", type=Path, help="the file that the site handed out")
        sub.add_argument(
            "--vkey", type=Path, required=True, help="file with the verifier key of the site"
        )
        sub.add_argument(
            "--witness",
            type=Path,
            help="file with verifier keys of its witnesses: each must have cosigned",
        )
    sub = command(
        "verify-recording",
        _verify_recording,
        "Check a recording's sealed files against a custody log; no key of it is needed.",
    )
    sub.add_argument("folder", type=Path, help="the folder with the recording's .age files")
    sub.add_argument("custody", type=Path, help="the custody folder (log.jsonl, checkpoint)")
    sub.add_argument("--recording", help="its id, if the folder has another name")
    sub.add_argument("--vkey", type=Path, help="file with the verifier key that the site published")
    sub = command("inspect", _inspect, "List meetings, recordings, segments, gaps and receipts.")
    sub.add_argument("vault", type=Path, help="the vault folder (index.db)")
    sub = command("check", _check, "Check a vault's invariants (docs/schema.md), read-only.")
    sub.add_argument("vault", type=Path, help="the vault folder (index.db)")
    sub.add_argument("--ephemeral", type=Path, help="folder of ephemeral-keys.db")
    sub.add_argument("--held", type=Path, help="folder of held-keys.db")
    sub.add_argument("--custody", type=Path, help="the custody folder, if it is elsewhere")
    sub.add_argument("--keys", type=Path, help="the site's key file (site.json), for --repair")
    sub.add_argument("--vkey", type=Path, help="file with the verifier key that the site published")
    sub.add_argument("--deep", action="store_true", help="read every sealed byte too")
    sub.add_argument(
        "--repair", action="store_true", help="repair what is safe; Home Assistant must be stopped"
    )
    sub.add_argument("--json", action="store_true", help="findings as JSON")
    sub = command("export", _export, "Open held evidence's keys with a custodian's identity file.")
    sub.add_argument("held", type=Path, help="the held key store's folder")
    sub.add_argument("--identity", type=Path, required=True, help="the custodian's age identity")
    sub.add_argument(
        "--ephemeral", type=Path, help="folder of ephemeral-keys.db: also what is not held"
    )
    _key_commands(command)
    return parser


def _key_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    recover = command(
        "recover", _recover, "Make whole what a crash left open of sealed recordings."
    )
    rewrap = command("rewrap", _rewrap, "Add or retire custodians of recordings that there are.")
    discard = command(
        "discard", _discard, "Destroy recordings that the index does not list and nobody holds."
    )
    discard.add_argument("recording", nargs="+", help="its id, as roomwitness check names it")
    discard.add_argument(
        "--identity",
        type=Path,
        help="a custodian's age identity, for what may be evidence that the log does not know",
    )
    for sub in (recover, rewrap, discard):
        sub.add_argument("--vault", type=Path, required=True, help="the vault folder (index.db)")
        sub.add_argument("--ephemeral", type=Path, help="folder of ephemeral-keys.db")
        sub.add_argument("--held", type=Path, help="folder of held-keys.db")
        sub.add_argument("--keys", type=Path, help="the site's key file (site.json)")
    recover.add_argument("--identity", type=Path, required=True, help="a custodian's age identity")
    sub = rewrap
    sub.add_argument("--identity", type=Path, help="a custodian's age identity; else the site's")
    sub.add_argument(
        "--add", action="append", default=[], metavar="RECIPIENT", help="age1...; may be repeated"
    )
    sub.add_argument(
        "--retire", action="append", default=[], metavar="ID", help="a custodian's id; likewise"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all is well, 1 if a check failed, 2 if it was asked wrongly."""
    args = _parser().parse_args(argv)
    try:
        code: int | None = args.run(args)
    except (WitnessError, OSError, sqlite3.Error, UnicodeDecodeError) as err:
        key = err.key if isinstance(err, WitnessError) else StoreError.key
        print(f"FAILED: {key}: {err}", file=sys.stderr)
        return 1
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
