"""Certificates of a timestamp in the order that DER asks for (X.690, 11.6).

OpenSSL's ``ts`` and authorities built on it write them in any order, which ``rfc3161-client``
refuses. No signature covers their order, and no length changes with it.
"""

from collections.abc import Iterator

_CERTIFICATES = 0xA0


def _parts(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each value: its tag, where it begins, where its content begins, where it ends.

    Raises:
        ValueError: it is not DER of definite length.
    """
    while start < end:
        if start + 2 > end:
            raise ValueError("cut short")
        tag, length, at = data[start], data[start + 1], start + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count]), at + count
        if length == 0x80 or at + length > end:
            raise ValueError("cut short")
        yield tag, start, at, at + length
        start = at + length


def _child(data: bytes, span: tuple[int, int], number: int) -> tuple[int, int]:
    _, _, start, end = list(_parts(data, *span))[number]
    return start, end


def sorted_certificates(response: bytes) -> bytes:
    """The response (RFC 3161, 2.4.2) with its SignedData's certificates in order.

    Raises:
        ValueError: it has not this form.
    """
    try:
        span = _child(response, (0, len(response)), 0)  # TimeStampResp
        for step in (1, 1, 0):  # timeStampToken, its content, SignedData
            span = _child(response, span, step)
        found = [p for p in _parts(response, *span) if p[0] == _CERTIFICATES]
        _, _, start, end = found[0]
    except IndexError:
        raise ValueError("not a timestamp with certificates") from None
    whole = sorted(response[b:e] for _, b, _, e in _parts(response, start, end))
    return response[:start] + b"".join(whole) + response[end:]
