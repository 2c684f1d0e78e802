"""Sends the frames of a session that clients and servers have in common: pings and goaways.

Source: sessions, sections 2.2 and 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import LocalProtocolError

if TYPE_CHECKING:
    from wiredaemon.protocol.session import Session


class SessionOutput:
    """Base of both halves of a connection; the subclass sets the session."""

    __slots__ = ()
    _session: Session | None
    """None where there is no session, and none was offered or asked for."""

    def send_ping(self, payload: bytes) -> None:
        """Ask the peer for a pong with the same payload of at most 64 bytes.

        Raises:
            LocalProtocolError: There is no session, or the payload is too long.
        """
        self._running_session("a ping").send_ping(payload)

    def send_go_away(self, reason: bytes) -> None:
        """Tell the peer that this side leaves: it sends no further request, or answers none.

        Args:
            reason: A text for people, of which 1024 bytes are sent at most.

        Raises:
            LocalProtocolError: There is no session.
        """
        self._running_session("a goaway").send_go_away(reason)

    def _running_session(self, subject: str) -> Session:
        session = self._session
        if session is None or not session.is_running:
            message = f"{subject} needs a session, and the connection has none"
            raise LocalProtocolError(message)
        return session
