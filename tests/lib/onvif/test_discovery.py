"""Discovery: anybody on the network answers, with anything."""

import asyncio
import contextlib
import errno
import socket
from typing import NoReturn
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.onvif import discover, parse_match, xml
from roomwitness.onvif.discovery import GROUP, PORT, Found
from tests.camera.discovery import Discovery

ADDRESS = "<d:XAddrs>http://{}/onvif/device_service</d:XAddrs>"
DOCTYPE = """<!DOCTYPE x [<!ENTITY a "{}"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>"""


def match(inner: str, wrapper: str = "ProbeMatches") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Body>'
        f"<d:{wrapper}><d:ProbeMatch>{inner}</d:ProbeMatch></d:{wrapper}></s:Body></s:Envelope>"
    ).encode()


async def test_discovery_finds_who_answers() -> None:
    responder = Discovery("Room 12", "127.0.0.1", 8080)
    await responder.start(0)
    found = await discover(0.6, [("127.0.0.1", responder.port)])
    responder.stop()
    ours = [c for c in found if c.port == 8080]
    assert [(c.host, c.name, c.hardware) for c in ours] == [("127.0.0.1", "Room 12", "Simulator")]
    assert ours[0].endpoint == str(responder.endpoint)


def test_lenient_with_real_cameras_mistakes() -> None:
    for inner, expected in (
        (ADDRESS.format("10.1.1.1:8000"), ("10.1.1.1", 8000)),
        (ADDRESS.format("0.0.0.0"), ("10.9.9.9", 80)),
        (ADDRESS.format("169.254.1.1"), ("10.9.9.9", 80)),
        (
            "<d:XAddrs>https://x/ http://10.1.1.1:99999/ http://10.2.2.2/o</d:XAddrs>",
            ("10.2.2.2", 80),
        ),
        (
            "<d:XAddrs>http://192.168.99.1/o http://10.9.9.9:81/o</d:XAddrs>",
            ("10.9.9.9", 81),
        ),
    ):
        for wrapper in ("ProbeMatches", "ProbeMatch"):
            (found,) = parse_match(match(inner, wrapper), "10.9.9.9")
            assert (found.host, found.port) == expected
    flat = match("").replace(b"<d:ProbeMatch></d:ProbeMatch>", ADDRESS.format("10.1.1.1").encode())
    assert parse_match(flat, "10.9.9.9")[0].host == "10.1.1.1"
    assert parse_match(match("<d:XAddrs>ftp://x</d:XAddrs>"), "10.9.9.9") == ()
    assert parse_match(b" " * 70000, "10.9.9.9") == ()


GOOD = match(
    ADDRESS.format("10.1.1.1")
    + "<a:Address>urn:uuid:ABCD</a:Address>"
    + "<d:Scopes>onvif://www.onvif.org/name/Front%20door</d:Scopes>"
)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,  # The prefix a: is declared nowhere.
        GOOD.replace(b"2005/04/discovery", b"2009/01"),
        b'\r\n<?xml version="1.0" encoding="UTF-8"?>' + GOOD + b"\x00\x00",
        b"\xef\xbb\xbf" + GOOD,
        GOOD + b"HTTP/1.1 200 OK",
        GOOD.replace(b"</d:Scopes>", b" onvif://x/A&B onvif://x/\xe5\x01</d:Scopes>"),
        GOOD.decode().encode("utf-16"),
        ('<?xml version="1.0" encoding="utf-16"?>' + GOOD.decode()).encode("utf-16-be"),
        b'<?xml version="1.0" encoding="iso-8859-1"?>' + GOOD.replace(b"door", b"d\xf6rr"),
    ],
)
def test_what_makes_sense_is_taken(answer: bytes) -> None:
    (found,) = parse_match(answer, "10.9.9.9")
    assert (found.endpoint, found.host) == ("abcd", "10.1.1.1")
    assert found.name.startswith("Front d")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("entity", ["x" * 4000, "http://127.0.0.1:1/x"])
def test_a_document_type_is_refused_in_every_encoding(encoding: str, entity: str) -> None:
    declared = encoding if encoding in ("utf-8", "latin-1") else "utf-16"
    body = GOOD.decode().replace("Front%20door", "&c;")
    text = f'<?xml version="1.0" encoding="{declared}"?>{DOCTYPE.format(entity)}{body}'
    assert parse_match(text.encode(encoding), "10.9.9.9") == ()
    text = text.replace("<!DOCTYPE x [", '<!DOCTYPE x SYSTEM "file:///etc/passwd" [')
    assert parse_match(text.encode(encoding), "10.9.9.9") == ()


