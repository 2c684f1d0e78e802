"""What can go wrong between a call and its command's answer.

A command's own failure is a `CommandError` or a `ServerError` (``wiredaemon.commands``), as it is
for the command itself; everything here is about the way to it and back.
"""

from __future__ import annotations


class ClientError(Exception):
    """The call got no answer of a command; the text says why."""


class UrlError(ClientError):
    """The URL names no server that a client can connect to."""


class ConnectError(ClientError):
    """No connection to the server came about."""


class UntrustedError(ConnectError):
    """The server's certificate is not vouched for, or belongs to another host."""


class ConnectionLostError(ClientError):
    """The connection ended before the answer was complete."""


class SilentError(ClientError):
    """The server said nothing for too long."""


class BrokenProtocolError(ClientError):
    """The server says what the protocol has no place for, or says so of us."""


class NotOfferedError(ClientError):
    """The server does not serve what was asked for: no API, or not the dialect."""


class HttpAnswerError(ClientError):
    """The server answered with HTTP alone, not with frames."""

    def __init__(self, status: int, reason: bytes, content: bytes) -> None:
        """Keep the answer.

        Args:
            status: Of HTTP; 200 for the texts that Mercurial sends with it.
            reason: The phrase behind it.
            content: The beginning of the body.
        """
        self.status = status
        self.reason = reason
        self.content = content
        answer = f"HTTP {status} {reason.decode('utf-8', 'replace')}".rstrip()
        text = content.decode("utf-8", "replace").strip()
        super().__init__(f"{answer}: {text}" if text else answer)
