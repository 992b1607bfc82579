"""A witness never signs two histories, whatever it is sent, and answers as tlog-witness says."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.custody import LogTampered, ProofInvalid, SiteSigner
from roomwitness.custody.cosignature import cosignatures, cosigner_of, cosigner_vkey
from roomwitness.custody.cosigner import Cosigner, log_key
from roomwitness.custody.merkle import consistency_proof, leaf_hash, subtrees, tree_root
from roomwitness.custody.signing import Checkpoint
from roomwitness.custody.submission import Submission, parse_size, taken_cosignature
from tests.witness_server import WitnessServer, consistent

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LOG, STRANGER = SiteSigner.generate("log.example"), SiteSigner.generate("log.example")
WITNESS = cosigner_of(SiteSigner.generate("roomwitness/w"))
VKEY = cosigner_vkey(WITNESS)
# Two histories that part after five entries.
STEM = [leaf_hash(b"%d" % n) for n in range(5)]
HISTORIES = [STEM + [leaf_hash(b"%s %d" % (word, n)) for n in range(20)] for word in (b"a", b"b")]


def head(leaves: list[bytes], size: int, origin: str = "log.example") -> str:
    return Checkpoint(origin, size, tree_root(leaves[:size])).text()


def asked(leaves: list[bytes], old: int, size: int, signer: SiteSigner = LOG) -> bytes:
    proof = consistency_proof(subtrees(leaves), old, size)
    return Submission(old, tuple(proof), signer.sign(head(leaves, size))).body()


@pytest.fixture
def cosigner(tmp_path: Path) -> Cosigner:
    return Cosigner(tmp_path / "w", WITNESS, [LOG.vkey])


def test_it_answers_as_the_specification_says(cosigner: Cosigner, tmp_path: Path) -> None:
    a, b = HISTORIES
    first = cosigner.add_checkpoint(asked(a, 0, 7), T)
    assert first.status == 200
    (seen,) = cosignatures(LOG.sign(head(a, 7)) + first.body, [VKEY])
    assert (seen.name, seen.time) == ("roomwitness/w/witness", T)
    assert cosigner.add_checkpoint(asked(a, 7, 12), T).status == 200
    assert cosigner.add_checkpoint(asked(a, 12, 12), T).status == 200
    behind = cosigner.add_checkpoint(asked(a, 0, 14), T)
    assert (behind.status, behind.body, behind.content_type) == (409, "12\n", "text/x.tlog.size")
    assert parse_size(behind.body.encode()) == 12
    assert cosigner.add_checkpoint(asked(b, 12, 12), T).status == 409
    assert cosigner.add_checkpoint(asked(b, 12, 14), T).status == 422
    assert cosigner.add_checkpoint(asked(a, 13, 12), T).status == 400
    assert cosigner.add_checkpoint(asked(a, 12, 14, STRANGER), T).status == 403
    other = Submission(0, (), LOG.sign(head(a, 3, "else.example"))).body()
    assert cosigner.add_checkpoint(other, T).status == 404
    short = LOG.sign(f"log.example\n14\n{base64.b64encode(b'short').decode()}\n")
    assert cosigner.add_checkpoint(Submission(12, (), short).body(), T).status == 400
    nonsense = LOG.sign("log.example\n014\nx\n")
    assert cosigner.add_checkpoint(Submission(12, (), nonsense).body(), T).status == 400
    again = Cosigner(tmp_path / "w", WITNESS, [LOG.vkey])  # After a restart.
    assert again.add_checkpoint(asked(a, 12, 14), T).status == 200


def test_what_it_cannot_keep_or_read_it_does_not_sign(cosigner: Cosigner, tmp_path: Path) -> None:
    a, _ = HISTORIES
    assert cosigner.add_checkpoint(asked(a, 0, 3), T).status == 200
    (path,) = (tmp_path / "w").iterdir()
    path.write_bytes(b"\xff")
    with pytest.raises(OSError, match="cannot be read"):
        cosigner.add_checkpoint(asked(a, 0, 3), T)
    path.unlink()
    with pytest.raises(OSError, match="taken away"):
        cosigner.add_checkpoint(asked(HISTORIES[1], 0, 7), T)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        Cosigner(tmp_path / "file", WITNESS, [LOG.vkey]).add_checkpoint(asked(a, 0, 3), T)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 25), st.integers(0, 25), st.booleans()),
        max_size=25,
    )
)
def test_no_order_of_requests_gets_two_histories_signed(
    requests: list[tuple[int, int, int, bool]],
) -> None:
    with TemporaryDirectory() as folder:
        signed: list[tuple[int, bytes]] = []
        cosigner = Cosigner(Path(folder), WITNESS, [LOG.vkey])
        for which, old, size, restart in requests:
            if restart:
                cosigner = Cosigner(Path(folder), WITNESS, [LOG.vkey])
            leaves = HISTORIES[which]
            # As an attacker would: from wherever it says that it is.
            if old > 0 and signed and restart:
                old = signed[-1][0]
            answer = cosigner.add_checkpoint(asked(leaves, old, size), T)
            if answer.status == 200:
                assert not signed or signed[-1][0] <= size
                signed.append((size, tree_root(leaves[:size])))
        histories = [[tree_root(leaves[:size]) for size, _ in signed] for leaves in HISTORIES]
        assert [root for _, root in signed] in histories


@settings(max_examples=300)
@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_a_request_that_is_read_writes_back(body: bytes) -> None:
    try:
        found = Submission.parse(body)
    except ProofInvalid:
        return
    assert found.body() == body


@settings(max_examples=200)
@given(st.data())
def test_a_changed_request_is_refused_or_the_same(data: st.DataObject) -> None:
    whole = bytearray(asked(HISTORIES[0], 3, 9))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with TemporaryDirectory() as folder:
        cosigner = Cosigner(Path(folder), WITNESS, [LOG.vkey])
        assert cosigner.add_checkpoint(asked(HISTORIES[0], 0, 3), T).status == 200
        assert cosigner.add_checkpoint(bytes(whole), T).status != 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1",
        b"old 01\n\nx",
        b"old -1\n\nx",
        b"new 1\n\nx",
        b"old 1\nAA==\n\nx",
        b"old 1\n" + b"A" * 43 + b"=\n" * 64 + b"\n\nx",
        b"old 1\n" + (base64.b64encode(bytes(32)) + b"\n") * 64 + b"\nx",
        b"old 1\n\xff\n\nx",
    ],
)
def test_nonsense_is_400(cosigner: Cosigner, body: bytes) -> None:
    assert cosigner.add_checkpoint(body, T).status == 400


@given(st.integers(1, 25), st.data())
def test_the_tests_own_witness_takes_our_proofs_and_no_others(
    size: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, size))
    a, b = HISTORIES
    proof = consistency_proof(subtrees(a), old, size)
    heads = tree_root(a[:old]), tree_root(a[:size])
    assert consistent(old, size, *heads, proof)
    assert not consistent(old, size, *heads, [*proof, bytes(32)])
    if old > 5:
        assert not consistent(old, size, tree_root(b[:old]), heads[1], proof)


def test_an_answer_is_taken_only_with_this_witnesss_cosignature(cosigner: Cosigner) -> None:
    note = LOG.sign(head(HISTORIES[0], 4))
    line = cosigner.add_checkpoint(asked(HISTORIES[0], 0, 4), T).body
    other = cosigner_of(SiteSigner.generate("roomwitness/o"))
    stranger = Cosigner(cosigner._folder / "o", other, [LOG.vkey])
    theirs = stranger.add_checkpoint(asked(HISTORIES[0], 0, 4), T).body
    assert taken_cosignature(note, (theirs + line).encode(), VKEY) == line
    for answer in (b"", theirs.encode(), b"\xff", b"a b c\n", line[:-9].encode(), b"- x\n"):
        with pytest.raises(ProofInvalid):
            taken_cosignature(note, answer, VKEY)
    with pytest.raises(ProofInvalid):
        taken_cosignature(LOG.sign(head(HISTORIES[0], 5)), line.encode(), VKEY)
    for size in (b"", b"12", b"x\n", b"-1\n", b"9" * 30 + b"\n"):
        with pytest.raises(ProofInvalid):
            parse_size(size)


def test_keys_are_of_the_right_kind() -> None:
    assert log_key(f" {LOG.vkey}\n") == ("log.example", LOG.vkey)
    with pytest.raises(LogTampered):
        log_key(VKEY)
    assert WitnessServer().vkey.startswith("witness.example/w1+")
