"""RFC 6962 against Certificate Transparency's published heads, and against its own definition."""

import tempfile
from hashlib import sha256
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtrees,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from roomwitness.custody.tree import TreeFile

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def test_the_published_heads() -> None:
    tree = CompactRange()
    assert tree.root() == EMPTY_ROOT == sha256(b"").digest() == tree_root([])
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf)
        assert tree.root().hex() == root


@given(leaves)
def test_growing_and_whole_trees_agree(data: list[bytes]) -> None:
    tree = CompactRange()
    for size, leaf in enumerate(data, 1):
        tree.append(leaf)
        assert tree.root() == tree_root([leaf_hash(x) for x in data[:size]])


@given(leaves, st.data())
def test_an_inclusion_proof_holds_for_its_leaf_and_place_only(
    data: list[bytes], draw: st.DataObject
) -> None:
    hashes = [leaf_hash(x) for x in data]
    index = draw.draw(st.integers(0, len(hashes) - 1))
    size = len(hashes)
    proof, root = inclusion_proof(subtrees(hashes), index, size), tree_root(hashes)
    assert verify_inclusion(hashes[index], index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"other leaf"), index, size, proof, root)
    assert not verify_inclusion(hashes[index], size, size, proof, root)
    assert not verify_inclusion(hashes[index], index, size, [*proof, root], root)
    if proof:
        assert not verify_inclusion(hashes[index], index, size, proof[:-1], root)


@given(leaves, st.data())
def test_a_consistency_proof_holds_for_its_two_trees_only(
    data: list[bytes], draw: st.DataObject
) -> None:
    hashes = [leaf_hash(x) for x in data]
    size = len(hashes)
    old = draw.draw(st.integers(0, size))
    proof = consistency_proof(subtrees(hashes), old, size)
    before, root = tree_root(hashes[:old]), tree_root(hashes)
    assert verify_consistency(old, size, before, root, proof)
    assert not verify_consistency(old, size, before, root, [*proof, root])
    assert not verify_consistency(size + 1, size, before, root, proof)
    other = leaf_hash(b"other root")
    assert not verify_consistency(old, size, other, root, proof)
    if 0 < old < size:
        assert not verify_consistency(old, size, before, other, proof)
        assert not verify_consistency(old, size, before, root, proof[:-1])
        forged = [leaf_hash(b"forged"), *hashes[1:]]
        wrong = consistency_proof(subtrees(forged), old, size)
        assert not verify_consistency(old, size, before, tree_root(forged), wrong)


def test_consistency_against_the_published_example() -> None:
    """RFC 6962 2.1.3: the proofs of its seven-leaf example, by the names that it gives nodes."""
    leaf = [leaf_hash(bytes([n])) for n in range(7)]
    of = subtrees(leaf)
    c, d, g, h = leaf[2], leaf[3], of(0, 2), of(2, 4)
    i, j, k, l_ = of(4, 6), leaf[6], of(0, 4), of(4, 7)
    assert consistency_proof(of, 3, 7) == [c, d, g, l_]
    assert consistency_proof(of, 4, 7) == [l_]
    assert consistency_proof(of, 6, 7) == [i, j, k]
    assert inclusion_proof(of, 0, 7) == [leaf[1], h, l_]
    assert inclusion_proof(of, 6, 7) == [i, k]


@given(leaves, st.data())
def test_the_file_of_hashes_gives_every_subtree(data: list[bytes], draw: st.DataObject) -> None:
    hashes = [leaf_hash(x) for x in data]
    size = len(hashes)
    with tempfile.TemporaryDirectory() as folder:
        file = TreeFile(Path(folder) / "t")
        tree = CompactRange()
        for leaf in data:
            file.write(tree.size, tree.append(leaf))
        index = draw.draw(st.integers(0, size - 1))
        old = draw.draw(st.integers(0, size))
        of = subtrees(hashes)
        assert inclusion_proof(file.subtree, index, size) == inclusion_proof(of, index, size)
        assert consistency_proof(file.subtree, old, size) == consistency_proof(of, old, size)
        assert file.edge(old).root() == file.subtree(0, old) == tree_root(hashes[:old])
        file.cut(old)
        assert file.edge(old).root() == tree_root(hashes[:old])
        file.close()
