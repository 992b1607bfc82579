"""Bech32 (BIP 173), without its length limit, as age uses it."""

from collections.abc import Callable, Iterable

from roomwitness.vault.errors import IdentityInvalid

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regroup(data: Iterable[int], source: int, target: int, *, pad: bool) -> list[int]:
    bits, held, out = 0, 0, []
    for value in data:
        held = held << source | value
        bits += source
        while bits >= target:
            bits -= target
            out.append(held >> bits & (1 << target) - 1)
    rest = held & (1 << bits) - 1
    if pad:
        if bits:
            out.append(rest << target - bits)
    elif bits >= source or rest:
        raise ValueError("bad padding")
    return out


def encode(prefix: str, data: bytes) -> str:
    """Encode in lower case."""
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(_ALPHABET[v] for v in values)


def decode(text: str) -> tuple[str, bytes]:
    """Give prefix (lower case) and data.

    Raises:
        ValueError: mixed case, unknown character, wrong checksum or padding.
    """
    if text != text.lower() and text != text.upper():
        raise ValueError("mixed case")
    prefix, separator, tail = text.lower().rpartition("1")
    if not separator or not prefix or len(tail) < 6:
        raise ValueError("too short")
    values = [_ALPHABET.index(c) for c in tail]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("wrong checksum")
    return prefix, bytes(_regroup(values[:-6], 5, 8, pad=False))


def decode_key(text: str, prefix: str, size: int, *, upper: bool) -> bytes:
    """The ``size`` bytes of an age key of this prefix.

    Raises:
        IdentityInvalid: it is not one.
    """
    text = text.strip()
    try:
        found, data = decode(text)
    except ValueError:
        raise IdentityInvalid("not an age key") from None
    if found != prefix or len(data) != size or text != (text.upper() if upper else text.lower()):
        raise IdentityInvalid("not an age key")
    return data


def decode_public(text: str, prefix: str, size: int, read: Callable[[bytes], object]) -> bytes:
    """As ``decode_key``, of a public key; ``read`` raises ``ValueError`` at bytes that are none.

    Raises:
        IdentityInvalid: it is not one.
    """
    data = decode_key(text, prefix, size, upper=False)
    try:
        read(data)
    except ValueError:
        raise IdentityInvalid("not an age key") from None
    return data
