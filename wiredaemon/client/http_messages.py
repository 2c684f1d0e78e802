"""HTTP/1.1 messages as a client writes and reads them: heads and bodies, without I/O.

Responses are read by llhttp, which is strict about all that requests and responses are told apart
by. Requests are few fixed lines, and written here.

Source: RFC 9112, sections 2 to 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_CHUNK: Final = b"0\r\n\r\n"
"""The end of a body in chunks."""
_LARGEST_HEAD: Final = 65536
"""The most bytes of a response's head, with those of the interim responses in front of it, and of
what is after its last chunk."""
_FIRST: Final = 100
"""The lowest status. Source: RFC 9110, section 15."""
_FIRST_FINAL: Final = 200
"""The lowest status of a response that no other one follows."""


class HttpMessageError(Exception):
    """The bytes are no response, or the head of a request cannot be written."""


class RequestHead(NamedTuple):
    """The head of a request."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def encode(self) -> bytes:
        """Return its bytes.

        Raises:
            HttpMessageError: There is an end of line in a part of it, or a NUL.
        """
        lines = [b"%s %s HTTP/1.1\r\n" % (self.method, self.target)]
        lines += [b"%s: %s\r\n" % header for header in self.headers]
        lines.append(b"\r\n")
        content = b"".join(lines)
        # What a header's value might smuggle in would be a line more.
        ends = len(lines)
        if content.count(b"\n") != ends or content.count(b"\r") != ends or b"\0" in content:
            raise HttpMessageError("a header has the end of a line in it, or a NUL")
        return content


class Head(NamedTuple):
    """The head of a response."""

    status: int
    reason: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """The names are in lower case."""

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header, whose name is in lower case; empty without one."""
        return next((value for key, value in self.headers if key == name), b"")


class End(NamedTuple):
    """The end of a response."""

    keeps_connection: bool
    """The connection may be used for the next exchange."""


Event = Head | bytes | End
"""A part of a response; bytes are a piece of its body."""


def chunk(data: bytes) -> bytes:
    """Return a piece of a body as a chunk; nothing for no data, because that would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class ResponseReader:
    """Reads the responses of one connection.

    It is the protocol of llhttp's parser, which calls the methods that begin with ``on_``.
    """

    def __init__(self) -> None:
        """Begin in front of a response."""
        self._parser = httptools.HttpResponseParser(self)
        self._events: list[Event] = []
        self._body: list[bytes] = []
        """Pieces of the body in the bytes that are read: one event for all of them."""
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._is_framed = False
        """The head tells where the body ends."""
        self._has_head = False
        self._has_ended = False
        self.has_surplus = False
        """After the end of a response came something that nobody has asked for."""
        self.error: HttpMessageError | None = None
        """Why nothing more is read: what followed was no response."""

    def begin(self) -> None:
        """Expect one more response, because one more request is sent."""
        self._has_ended = False
        self._head_size = 0

    @property
    def ends_with_connection(self) -> bool:
        """The body goes on until the connection ends."""
        return self._has_head and not self._is_framed

    def receive_data(self, data: bytes) -> list[Event]:
        """Return what is in further bytes; afterwards there may be an `error`."""
        if self.error is not None:
            return []
        try:
            self._parser.feed_data(data)
            # Bytes that complete nothing: a header, for instance, has no end of its own.
            if not (self._events or self._body):
                self._count(len(data))
        except httptools.HttpParserCallbackError as error:
            raised = error.__context__
            if raised is not None and not isinstance(raised, Exception):
                raise raised from None  # Ctrl-C, for instance
            self.error = HttpMessageError(str(raised))
        except httptools.HttpParserUpgrade:
            self.error = HttpMessageError("the server wants to speak something else")
        except httptools.HttpParserError as error:
            self.error = HttpMessageError(str(error))
        self._end_body()
        events, self._events = self._events, []
        return events

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _LARGEST_HEAD:
            raise httptools.HttpParserError(f"a head of more than {_LARGEST_HEAD} bytes")

    def _end_body(self) -> None:
        if self._body:
            pieces, self._body = self._body, []
            self._events.append(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    # --- called by the parser ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin with a response."""
        self.has_surplus = self.has_surplus or self._has_ended
        self._reason, self._headers = b"", []
        self._has_head = self._is_framed = False

    def on_status(self, reason: bytes) -> None:
        """Note the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, or a field after the last chunk."""
        self._count(len(name) + len(value))
        name = name.lower()
        if name == b"content-length" or (
            name == b"transfer-encoding" and b"chunked" in value.lower()
        ):
            self._is_framed = True
        if not self._has_head:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Give the head, unless another one follows, as after "100 Continue"."""
        status = self._parser.get_status_code()
        if status < _FIRST:
            raise HttpMessageError(f"a status of {status}")
        if status >= _FIRST_FINAL:
            self._has_head, self._head_size = True, 0
            self._events.append(Head(status, self._reason, self._headers))

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(data)
        self._head_size = 0

    def on_message_complete(self) -> None:
        """Give the end."""
        if self._has_head:
            self._has_ended = True
            self._end_body()
            self._events.append(End(keeps_connection=self._parser.should_keep_alive()))
