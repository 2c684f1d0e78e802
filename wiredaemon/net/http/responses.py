"""Fixed HTTP responses: values that several resources return.

Source: http, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.net.hosting.access import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.net.hosting.access import Denial

TEXT_PLAIN: Final = (b"Content-Type", b"text/plain")
_LONGEST_PHRASE: Final = 200
"""Bytes of a reason phrase made of a text: a line of a terminal, or two."""
_METHODS: Final = frozenset(
    {
        *(b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS"),
        *(b"PATCH", b"TRACE", b"CONNECT"),
    }
)
"""The methods of RFC 9110 and RFC 5789."""
_OK, _BAD, _MISSING, _FAILED, _UNAVAILABLE = 200, 400, 404, 500, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete response; the writer adds its length and the headers about the connection."""

    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (TEXT_PLAIN,)
    body: bytes = b""
    login_helps: bool = field(default=False, compare=False)
    """It refuses what some users may do: where logins are known, it asks for one."""


def text(status: int, reason: bytes, body: bytes) -> HttpResponse:
    """Return a response of plain text."""
    return HttpResponse(status=status, reason=reason, body=body)


def printable(content: bytes) -> bytes:
    """Return text for a reason phrase: question marks for all that is not printable ASCII."""
    return bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in content)  # noqa: PLR2004 ASCII


def bad_request(fault: str) -> HttpResponse:
    """Return the response to malformed input, where Mercurial had an HTTP 500 or none.

    It names the fault (docs/decisions.md).
    """
    return text(_BAD, b"Bad Request", fault.encode("utf-8", "replace") + b"\n")


def protocol_error(message: str) -> HttpResponse:
    """Return the response to an error whose text the specification prescribes.

    Source: http, section 6.1.
    """
    return text(_OK, b"OK", message.encode("utf-8", "replace") + b"\n")


def no_such_method(name: bytes) -> HttpResponse:
    """Return hgweb's response to a path that is none of its pages."""
    # The name comes from the client and goes into the reason phrase: no line may end in it.
    shown = printable(name)
    return text(_BAD, b"no such method: " + shown, b"no such method: " + shown + b"\n")


def not_allowed(method: bytes, allowed: Sequence[bytes]) -> HttpResponse:
    """Return the response to a method that a path does not know, or nobody.

    Args:
        method: The method.
        allowed: Those that the path knows.
    """
    known = method in _METHODS
    names = b", ".join(allowed)
    return HttpResponse(
        status=405 if known else 501,
        reason=b"Method Not Allowed" if known else b"Not Implemented",
        headers=(TEXT_PLAIN, (b"Allow", names)),
        body=b"the methods here are %s\n" % names,
    )


def not_found() -> HttpResponse:
    """Return the response for a path without a repository."""
    return text(_MISSING, b"Not Found", b"no repository is served at this path\n")


def failed(reason: bytes) -> HttpResponse:
    """Return the response for what has failed and would fail again."""
    return _said(_FAILED, reason, b"Internal Server Error")


def unavailable(reason: bytes = UNAVAILABLE, retry: int | None = None) -> HttpResponse:
    """Return the response for what cannot be done now, and may be later.

    Args:
        reason: The text to show; its first line is the reason phrase too.
        retry: Seconds after which it may succeed, where that is known.
    """
    answer = _said(_UNAVAILABLE, reason, b"Service Unavailable")
    if retry is None:
        return answer
    return replace(answer, headers=(*answer.headers, (b"Retry-After", b"%d" % retry)))


def _said(status: int, reason: bytes, phrase: bytes) -> HttpResponse:
    """Return a response of which Mercurial's clients show the reason phrase, and no body."""
    first = reason.strip().partition(b"\n")[0][:_LONGEST_PHRASE]
    return text(status, printable(first) or phrase, reason + b"\n")


def busy(shown: str, retry: int) -> HttpResponse:
    """Return the response to a request that may succeed in ``retry`` seconds."""
    headers = (TEXT_PLAIN, (b"Retry-After", b"%d" % retry))
    body = shown.encode("utf-8", "replace") + b"\n"
    return HttpResponse(
        status=_UNAVAILABLE, reason=b"Service Unavailable", headers=headers, body=body
    )


def denied(denial: Denial) -> HttpResponse:
    """Return the response to a failed authorization; Mercurial's clients show its reason phrase."""
    return HttpResponse(
        status=denial.status,
        reason=denial.message,
        # No Content-Type, in this response and the next, as the transcripts have it (http, section
        # 5).
        headers=(),
        body=b"permission denied",
        login_helps=denial.login_helps,
    )


def denied_version1(denial: Denial) -> HttpResponse:
    """Return the response to a command of version 1, whose client shows reason phrase and body."""
    return HttpResponse(
        status=denial.status,
        reason=denial.message,
        headers=(),
        body=b"0\n%s\n" % denial.message,
        login_helps=denial.login_helps,
    )


def denied_page(denial: Denial) -> HttpResponse:
    """Return the response to a page that may not be shown."""
    return HttpResponse(
        status=denial.status,
        reason=denial.message,
        body=denial.message + b"\n",
        login_helps=denial.login_helps,
    )
