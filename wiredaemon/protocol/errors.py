"""The two ways in which the protocol is broken: by us, or by the peer."""

from __future__ import annotations

from wiredaemon.wire.values import UnencodableError


class LocalProtocolError(Exception):
    """A caller asked for something that the protocol does not allow; nothing was changed."""


class RemoteProtocolError(Exception):
    """The peer broke the protocol. A connection never raises it, but returns it in an event."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        """Keep the description of the mistake.

        Args:
            message: A text for the peer; the exact one where the specification has one.
            malformed: Mercurial had no answer for it (its HTTP server failed with status 500), or
                a limit was crossed. Over HTTP it is answered with status 400, not 200.
        """
        super().__init__(message)
        self.message = message
        self.malformed = malformed

    def __eq__(self, other: object) -> bool:
        """Compare by content, so that events compare as values."""
        if not isinstance(other, RemoteProtocolError):
            return NotImplemented
        return (self.message, self.malformed) == (other.message, other.malformed)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((self.message, self.malformed))

    def __repr__(self) -> str:
        """Show the content."""
        return f"RemoteProtocolError({self.message!r}, malformed={self.malformed})"


class MisplacedError(UnencodableError):
    """A value cannot be sent where it stands in its response; the peer may read why."""
