"""Errors as JSON: every refusal of a call, whoever words it, leaves as a problem document.

Source: RFC 9457, section 3.
"""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.net.hosting.access import UNAVAILABLE
from wiredaemon.net.http.responses import HttpResponse, busy, text
from wiredaemon.wire.json_values import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBLEM: Final = b"application/problem+json"
PLAIN_HEADERS: Final = (
    # An answer depends on who asks, and on the moment.
    (b"Cache-Control", b"no-store"),
    # A page that includes an answer as a script or a style gets nothing.
    (b"X-Content-Type-Options", b"nosniff"),
)
"""Headers of everything that is served below ``json``."""
_ERRORS: Final = 400
_LONGEST: Final = 1000
"""Characters of a text: names and values that a client has sent may be in it."""
RETRY: Final = 1
"""Seconds after which a thread or a worker may be free."""
_BUSY: Final = re.compile(r"\((?:blocking_waiting|worker_queue)\)$")
_LATE: Final = re.compile(r"the deadline of \d+ ms has passed")
_COMMAND: Final = b"command"
# Those of RFC 9110: Python before 3.13 has others, and answers are to be the same everywhere.
_RENAMED: Final[Mapping[int, str]] = {413: "Content Too Large", 422: "Unprocessable Content"}


def as_problem(response: HttpResponse) -> HttpResponse:
    """Return a response to be sent for one that was worded as text: errors as problem documents."""
    if response.status < _ERRORS:
        return response
    kept = [header for header in response.headers if header[0] != b"Content-Type"]
    return replace(
        response,
        reason=_phrase(response.status).encode("ascii"),
        headers=((b"Content-Type", PROBLEM), *PLAIN_HEADERS, *kept),
        body=write_json(members(response)) + b"\n",
    )


def members(response: HttpResponse) -> dict[str, Any]:
    """Return the members of the problem document for a response that was worded as text."""
    detail = response.body.decode("utf-8", "replace").strip()
    return {
        "title": _phrase(response.status),
        "status": response.status,
        "detail": detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}...",
    }


def _phrase(status: int) -> str:
    return _RENAMED.get(status) or HTTPStatus(status).phrase


def wrong_request(fault: str) -> HttpResponse:
    """Return the response to a call whose arguments, query or headers are wrong."""
    return text(400, b"Bad Request", fault.encode("utf-8", "replace"))


def unknown(fault: bytes) -> HttpResponse:
    """Return the response to a path that is no command's."""
    return text(404, b"Not Found", fault)


def wrong_method(allowed: Sequence[bytes]) -> HttpResponse:
    """Return the response to a method that a path does not know."""
    response = text(405, b"Method Not Allowed", b"the methods here are " + b", ".join(allowed))
    return replace(response, headers=(*response.headers, *methods_here(allowed).headers))


def methods_here(allowed: Sequence[bytes]) -> HttpResponse:
    """Return the response to OPTIONS, which names the methods of a path and itself."""
    names = b", ".join((b"OPTIONS", *allowed))
    return HttpResponse(status=204, reason=b"No Content", headers=((b"Allow", names),))


def not_acceptable(offered: Sequence[bytes]) -> HttpResponse:
    """Return the response to a client that accepts none of the media types."""
    body = b"answers are " + b", ".join(offered)
    return text(406, b"Not Acceptable", body)


def too_much(fault: str) -> HttpResponse:
    """Return the response to a call whose result is too much for the form that it is asked in."""
    return text(406, b"Not Acceptable", fault.encode("utf-8", "replace"))


def wrong_media_type(fault: bytes, wanted: bytes) -> HttpResponse:
    """Return the response to a body of another media type than the command takes."""
    response = text(415, b"Unsupported Media Type", fault)
    return replace(response, headers=(*response.headers, (b"Accept-Post", wanted)))


def failure_of(kind: bytes, message: bytes) -> HttpResponse:
    """Return the response to a call that the server has answered with an error.

    Args:
        kind: The kind of the error as frames have it: ``command``, or any other.
        message: Its text, formatted.
    """
    shown = message.decode("utf-8", "replace")
    if _BUSY.search(shown) or message == UNAVAILABLE:
        return busy(shown, RETRY)
    if kind != _COMMAND:
        return text(500, b"Internal Server Error", message)
    if _LATE.fullmatch(shown):
        return text(504, b"Gateway Timeout", message)
    return text(422, b"Unprocessable Content", message)
