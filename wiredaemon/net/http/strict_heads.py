"""Request heads that two readers of HTTP may understand differently: they are refused.

A proxy in front that sees another length than we do lets one client put a request in front of
another client's. Twisted refuses most such heads itself; here are those that it reads.

Source: RFC 9112, sections 2.2, 3.2, 5.2 and 6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.http.responses import HttpResponse

LINE_END: Final = "lines of a request end in CR and LF"
FOLDED: Final = "a header may not go on in the next line"
ENCODED: Final = "the only Transfer-Encoding is chunked, in HTTP/1.1"

ASCII: Final = "the target of a request is ASCII: percent-encode all else"

_ENCODING: Final = b"transfer-encoding"


def fault_of_line(line: bytes, version: bytes) -> str | None:
    """Return why a line of a head is refused, or None.

    Args:
        line: The line without its end; empty after the last header.
        version: The version in the request line; empty while that is read.
    """
    # Twisted cuts at CR and LF alone, so that either by itself is inside of a line here.
    if b"\n" in line or b"\r" in line:
        return LINE_END
    if not (version or line.isascii()):
        return ASCII
    if line[:1] in {b" ", b"\t"}:
        return FOLDED
    name, _, value = line.partition(b":")
    if name.lower() != _ENCODING:
        return None
    return None if value.strip().lower() == b"chunked" and version == b"HTTP/1.1" else ENCODED


def fault_of_hosts(hosts: Sequence[bytes], version: bytes) -> str | None:
    """Return why the Host headers of a head are refused, or None.

    A proxy that chooses a server by another Host than we see lets clients past its rules.
    """
    if len(hosts) > 1:
        return "a request has one Host header, and no more"
    return "a request has a Host header" if not hosts and version == b"HTTP/1.1" else None


def write_refusal(transport: Any, response: HttpResponse) -> None:  # noqa: ANN401 several of Twisted
    """Write a response outside of any request, which says that the connection closes."""
    lines = [
        b"HTTP/1.1 %d %s" % (response.status, response.reason),
        *(b"%s: %s" % header for header in response.headers),
        b"Content-Length: %d" % len(response.body),
        b"Connection: close",
    ]
    transport.write(b"\r\n".join([*lines, b"", response.body]))
