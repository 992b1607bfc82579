"""SOAP from anybody: an element, or one of our errors; and what we send is as the profile says."""

import base64
import gc
import hashlib
import weakref
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.onvif import (
    OnvifAuthFailed,
    OnvifError,
    OnvifFault,
    OnvifSource,
    OnvifUnreachable,
    soap,
    xml,
)
from roomwitness.onvif.clock import parse_time
from roomwitness.onvif.connection import Connection
from tests.peers import free_port

TAGS = ["Envelope", "Body", "Fault", "Code", "Value", "faultcode", "UTCDateTime", "Year", "Hour"]
WORDS = st.sampled_from(["", "2026", "24", "-1", "9" * 5000, "ter:NotAuthorized", "NaN", "Idle"])


def envelope(body: str) -> bytes:
    return f"<s:Envelope><s:Header/><s:Body>{body}</s:Body></s:Envelope>".encode()


@pytest.mark.parametrize(
    ("answer", "error", "codes"),
    [
        (b"", OnvifError, None),
        (b"<html><p>", OnvifError, None),
        (b"<a/>", OnvifError, None),
        (envelope(""), OnvifError, None),
        (envelope("<s:Fault><faultcode>ter:NotAuthorized</faultcode></s:Fault>"), 0, None),
        (envelope("<s:Fault><Text>Sender not authorized</Text></s:Fault>"), 0, None),
        (envelope("<s:Fault><Value>wsse:FailedAuthentication</Value></s:Fault>"), 0, None),
        (envelope("<s:Fault><Value>ter:NoProfile</Value></s:Fault>"), OnvifFault, {"noprofile"}),
        (envelope("<s:Fault/>"), OnvifFault, set()),
    ],
)
def test_refusals_are_told_apart(
    answer: bytes, error: type[OnvifError] | int, codes: set[str] | None
) -> None:
    with pytest.raises(OnvifError) as caught:
        soap.read(answer)
    assert type(caught.value) is (error or OnvifAuthFailed)
    assert getattr(caught.value, "codes", None) == codes


def test_the_first_element_of_the_body_is_the_answer() -> None:
    assert soap.read(envelope("<x:AResponse><b>1</b></x:AResponse>")).tag == "AResponse"


def test_a_token_is_the_profiles_digest_and_holds_no_password() -> None:
    nonce, at = b"0123456789abcdef", datetime(2026, 11, 25, 9, 8, 7, tzinfo=UTC)
    header = soap.token("a<b", "pass & word", at, nonce)
    told = xml.read(f"<h>{header}</h>".encode())
    created = "2026-11-25T09:08:07Z"
    digest = hashlib.sha1(nonce + created.encode() + b"pass & word").digest()
    assert xml.text(told, "Username") == "a<b"
    assert xml.text(told, "Created") == created
    assert base64.b64decode(xml.text(told, "Nonce")) == nonce
    assert base64.b64decode(xml.text(told, "Password")) == digest
    assert "pass" not in header.lower().replace("password", "")


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> str:
    tag = draw(st.sampled_from(TAGS))
    inner = draw(st.lists(trees(depth - 1), max_size=3)) if depth else []
    return f"<{tag}>{draw(WORDS)}{''.join(inner)}</{tag}>"


@given(st.one_of(st.binary(max_size=400), trees().map(str.encode)))
def test_any_answer_is_an_element_or_our_error(answer: bytes) -> None:
    for data in (answer, envelope(answer.decode(errors="replace"))):
        try:
            found = soap.read(data)
        except OnvifError:
            continue
        assert isinstance(found, Element)
        parse_time(found)


async def test_a_camera_that_does_not_answer_leaves_nothing_behind() -> None:
    """Many such cameras, asked again and again, had Home Assistant's process look for circles."""

    async def ask() -> weakref.ref[Connection]:
        device = Connection(OnvifSource("127.0.0.1", free_port(), "u", "p"))
        async with device:
            with pytest.raises(OnvifUnreachable):
                await device.services()
        return weakref.ref(device)

    gc.disable()
    try:
        assert (await ask())() is None
    finally:
        gc.enable()
