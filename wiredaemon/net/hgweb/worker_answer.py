"""The head of a worker's answer over HTTP: checked, held, or replaced by a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wiredaemon.net.http.responses import HttpResponse

_UNAUTHORIZED: Final = 401


class ImproperAnswerError(ServerError):
    """A worker has given what is no answer: an extension of Mercurial may do so."""


class RefusedWriteError(Exception):
    """Mercurial has refused a write that was found only inside of a request."""

    def __init__(self, response: HttpResponse) -> None:
        """Hold the response that says so."""
        super().__init__(response.reason)
        self.response = response


def check_refusal(head: dict[bytes, Any], refusal: Callable[[], HttpResponse | None]) -> None:
    """Check that Mercurial has not refused a write.

    Args:
        head: The head of the worker's answer.
        refusal: Returns the response to a write without the right to it, or None where there is
            the right. Nearly all requests need none.

    Raises:
        RefusedWriteError: It has: a command inside of a batch writes, or a page of an extension.
    """
    response = refusal() if head[b"status"] == _UNAUTHORIZED else None
    if response is not None:
        raise RefusedWriteError(response)


class HeldAnswer:
    """The head of an answer, and what has come of its body."""

    __slots__ = ("headers", "pieces", "reason", "size", "status")

    def __init__(self, status: int, reason: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.pieces: list[bytes] = []
        self.size = 0


def announced_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the length that a response announces, in bytes; None if it announces none.

    Raises:
        ImproperAnswerError: It announces several lengths, or one that is no number.
    """
    announced = [value for name, value in headers if name.lower() == b"content-length"]
    if not announced:
        return None
    if len(announced) > 1 or not announced[0].isdigit():
        raise ImproperAnswerError("the answer has no proper Content-Length")
    return int(announced[0])