def test_an_odd_encoding_is_no_surprise() -> None:
    for name in ("utf-7", "zip", "hex", "shift_jis", "idna", "no-such", "rot13", "cp037"):
        text = f'<?xml version="1.0" encoding="{name}"?>'.encode() + GOOD
        assert isinstance(parse_match(text, "10.9.9.9"), tuple)


def test_nobody_takes_all_the_room() -> None:
    found = Found()
    crowd = "".join(
        f"<d:ProbeMatch><Address>uuid:{n}</Address>{ADDRESS.format(f'10.1.1.{n}')}</d:ProbeMatch>"
        for n in range(200)
    )
    for sender in range(30):
        found.take(match("").replace(b"<d:ProbeMatch></d:ProbeMatch>", crowd.encode()), "10.0.0.1")
        found.take(match(ADDRESS.format(f"10.2.2.{sender}")), f"10.2.2.{sender}")
    assert len(found.cameras) == 32 + 30
    for number in range(2000):
        found.take(match(ADDRESS.format(f"10.3.3.3:{number + 1}")), f"10.3.{number}.3")
    assert len(found.cameras) == 512
    found = Found()
    for _ in range(100):
        found.take(b"nonsense", "10.0.0.1")
    found.take(GOOD, "10.0.0.1")
    assert found.cameras == ()
    wordy = GOOD.replace(b"Front%20door", b"%0a%1b" + b"x" * 5000).replace(b"ABCD", b"A" * 5000)
    (camera,) = parse_match(wordy, "10.9.9.9")
    assert (len(camera.name), len(camera.endpoint)) == (128, 128)
    assert camera.name.isprintable()


def test_xml_is_bounded_in_depth_and_number() -> None:
    with pytest.raises(xml.BadXml):
        xml.read(b"<a>" * 200 + b"</a>" * 200)
    with pytest.raises(xml.BadXml):
        xml.read(b"<a>" + b"<b/>" * 30_000 + b"</a>")
    with pytest.raises(xml.BadXml):
        xml.read(b"")
    root = xml.read(b'<a><b x:c="1"><d> e </d></b></a>')
    assert (xml.text(root, "b", "d"), xml.text(root, "b", "q", "r")) == ("e", "")
    assert [e.get("c") for e in xml.every(root, "b")] == ["1"]
    assert list(xml.every(None, "b")) == []


async def test_a_flood_of_nonsense_hides_nobody() -> None:
    class Flood(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.DatagramTransport)
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for junk in (b"\xff" * 1000, DOCTYPE.encode(), b"", GOOD[:90], b"<a>" * 9000):
                self.transport.sendto(junk, addr)
            self.transport.sendto(GOOD, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Flood, local_addr=("127.0.0.1", 0))
    found = await discover(0.3, [transport.get_extra_info("sockname")])
    transport.close()
    assert "10.1.1.1" in {camera.host for camera in found}


async def test_no_socket_left_is_nobody_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("roomwitness.onvif.discovery.socket.socket", full)
    assert await discover(0.0, [("127.0.0.1", 9)]) == ()


async def test_each_interface_is_asked_and_one_that_is_gone_is_left_out() -> None:
    asked: list[tuple[str, int]] = []

    class Group(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            asked.append(addr)

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    sock.bind(("", PORT))
    member = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Group, sock=sock)
    try:
        await discover(0.2, interfaces=["127.0.0.1", "10.10.10.10"])
    finally:
        transport.close()
    assert "127.0.0.1" in {host for host, _ in asked}


@given(st.binary(max_size=300))
def test_any_answer_is_a_camera_or_nothing(data: bytes) -> None:
    assert isinstance(parse_match(data, "10.0.0.1"), tuple)


@given(st.text(max_size=300), st.sampled_from(["utf-8", "utf-16", "utf-16-be"]), st.integers(0, 99))
def test_any_document_is_read_or_refused(inner: str, encoding: str, at: int) -> None:
    text = GOOD.decode()
    data = (text[:at] + inner + text[at:]).encode(encoding, "surrogatepass")
    assert isinstance(parse_match(data, "10.0.0.1"), tuple)
    with contextlib.suppress(xml.BadXml):
        assert isinstance(xml.read(data), Element)
