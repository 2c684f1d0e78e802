"""Errors of a call on its way to the command and back.

A command's own failure is a `CommandError` or a `ServerError` (``wiredaemon.commands``), the same
classes that the command raises.
"""

from __future__ import annotations

from typing import Final, Self

PASSED: Final = "the deadline of the call has passed"
"""The text of each `DeadlineError`."""
CLOSED: Final = "the connection was closed"
"""The text of the error of a call whose connection was closed by its owner."""


class ClientError(Exception):
    """The call got no response of a command; the text says why."""


class UrlError(ClientError):
    """The URL names no server that a client can connect to."""


class ConnectError(ClientError):
    """The connection to the server could not be made."""


class UntrustedError(ConnectError):
    """The server's certificate is not trusted, or belongs to another host."""


class ConnectionLostError(ClientError):
    """The connection ended before the response was complete."""


class ConnectionClosedError(ConnectionLostError):
    """The server closed the connection in an orderly way."""


class SilentError(ClientError):
    """The server sent nothing for too long."""

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """Return the error of so many seconds of silence."""
        return cls(f"the server was silent for {seconds:g} s")


def as_lost(error: ClientError) -> ClientError:
    """Return the error of a connection that was in use: failed TLS is a lost connection then."""
    if isinstance(error, ConnectError):
        return ConnectionLostError(f"the connection was lost: {error}")
    return error


class DeadlineError(ClientError):
    """The deadline of the call has passed; the server was told to stop the command."""


class BrokenProtocolError(ClientError):
    """The server broke the protocol, or says that this client did."""


class NotOfferedError(ClientError):
    """The server does not offer what was asked for: no API, or not the dialect."""


class LoginRefusedError(ClientError):
    """The server refused the login on a raw connection."""


class HttpAnswerError(ClientError):
    """The server answered with plain HTTP instead of frames."""

    def __init__(self, status: int, reason: bytes, content: bytes) -> None:
        """Describe the response.

        Args:
            status: The HTTP status; Mercurial sends some error texts with 200.
            reason: The reason phrase.
            content: The beginning of the body.
        """
        self.status = status
        self.reason = reason
        self.content = content
        said = reason.decode("utf-8", "replace")
        # Errors of version 1 begin with a line that is "0", and some repeat the reason.
        text = " ".join(content.removeprefix(b"0\n").decode("utf-8", "replace").split())
        answer = f"HTTP {status} {said}".rstrip()
        super().__init__(f"{answer}: {text}" if text not in {"", said} else answer)

    def __reduce__(self) -> tuple[type[Self], tuple[int, bytes, bytes]]:
        """Let `pickle` make it of the arguments of its constructor, in other processes, too."""
        return type(self), (self.status, self.reason, self.content)
