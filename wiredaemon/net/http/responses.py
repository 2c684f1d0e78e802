"""Fixed HTTP responses as values, and those that several resources give.

Source: http, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.net.hosting.access import UNAVAILABLE

if TYPE_CHECKING:
    from wiredaemon.net.hosting.access import Denial

TEXT_PLAIN: Final = (b"Content-Type", b"text/plain")
_OK, _BAD, _MISSING, _UNAVAILABLE = 200, 400, 404, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A fixed response."""

    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (TEXT_PLAIN,)
    body: bytes = b""


def text(status: int, reason: bytes, body: bytes) -> HttpResponse:
    """Give an answer of plain text."""
    return HttpResponse(status=status, reason=reason, body=body)


def bad_request(fault: str) -> HttpResponse:
    """Give the answer to what Mercurial had none for."""
    return text(_BAD, b"Bad Request", fault.encode("utf-8", "replace") + b"\n")


def protocol_error(message: str) -> HttpResponse:
    """Give the answer to an error that the specification words (http, section 6.1)."""
    return text(_OK, b"OK", message.encode("utf-8", "replace") + b"\n")


def no_such_method(name: bytes) -> HttpResponse:
    """Give hgweb's answer to a path that is none of its pages."""
    printable = bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in name)  # noqa: PLR2004 ASCII
    return text(_BAD, b"no such method: " + printable, b"no such method: " + printable + b"\n")


def not_found() -> HttpResponse:
    """Give the answer to a path where no repository is."""
    return text(_MISSING, b"Not Found", b"no repository is served at this path\n")


def unavailable() -> HttpResponse:
    """Give the answer for a repository that cannot be read; the log says why."""
    return text(_UNAVAILABLE, b"Service Unavailable", UNAVAILABLE + b"\n")


def denied(denial: Denial) -> HttpResponse:
    """Give the answer of failed authorization: the reason phrase says it all."""
    return HttpResponse(
        status=denial.status, reason=denial.message, headers=(), body=b"permission denied"
    )
