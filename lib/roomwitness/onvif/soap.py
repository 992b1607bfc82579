"""SOAP as ONVIF speaks it (ONVIF Core, 5.3 and 5.9), with WS-Security's UsernameToken.

Answers are read by local names, whatever their version of SOAP and whatever HTTP calls them.
"""

import base64
import hashlib
from datetime import datetime
from typing import Literal
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from . import xml
from .errors import OnvifAuthFailed, OnvifError, OnvifFault

type Version = Literal["1.1", "1.2"]

_ENVELOPES = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_SECURITY = """<w:Security xmlns:w="{wss}-wssecurity-secext-1.0.xsd" s:mustUnderstand="1">\
<w:UsernameToken><w:Username>{username}</w:Username>\
<w:Password Type="{wss}-username-token-profile-1.0#PasswordDigest">{digest}</w:Password>\
<w:Nonce EncodingType="{wss}-soap-message-security-1.0#Base64Binary">{nonce}</w:Nonce>\
<u:Created xmlns:u="{wss}-wssecurity-utility-1.0.xsd">{created}</u:Created>\
</w:UsernameToken></w:Security>"""
_AUTH_CODES = {"notauthorized", "sendernotauthorized", "failedauthentication", "failedcheck"}


def envelope(body: str, header: str = "", version: Version = "1.2") -> bytes:
    """A request; ``tt`` (ONVIF's schema) and ``a`` (WS-Addressing) are declared for both parts."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_ENVELOPES[version]}"'
        ' xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"<s:Header>{header}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def token(username: str, password: str, at: datetime, nonce: bytes) -> str:
    """A header that proves the password without sending it (UsernameToken Profile 1.1, 3.1).

    ``at`` is UTC by the device's clock: it refuses tokens that seem old.
    """
    created = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    plain = nonce + created.encode() + password.encode()
    digest = hashlib.sha1(plain, usedforsecurity=False).digest()  # The profile knows no other.
    return _SECURITY.format(
        wss=_WSS,
        username=escape(username),
        digest=base64.b64encode(digest).decode(),
        nonce=base64.b64encode(nonce).decode(),
        created=created,
    )


def read(data: bytes) -> Element:
    """The first element of an answer's body.

    Raises:
        OnvifAuthFailed: the device wants other credentials.
        OnvifFault: it refuses.
        OnvifError: this is no SOAP.
    """
    try:
        body = xml.find(xml.read(data), "Body")
    except xml.BadXml:
        raise OnvifError("no SOAP") from None
    if body is None:
        raise OnvifError("no SOAP")
    fault = xml.find(body, "Fault")
    if fault is not None:
        codes = _codes(fault)
        raise OnvifAuthFailed if codes & _AUTH_CODES else OnvifFault(codes)
    answer = next(iter(body), None)
    if answer is None:
        raise OnvifError("empty")
    return answer


def _codes(fault: Element) -> set[str]:
    """SOAP 1.2 has codes in ``Value``, 1.1 in ``faultcode``; some cameras have only a text."""
    codes = {
        (element.text or "").strip().rpartition(":")[2].lower()
        for name in ("Value", "faultcode")
        for element in xml.every(fault, name)
    }
    reason = f"{xml.text(fault, 'Text')} {xml.text(fault, 'faultstring')}".lower()
    if "not authorized" in reason or "unauthorized" in reason:
        codes.add("notauthorized")
    return codes
