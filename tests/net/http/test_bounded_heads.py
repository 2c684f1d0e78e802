from __future__ import annotations

from typing import Any, Final

import pytest
from support.logs import observed, texts_of
from support.web import FakeHost, Web

from wiredaemon.commands import Command, Permission, RawBytes
from wiredaemon.wire.limits import Limits

ERA: Final = "0003"
LIMITS: Final = Limits(head=20_000, version1_head=60_000)


def plain(_: Any) -> RawBytes:
    return RawBytes(b"plain")


def answer(head: bytes) -> tuple[bytes, bytes, bool]:
    """Return the status line, the body, and whether the connection was closed."""
    command = Command(name="plain", permission=Permission.RO, function=plain)
    connection = Web(ERA, host=FakeHost([command]), limits=LIMITS).connect()
    sent = connection.exchange(head)
    line, _, rest = sent.partition(b"\r\n")
    return line, rest.partition(b"\r\n\r\n")[2], connection.is_closed


def head(target: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % target, b"Host: x", *lines, b"", b""])


def line(size: int) -> bytes:
    return b"X-HgArg-1: " + b"a" * (size - 11)


@pytest.mark.parametrize(
    ("target", "most", "name"),
    [(b"/nothing", 20_000, b"head"), (b"/?cmd=nothing", 60_000, b"version1_head")],
)
def test_a_line_may_be_as_long_as_a_head_and_no_longer(
    target: bytes, most: int, name: bytes
) -> None:
    used = len(b"GET %s HTTP/1.1" % target) + len(b"Host: x")
    passed, _, _ = answer(head(target, line(most - used)))
    assert b" 431 " not in passed
    text = b"the head of the request exceeds the limit of %d bytes (%s)\n" % (most, name)
    refused = (b"HTTP/1.1 431 Request Header Fields Too Large", text, True)
    # In one line, in several, and in one that has no end.
    assert answer(head(target, line(most - used + 1))) == refused
    assert answer(head(target, *[line(1000)] * (most // 1000))) == refused
    assert answer(head(target, line(most + 100))[:-4]) == refused


def test_a_request_line_is_bounded_as_well() -> None:
    line, body, closed = answer(head(b"/" + b"a" * 20_000))
    assert (line, closed) == (b"HTTP/1.1 431 Request Header Fields Too Large", True)
    assert b"20000 bytes (head)" in body


def test_header_fields_are_counted() -> None:
    fields = [b"A: b"] * 499
    assert b" 431 " not in answer(head(b"/nothing", *fields))[0]
    line, body, closed = answer(head(b"/nothing", *fields, b"A: b"))
    assert (line, closed) == (b"HTTP/1.1 431 Request Header Fields Too Large", True)
    assert body == b"the head of the request exceeds the limit of 500 header fields\n"


def test_hits_are_counted() -> None:
    with observed("wiredaemon") as events:
        answer(head(b"/nothing", line(30_000)))
    assert any("limit head (20000) was hit" in text for text in texts_of(events))
