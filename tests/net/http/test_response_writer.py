"""Responses by themselves: how their bodies end, what is held, and when they are paused."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, Final

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.http.response_writer import ResponseWriter
from wiredaemon.net.http.responses import HttpResponse, text
from wiredaemon.wire.limits import Limits

STAMP: Final = re.compile(rb"Server: [^\r]+\r\nDate: [^\r]+\r\n")
MEDIA: Final = b"application/x"
FRAMES: Final = [(b"12345678", b"one"), (b"abcdefgh", b"")]


class Channel:
    """A connection that collects."""

    def __init__(self, *, persistent: bool) -> None:
        self.transport = StringTransport()
        self.persistent = persistent
        self.producers: list[object] = []
        self.is_lost = False
        self.is_reset = False
        self.written = 0
        self.is_last_request = False
        self.rest = b""
        self.requests: list[object] = []
        self.site = SimpleNamespace(guard=ConnectionGuard(Clock(), Limits()))

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: FBT001 Twisted's
        assert streaming
        self.producers.append(producer)

    def unregisterProducer(self) -> None:
        self.producers.append(None)

    def loseConnection(self) -> None:
        self.is_lost = True

    def abort(self) -> None:
        self.is_reset = True

    def take(self) -> bytes:
        """What was written, without the first two headers of each head."""
        written: bytes = self.transport.value()
        self.transport.clear()
        return STAMP.sub(b"", written)


def begun(
    method: bytes = b"POST", version: bytes = b"HTTP/1.1", *, persistent: bool = True
) -> tuple[Channel, ResponseWriter]:
    channel = Channel(persistent=persistent)
    return channel, ResponseWriter(channel, method, version)


def test_each_frame_is_a_chunk() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.begin_frames(MEDIA, producer, FRAMES[:1])
    writer.write_frames(FRAMES[1:])
    writer.finish()
    assert channel.take() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"b\r\n12345678one\r\n8\r\nabcdefgh\r\n0\r\n\r\n"
    )
    assert channel.producers == [producer, None]
    assert writer.sent == 19


@pytest.mark.parametrize(
    ("version", "persistent"), [(b"HTTP/1.0", False), (b"HTTP/1.0", True), (b"HTTP/1.1", False)]
)
def test_where_chunks_are_unknown_or_needless_the_connection_ends_the_frames(
    version: bytes, *, persistent: bool
) -> None:
    channel, writer = begun(version=version, persistent=persistent)
    producer: Any = object()
    writer.begin_frames(MEDIA, producer, FRAMES[:1])
    writer.write_frames(FRAMES[1:])
    writer.finish()
    assert channel.take() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x\r\nConnection: close\r\n\r\n"
        b"12345678oneabcdefgh"
    )
    assert not channel.persistent


def test_what_is_held_leaves_in_one_write_and_needs_no_producer() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.hold()
    writer.begin_frames(MEDIA, producer, FRAMES[:1])
    writer.write_frames(FRAMES[1:])
    assert channel.take() == b""
    writer.finish()
    assert channel.take().endswith(b"abcdefgh\r\n0\r\n\r\n")
    assert channel.producers == []


def test_a_response_that_goes_on_gets_its_producer_before_what_was_held_is_written() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.hold()
    writer.begin_stream(200, b"OK", [], producer)
    writer.write_body(b"part")
    writer.release()
    assert channel.take().endswith(b"4\r\npart\r\n")
    assert channel.producers == [producer]
    writer.write_body(b"more")
    assert channel.take() == b"4\r\nmore\r\n"


def test_no_more_is_held_than_a_transport_would_buffer() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.hold()
    writer.begin_stream(200, b"OK", [], producer)
    writer.write_body(bytes(65000))
    assert channel.take() == b""
    writer.write_body(bytes(500) + b"+")
    assert channel.take().endswith(b"+\r\n")
    assert channel.producers == [producer]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_a_response_without_a_body_has_none_whatever_is_written(method: bytes, status: int) -> None:
    channel, writer = begun(method)
    producer: Any = object()
    writer.begin_stream(status, b"Reason", [], producer)
    writer.write_body(b"body")
    writer.finish()
    assert channel.take() == b"HTTP/1.1 %d Reason\r\n\r\n" % status


def test_a_fixed_response_says_where_it_closes_and_head_leaves_its_body_out() -> None:
    response = text(404, b"Not Found", b"nothing\n")
    channel, writer = begun()
    writer.write_fixed(response, closes=False)
    headers = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"
    assert channel.take() == headers + b"\r\nnothing\n"
    assert (writer.status, writer.sent, writer.is_begun) == (404, 8, True)
    channel, writer = begun(b"HEAD")
    writer.write_fixed(response, closes=True)
    assert channel.take() == headers + b"Connection: close\r\n\r\n"
    assert not channel.persistent
    channel, writer = begun()
    writer.write_fixed(HttpResponse(status=204, reason=b"No Content", headers=()), closes=False)
    assert channel.take() == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_a_response_that_is_broken_off_has_no_end() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.hold()
    writer.begin_stream(200, b"OK", [], producer)
    writer.write_body(b"part")
    writer.break_off()
    assert channel.take().endswith(b"4\r\npart\r\n")
    assert channel.is_lost
    assert channel.producers == []


@pytest.mark.parametrize(("version", "persistent"), [(b"HTTP/1.0", True), (b"HTTP/1.1", False)])
@pytest.mark.parametrize("is_framed", [False, True])
def test_a_response_that_ends_with_its_connection_is_reset_where_it_is_broken_off(
    version: bytes,
    persistent: bool,  # noqa: FBT001 a parameter of pytest
    is_framed: bool,  # noqa: FBT001 the same
) -> None:
    channel, writer = begun(version=version, persistent=persistent)
    producer: Any = object()
    if is_framed:
        writer.begin_frames(MEDIA, producer, FRAMES)
    else:
        writer.begin_stream(200, b"OK", [], producer)
    writer.break_off()
    assert channel.is_reset
    assert not channel.is_lost
    assert channel.producers == [producer, None]


def test_a_response_whose_length_is_known_needs_no_reset() -> None:
    channel, writer = begun(version=b"HTTP/1.0")
    producer: Any = object()
    writer.begin_stream(200, b"OK", [(b"Content-Length", b"9")], producer)
    writer.write_body(b"part")
    writer.break_off()
    assert channel.is_lost
    assert not channel.is_reset


def test_the_end_of_a_body_is_marked_once() -> None:
    channel, writer = begun()
    producer: Any = object()
    writer.begin_stream(200, b"OK", [], producer)
    writer.end_body()
    writer.finish()
    assert channel.take().endswith(b"\r\n\r\n0\r\n\r\n")
    assert channel.take().count(b"0\r\n\r\n") == 0
