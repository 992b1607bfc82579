"""Basic and Digest: by the examples of their RFCs, and as an independent client answers."""

import base64
import hashlib
import re
import string
from collections.abc import Iterable
from itertools import product

import pytest
from aiohttp import DigestAuthMiddleware
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from roomwitness.auth import Authorizer, choose

# RFC 7616, 3.9.1; 3.9.2 as corrected by erratum 4897; RFC 2617, 3.5.
MUFASA = ("Mufasa", "Circle of Life")
HTTP_AUTH = (
    'realm="http-auth@example.org", qop="auth, auth-int",'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
HTTP_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
JASON = ("Jäsøn Doe", "Secret, or not?")
API = (
    'realm="api@example.org", qop="auth", algorithm=SHA-512-256,'
    ' nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",'
    ' opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8'
)
API_CNONCE = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
API_RESPONSE = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def authorizer(headers: Iterable[str], name: str, word: str) -> Authorizer:
    challenge = choose(list(headers))
    assert challenge is not None
    return Authorizer(challenge, name, word)


def fields(header: str) -> dict[str, str]:
    """As a server reads what we send."""
    assert header.startswith("Digest ")
    pairs = re.findall(r'([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))(?:, |$)', header[7:])
    return {name: re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in pairs}


@pytest.mark.parametrize(
    ("challenge", "who", "cnonce", "uri", "response"),
    [
        (
            'Digest realm="testrealm@host.com", qop="auth,auth-int",'
            ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
            ' opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            ("Mufasa", "Circle Of Life"),
            "0a4f113b",
            "/dir/index.html",
            "6629fae49393a05397450978507c4ef1",
        ),
        (
            f"Digest {HTTP_AUTH}, algorithm=MD5",
            MUFASA,
            HTTP_CNONCE,
            "/dir/index.html",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            f"Digest {HTTP_AUTH}, algorithm=SHA-256",
            MUFASA,
            HTTP_CNONCE,
            "/dir/index.html",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (f"Digest {API}", JASON, API_CNONCE, "/doe.json", API_RESPONSE),
        (f"Digest {API}, userhash=true", JASON, API_CNONCE, "/doe.json", API_RESPONSE),
    ],
    ids=["RFC 2617", "MD5", "SHA-256", "SHA-512-256", "userhash"],
)
def test_examples_of_the_rfcs(
    challenge: str,
    who: tuple[str, str],
    cnonce: str,
    uri: str,
    response: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _n: cnonce)
    found = fields(authorizer([challenge], *who).header("GET", uri))
    assert found["response"] == response
    assert (found["cnonce"], found["nc"], found["qop"]) == (cnonce, "00000001", "auth")
    assert f'opaque="{found["opaque"]}"' in challenge
    if "userhash" in challenge:
        digest = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        assert (found["username"], found["userhash"]) == (digest, "true")
    elif "charset" in challenge:
        assert found["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20Doe"
    else:
        assert found["username"] == who[0]


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [
        *product(("MD5", "SHA-256"), ("", "auth", "auth-int")),
        *product(("MD5-sess", "SHA-256-sess"), ("auth", "auth-int")),
    ],
)
async def test_the_same_answer_as_an_independent_client(
    algorithm: str, qop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, word, realm = 'stäff "a\\', 'p:w"\\ ö', 'a "realm"'
    other = DigestAuthMiddleware(name, word)
    other._challenge = {"realm": realm, "nonce": "n", "algorithm": algorithm, "qop": qop}
    theirs = fields(await other._encode("DESCRIBE", URL("/live?x=1"), b""))
    monkeypatch.setattr("secrets.token_hex", lambda _n: theirs.get("cnonce", "c"))
    header = f'Digest realm="a \\"realm\\"", nonce="n", algorithm={algorithm}'
    header += f', qop="{qop}"' if qop else ""
    ours = fields(authorizer([header], name, word).header("DESCRIBE", "/live?x=1"))
    ours.setdefault("algorithm", "MD5")
    assert ours == theirs


def test_a_session_key_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7616, 3.4.2: by the nonces of the first request, whatever nonce comes next."""
    monkeypatch.setattr("secrets.token_hex", lambda _n: "mine")
    ours = authorizer(['Digest realm="r", nonce="one", qop="auth", algorithm=MD5-sess'], "u", "p")
    assert fields(ours.header("DESCRIBE", "x"))["nc"] == "00000001"
    assert fields(ours.header("DESCRIBE", "x"))["nc"] == "00000002"
    ours.informed('qop=auth, nextnonce="t\\wo", nc=00000002')
    found = fields(ours.header("PLAY", "x"))
    assert (found["nonce"], found["nc"], ours.nonce) == ("two", "00000001", "two")

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = h(f"{h('u:r:p')}:one:mine")
    assert found["response"] == h(f"{secret}:two:00000001:mine:auth:{h('PLAY:x')}")
    ours.informed('rspauth="0", nextnonce=""')
    assert ours.nonce == "two"
    without = authorizer(['Digest realm="r", nonce="one", algorithm=md5-SESS'], "u", "p")
    found = fields(without.header("PLAY", "x"))
    assert (found["cnonce"], found["algorithm"]) == ("mine", "MD5-sess")
    assert found["response"] == h(f"{secret}:one:{h('PLAY:x')}")


@pytest.mark.parametrize(
    ("headers", "algorithm"),
    [
        (['Basic realm="x"', 'Digest realm="x", nonce="n"'], "MD5"),
        (['Digest realm="x", nonce="n", algorithm=MD5, Basic realm="x"'], "MD5"),
        (['Basic realm="x, Digest y", Digest realm="x", nonce="n",algorithm="SHA-256"'], "SHA-256"),
        (
            [
                'Digest realm="x", nonce="m", Digest realm="x", nonce="n", algorithm=SHA-512-256',
                'Digest realm="x", nonce="n", algorithm=SHA-256-sess',
            ],
            "SHA-512-256",
        ),
        (['Bearer realm="x"', 'Digest realm="x", nonce="n", algorithm=SHA-1', "Basic"], "basic"),
        (["digest realm=x,nonce=n,qop=auth,auth-int"], "MD5"),
        (['Digest realm="x", nonce="n", stale=, algorithm=""'], "MD5"),
    ],
)
def test_the_strongest_of_several_challenges(headers: list[str], algorithm: str) -> None:
    challenge = choose(headers)
    assert challenge is not None
    assert challenge.algorithm == algorithm
    if algorithm != "basic":
        assert challenge.nonce == "n"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer x",
        "",
        'Digest realm="r"',
        'Digest realm="r", nonce=""',
        'Digest realm="r", nonce="n", algorithm=SHA-1',
        'Digest realm="r", nonce="n", qop="token"',
    ],
)
def test_challenges_that_we_cannot_answer(header: str) -> None:
    assert choose([header]) is None


def test_old_digest_and_basic() -> None:
    old = choose(['Digest realm="r", nonce="n", stale=TRUE'])
    assert old is not None
    assert old.stale
    found = fields(Authorizer(old, "u", "p").header("DESCRIBE", "rtsp://x/"))
    assert found.keys() == {"username", "realm", "nonce", "uri", "response"}
    basic = authorizer(['Basic realm="r", charset="UTF-8"'], "test", "123£")
    assert basic.header("GET", "/") == "Basic dGVzdDoxMjPCow=="  # RFC 7617, 2.1.
    basic.informed('nextnonce="n"')
    assert basic.header("GET", "/") == "Basic dGVzdDoxMjPCow=="


credentials = st.text(st.characters(codec="utf-8"), max_size=30)


@given(credentials, credentials, st.booleans())
def test_any_name_and_password_can_be_sent(name: str, word: str, utf8: bool) -> None:
    header = 'Digest realm="r", nonce="n"' + (", charset=UTF-8" if utf8 else "")
    sent = authorizer([header], name, word).header("DESCRIBE", "rtsp://x/")
    assert sent.isprintable(), "nothing that ends the line"
    assert "username" in fields(sent) or "username*" in fields(sent)
    if not utf8 and name.isprintable():
        assert fields(sent)["username"] == name
    basic = authorizer(['Basic realm="r"'], name, word).header("GET", "/")
    assert base64.b64decode(basic.removeprefix("Basic ")) == f"{name}:{word}".encode()


headers = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(
            [*'",=\\ ', "Digest ", "Basic ", "nonce", "realm", "algorithm=", "MD5", "-sess", "qop"]
        )
        | st.text(string.printable, max_size=5),
        max_size=40,
    ).map("".join),
)


@given(st.lists(headers, max_size=3), headers)
def test_no_header_breaks_it(found: list[str], info: str) -> None:
    challenge = choose(found)
    if challenge is not None:
        ours = Authorizer(challenge, "u", "p")
        ours.informed(info)
        assert ours.header("DESCRIBE", "rtsp://x/")
