"""Heads and bodies that a proxy may read differently: each is refused with all behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.web import FakeHost, Web, posted, requests

from wiredaemon.commands import Command, Permission, RawBytes
from wiredaemon.net.http.strict_heads import ASCII, ENCODED, FOLDED, LINE_END, fault_of_line

if TYPE_CHECKING:
    from collections.abc import Mapping

ERA: Final = "0003"
HIDDEN: Final = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
_POST: Final = b"POST /?cmd=x HTTP/1.1\r\nHost: x\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_LENGTH: Final = b"Content-Length: 5\r\n"
_BODY: Final = b"\r\n0\r\n\r\n"

HEADS: Final[Mapping[str, bytes]] = {
    "two encodings": _POST + _CHUNKED + _CHUNKED + _BODY,
    "identity and chunked": _POST + b"Transfer-Encoding: identity\r\n" + _CHUNKED + _BODY,
    "identity and a length": _POST + b"Transfer-Encoding: identity\r\n" + _LENGTH + _BODY,
    "identity": _POST + b"Transfer-Encoding: identity\r\n" + _BODY,
    "a list of encodings": _POST + b"Transfer-Encoding: gzip, chunked\r\n" + _BODY,
    "a length, then an encoding": _POST + _LENGTH + _CHUNKED + _BODY,
    "an encoding, then a length": _POST + _CHUNKED + _LENGTH + _BODY,
    "an encoding in HTTP/1.0": b"POST /?cmd=x HTTP/1.0\r\n" + _CHUNKED + _BODY,
    "a space before the colon": _POST + b"Transfer-Encoding : chunked\r\n" + _BODY,
    "two lengths": _POST + _LENGTH + _LENGTH + _BODY,
    "a list of lengths": _POST + b"Content-Length: 5, 5\r\n" + _BODY,
    "a length with a sign": _POST + b"Content-Length: +5\r\n" + _BODY,
    "a folded header": _POST + b"X-A: b\r\n c\r\n\r\n",
    "a folded encoding": _POST + b"Transfer-Encoding:\r\n chunked\r\n" + _BODY,
    "a folded first header": b"GET / HTTP/1.1\r\n\tX-A: b\r\n\r\n",
    "all lines end in LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "the last line ends in LF": b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    "LF in a value": _POST + b"X-A: b\nX-C: d\r\n\r\n",
    "LF in front of a name": _POST + b"\nX-A: b\r\n\r\n",
    "LF in the request line": b"GET /\na HTTP/1.1\r\nHost: x\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "the same host twice": b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    "no host in HTTP/1.1": b"GET / HTTP/1.1\r\n\r\n",
    "CR in a value": _POST + b"X-A: b\rX-C: d\r\n\r\n",
}

BODIES: Final[Mapping[str, bytes]] = {
    "a chunk extension that is too long": b"1;" + b"a" * 5000 + b"\r\nx\r\n0\r\n\r\n",
    "LF in a chunk extension": b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "a negative chunk": b"-1\r\nx\r\n0\r\n\r\n",
    "a chunk in Python's notation": b"0x1\r\nx\r\n0\r\n\r\n",
    "a chunk with an underscore": b"0_1\r\nx\r\n0\r\n\r\n",
    "a chunk longer than it says": b"1\r\nxy\r\n0\r\n\r\n",
}


def plain(_: Any) -> RawBytes:
    return RawBytes(b"plain")


@pytest.fixture
def web() -> Web:
    command = Command(name="plain", permission=Permission.RO, function=plain)
    return Web(ERA, host=FakeHost([command]))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_of_two_meanings_is_refused_and_ends_the_connection(web: Web, head: bytes) -> None:
    connection = web.connect()
    answer = connection.exchange(head + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert connection.is_closed


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_it_is_refused_however_it_is_cut(web: Web, head: bytes) -> None:
    connection = web.connect()
    for byte in range(len(head)):
        if not connection.is_closed:
            connection.send(head[byte : byte + 1])
    assert connection.take().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert connection.is_closed


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_chunked_body_of_two_meanings_is_refused(web: Web, body: bytes) -> None:
    head, _, _ = posted(ERA, "plain", requests(ERA, b"plain")).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    chunked = b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""])
    connection = web.connect()
    answer = connection.exchange(chunked + body + HIDDEN)
    assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert connection.is_closed


def test_the_refusal_says_what_is_wrong(web: Web) -> None:
    answer = web.connect().exchange(HEADS["a folded header"])
    assert answer.endswith(b"\r\nConnection: close\r\n\r\n" + FOLDED.encode() + b"\n")


@pytest.mark.parametrize(
    ("line", "version", "fault"),
    [
        (b"Transfer-Encoding: chunked", b"HTTP/1.1", None),
        (b"transfer-encoding:\tChunked ", b"HTTP/1.1", None),
        (b"Transfer-Encoding: chunked", b"HTTP/1.0", ENCODED),
        (b"Transfer-Encoding: ", b"HTTP/1.1", ENCODED),
        (b"Host: x", b"HTTP/1.1", None),
        (b"", b"HTTP/1.1", None),
        (b"GET / HTTP/1.1", b"", None),
        (b"GET /?name=\xc3\xa9 HTTP/1.1", b"", ASCII),
        (b"X-Name: \xc3\xa9", b"HTTP/1.1", None),
        (b" x", b"HTTP/1.1", FOLDED),
        (b"\tx", b"HTTP/1.1", FOLDED),
        (b"Host: x\r", b"HTTP/1.1", LINE_END),
    ],
)
def test_a_line_has_at_most_one_fault(line: bytes, version: bytes, fault: str | None) -> None:
    assert fault_of_line(line, version) == fault
