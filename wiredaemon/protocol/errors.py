"""The two ways in which the protocol is broken: by us, or by the peer."""

from __future__ import annotations


class LocalProtocolError(Exception):
    """The caller asked for what the protocol does not allow; nothing was changed."""


class RemoteProtocolError(Exception):
    """The peer broke the protocol. It is never raised out of a connection, but in its events."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        """Say what was wrong.

        Args:
            message: For the peer; the exact text where the specification has one.
            malformed: The original had no answer for it (its HTTP server said 500), or a limit
                was crossed; over HTTP it is a 400 and not a text with status 200.
        """
        super().__init__(message)
        self.message = message
        self.malformed = malformed

    def __eq__(self, other: object) -> bool:
        """Compare by what is said, so that events compare as values."""
        if not isinstance(other, RemoteProtocolError):
            return NotImplemented
        return (self.message, self.malformed) == (other.message, other.malformed)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((self.message, self.malformed))

    def __repr__(self) -> str:
        """Show what is compared."""
        return f"RemoteProtocolError({self.message!r}, malformed={self.malformed})"
