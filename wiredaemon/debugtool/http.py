"""HTTP requests in the order of headers that Mercurial's tool has, and the heads of responses.

Source: client-tool, sections 3.3 and 3.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.bodies import ChunkedBody, FixedBody, LastBody
from wiredaemon.debugtool.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.debugtool.bodies import Body
    from wiredaemon.debugtool.wire import Wire

MOST_HEADERS: Final = 256
"""The most header lines of a response."""

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: (.*))?")
_FORM: Final = b"application/x-www-form-urlencoded"
"""The type that a body has without one of its own."""
_CONTINUE: Final = 100
_NO_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request."""

    method: bytes
    target: bytes
    """Path and query."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """Those that were asked for, with names in lower case."""
    body: bytes | None = None
    accept: bytes | None = None
    """The `accept` of requests that ask for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The head of a response, in front of its body."""

    status: int
    reason: bytes
    headers: Mapping[bytes, bytes]
    """By name in lower case; the last value of each."""
    body: Body
    closes: bool
    """No further response comes on the connection."""

    @property
    def content_type(self) -> bytes:
        """The header, exactly; empty without one."""
        return self.headers.get(b"content-type", b"")


def exchange(wire: Wire, request: Request, host: bytes, user_agent: bytes) -> Response:
    """Send a request and read the head of its response.

    Raises:
        ToolError: There is no connection, or no response of HTTP/1.
    """
    wire.send(_head(request, host, user_agent), request.body)
    status, reason, minor = _CONTINUE, b"", b""
    headers: dict[bytes, bytes] = {}
    while status == _CONTINUE:
        line = wire.read_line()
        if not line:
            raise ToolError("error: the server closed the connection")
        found = _STATUS.fullmatch(line.rstrip(b"\r\n"))
        if found is None:
            raise ToolError(f"not a response of HTTP/1: {line.decode('utf-8', 'backslashreplace')}")
        minor, status, reason = found[1], int(found[2]), found[3] or b""
        headers = _read_headers(wire)
    closes = headers.get(b"connection", b"").lower() == b"close" or minor == b"0"
    body = _body(wire, headers, is_empty=request.method == b"HEAD" or status in _NO_BODY)
    return Response(
        status=status,
        reason=reason,
        headers=headers,
        body=body,
        closes=closes or isinstance(body, LastBody),
    )


def _head(request: Request, host: bytes, user_agent: bytes) -> bytes:
    automatic: dict[bytes, bytes] = {b"host": host, b"user-agent": user_agent}
    if request.accept is not None:
        automatic[b"accept"] = request.accept
    if request.body is not None:
        automatic[b"content-length"] = b"%d" % len(request.body)
        automatic[b"content-type"] = _FORM
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    if b"accept-encoding" not in request.headers:
        lines.append(b"Accept-Encoding: identity")
    lines += [b"%b: %b" % item for item in sorted(request.headers.items())]
    lines += [
        b"%b: %b" % item for item in sorted(automatic.items()) if item[0] not in request.headers
    ]
    return b"\r\n".join([*lines, b"", b""])


def _read_headers(wire: Wire) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for _ in range(MOST_HEADERS):
        line = wire.read_line().rstrip(b"\r\n")
        if not line:
            return headers
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    raise ToolError(f"the response has more than {MOST_HEADERS} headers")


def _body(wire: Wire, headers: Mapping[bytes, bytes], *, is_empty: bool) -> Body:
    if is_empty:
        return FixedBody(wire, 0)
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return ChunkedBody(wire)
    size = headers.get(b"content-length")
    if size is None:
        return LastBody(wire)
    if not size.isdigit():
        raise ToolError(f"not a length: {size.decode('utf-8', 'backslashreplace')}")
    return FixedBody(wire, int(size))
