"""Request heads that two readers of HTTP may understand differently: they are refused.

A proxy in front that sees another length than we do lets one client put a request in front of
another client's. Twisted refuses most such heads itself; here are those that it reads.

Source: RFC 9112, sections 2.2, 3.2, 5.2 and 6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_END: Final = "lines of a request end in CR and LF"
FOLDED: Final = "a header may not go on in the next line"
ENCODED: Final = "the only Transfer-Encoding is chunked, in HTTP/1.1"

ASCII: Final = "the target of a request is ASCII: percent-encode all else"

_ENCODING: Final = b"transfer-encoding"


def fault_of_line(line: bytes, version: bytes) -> str | None:
    """Return why a line of a head is refused, or None.

    Args:
        line: The line without its end; empty behind the last header.
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


def refuse_head(transport: Any, fault: str) -> None:  # noqa: ANN401 several interfaces of Twisted
    """Answer a head that names no certain request, and close: what follows cannot be read."""
    refuse_connection(transport, b"400 Bad Request", fault + "\n")
    transport.loseConnection()


def refuse_connection(
    transport: Any,  # noqa: ANN401 the same
    status: bytes,
    shown: str,
    retry: int | None = None,
) -> None:
    """Write a response to no certain request; the caller closes.

    Args:
        transport: The transport of the connection.
        status: Status code and reason phrase.
        shown: The body, in ASCII.
        retry: Seconds after which the client may come again.
    """
    body = shown.encode("ascii")
    lines = [
        b"HTTP/1.1 " + status,
        b"Content-Type: text/plain",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    if retry is not None:
        lines.append(b"Retry-After: %d" % retry)
    transport.write(b"\r\n".join([*lines, b"", body]))
