"""Proofs and receipts: they hold offline, with the published key, and for nothing else."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomwitness.cli import main
from roomwitness.custody import (
    CustodyLog,
    LogTampered,
    ProofInvalid,
    SiteSigner,
    TlogProof,
    certify,
    encode_entry,
    prove_entry,
    receipt_file,
    verify_log,
    verify_receipt,
)
from roomwitness.custody.cosignature import cosign, cosigner_vkey
from roomwitness.custody.merkle import verify_consistency
from roomwitness.custody.signing import Checkpoint, open_note

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/test"
SIGNER = SiteSigner.generate(ORIGIN)
FACTS = {"receipt": "r1", "meeting": "m1", "erased_at": T.isoformat(), "bytes": 7}


def filled(folder: Path, entries: int = 9) -> CustodyLog:
    log = CustodyLog(folder, SIGNER, ORIGIN).open()
    log.append_all([encode_entry("threat", T, {"meeting": f"m{n}"}) for n in range(entries)])
    return log


def a_receipt(folder: Path) -> str:
    log = filled(folder)
    certificate = certify(SIGNER, FACTS)
    leaf = encode_entry("erased", T, {"certificate": certificate.digest})
    (proof,) = log.prove_all([(log.append_all([leaf]), leaf)])
    log.close()
    return receipt_file(certificate, proof)


def test_every_entry_is_proved_and_no_other(tmp_path: Path) -> None:
    log = filled(tmp_path)
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines()
    for index, line in enumerate(lines):
        text = log.prove(index, line).text()
        proven = TlogProof.parse(text).verify(SIGNER.vkey)
        assert (proven.index, proven.size, proven.origin) == (index, 9, ORIGIN)
        assert proven.entry["meeting"] == f"m{index}"
        with pytest.raises(ProofInvalid):
            TlogProof.parse(text).verify(SiteSigner.generate(ORIGIN).vkey)
    with pytest.raises(LogTampered):
        log.prove(3, lines[4])
    log.close()
    assert prove_entry(tmp_path, 3) == TlogProof.parse(prove_entry(tmp_path, 3).text())
    with pytest.raises(ProofInvalid):
        prove_entry(tmp_path, 9)


def test_hashes_that_were_lost_are_made_again(tmp_path: Path) -> None:
    log = filled(tmp_path, 40)
    leaf = encode_entry("threat", T, {"meeting": "m7"})
    (tmp_path / "log.tree").write_bytes(b"\xff" * 64)
    assert log.prove(7, leaf).verify(SIGNER.vkey).index == 7
    log.close()
    # What is left is right at its edge, and damaged inside: it shows when it is used.
    damaged = bytearray((tmp_path / "log.tree").read_bytes())
    damaged[:32] = bytes(32)
    (tmp_path / "log.tree").write_bytes(damaged)
    again = CustodyLog(tmp_path, SIGNER, ORIGIN).open()
    assert again.prove(1, encode_entry("threat", T, {"meeting": "m1"})).verify(SIGNER.vkey)
    again.close()


def test_growth_is_proved(tmp_path: Path) -> None:
    log = filled(tmp_path, 5)
    before = Checkpoint.parse(open_note(log.checkpoint(), SIGNER.vkey))
    log.append_all([encode_entry("hold", T, {}) for _ in range(8)])
    after = Checkpoint.parse(open_note(log.checkpoint(), SIGNER.vkey))
    proof = log.consistency(before.size)
    assert verify_consistency(before.size, after.size, before.root, after.root, proof)
    assert log.root_at(5) == before.root
    log.close()
    with pytest.raises(Exception, match="closed"):
        log.consistency(5)


@pytest.mark.parametrize("entries", [1, 511, 600])
def test_a_long_log_is_opened_by_its_state_and_still_sees_every_change(
    tmp_path: Path, entries: int
) -> None:
    log = filled(tmp_path, entries)
    log.checkpoint()
    log.append("hold", T)
    log.close()
    again = CustodyLog(tmp_path, SIGNER, ORIGIN).open()
    assert (again.size, again.rolled_back_from) == (entries + 1, None)
    again.append("hold", T)
    again.checkpoint()
    again.close()
    assert verify_log(tmp_path, SIGNER.vkey).size == entries + 2
    (tmp_path / "log.tree").unlink()
    (tmp_path / "log.state").write_text("nothing\n")
    CustodyLog(tmp_path, SIGNER, ORIGIN).open().close()
    path = tmp_path / "log.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"m0"', b'"mX"'))
    with pytest.raises(LogTampered):
        CustodyLog(tmp_path, SIGNER, ORIGIN).open()


def test_an_older_log_put_back_is_noticed_by_the_state(tmp_path: Path) -> None:
    log = filled(tmp_path, 4)
    log.checkpoint()
    older = {n: (tmp_path / n).read_bytes() for n in ("log.jsonl", "checkpoint")}
    log.append("hold", T)
    log.checkpoint()
    log.close()
    for name, data in older.items():
        (tmp_path / name).write_bytes(data)
    again = CustodyLog(tmp_path, SIGNER, ORIGIN).open()
    assert (again.size, again.rolled_back_from) == (4, 5)
    again.close()


def test_a_receipt_holds_offline_and_says_what_was_certified(tmp_path: Path) -> None:
    facts, proven = verify_receipt(a_receipt(tmp_path), SIGNER.vkey)
    assert facts == FACTS
    assert proven.entry["kind"] == "erased"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_character_of_a_receipt_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = _RECEIPT.setdefault("text", "") or a_receipt(tmp_path_factory.mktemp("log"))
    _RECEIPT["text"] = file
    place = data.draw(st.integers(0, len(file) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != file[place]))
    with pytest.raises(ProofInvalid):
        verify_receipt(file[:place] + other + file[place + 1 :], SIGNER.vkey)


_RECEIPT: dict[str, str] = {}


def test_a_proof_of_something_else_makes_no_receipt(tmp_path: Path) -> None:
    log = filled(tmp_path)
    certificate = certify(SIGNER, FACTS)
    leaf = encode_entry("threat", T, {"meeting": "m3"})
    forged = receipt_file(certificate, log.prove(3, leaf))
    log.close()
    unsigned = forged.replace(certificate.note, SIGNER.sign("x\n"))
    for bad in ("", "x", forged, unsigned, certificate.note):
        with pytest.raises(ProofInvalid):
            verify_receipt(bad, SIGNER.vkey)


def test_witnesses_are_named_with_their_time(tmp_path: Path) -> None:
    log = filled(tmp_path)
    proof = log.prove(2, encode_entry("threat", T, {"meeting": "m2"}))
    log.close()
    other = SiteSigner.generate("other.example/w")
    text = open_note(proof.checkpoint, SIGNER.vkey)
    signed = proof.checkpoint + cosign(other, text, T)
    cosigned = TlogProof(proof.index, proof.path, signed, proof.leaf)
    found = TlogProof.parse(cosigned.text()).verify(SIGNER.vkey, [cosigner_vkey(other)])
    assert [(c.name, c.time) for c in found.cosigned] == [("other.example/w", T)]
    assert cosigned.verify(SIGNER.vkey).cosigned == ()
    stranger = SiteSigner.generate("other.example/w")
    with pytest.raises(ProofInvalid, match=r"not cosigned by other\.example/w$"):
        cosigned.verify(SIGNER.vkey, [cosigner_vkey(other), cosigner_vkey(stranger)])
    late = cosign(other, text + "x\n", T)
    wrong = TlogProof(proof.index, proof.path, proof.checkpoint + late, proof.leaf)
    with pytest.raises(LogTampered):
        wrong.verify(SIGNER.vkey, [cosigner_vkey(other)])
    with pytest.raises(LogTampered):
        cosigned.verify(SIGNER.vkey, [SIGNER.vkey])


def test_the_commands_prove_and_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, key = tmp_path / "custody", tmp_path / "site.vkey"
    receipt = tmp_path / "r.receipt"
    receipt.write_text(a_receipt(folder))
    key.write_text(SIGNER.vkey + "\n")
    assert main(["prove", str(folder), "9"]) == 0
    proof = tmp_path / "9.tlog-proof"
    proof.write_text(capsys.readouterr().out)
    assert main(["verify-proof", str(proof), "--vkey", str(key)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OK: entry 9 of 10 of roomwitness/test")
    assert json.loads(out.splitlines()[1])["kind"] == "erased"
    assert main(["verify-receipt", str(receipt), "--vkey", str(key)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OK: meeting m1 was erased")
    assert json.loads(out.partition("\n")[2]) == FACTS
    witness = SiteSigner.generate("other.example/w")
    keys = tmp_path / "witnesses"
    keys.write_text(cosigner_vkey(witness) + "\n")
    for command, file in (("verify-proof", proof), ("verify-receipt", receipt)):
        words = [command, str(file), "--vkey", str(key), "--witness", str(keys)]
        assert main(words) == 1
        assert "not cosigned by other.example/w" in capsys.readouterr().err
        text = open_note(TlogProof.parse(proof.read_text()).checkpoint, SIGNER.vkey)
        file.write_text(file.read_text() + cosign(witness, text, T))
        assert main(words) == 0
        capsys.readouterr()
    key.write_text(SiteSigner.generate(ORIGIN).vkey)
    for command, file in (("verify-proof", proof), ("verify-receipt", receipt)):
        assert main([command, str(file), "--vkey", str(key)]) == 1
        assert "proof_invalid" in capsys.readouterr().err
    assert main(["verify-receipt", str(folder / "log.jsonl"), "--vkey", str(key)]) == 1
    assert main(["prove", str(folder), "10"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e30=\nindex 00\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e30=\nindex x\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e30=\nplace 0\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e3\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e31=\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\nAAAA\n\nx",
        "c2sp.org/tlog-proof@v2\nextra e30=\nindex 0\n\nx",
    ],
)
def test_a_proof_has_one_form(text: str) -> None:
    with pytest.raises(ProofInvalid):
        TlogProof.parse(text)
