"""The limits of raw connections and of their sessions, a part of `Limits`.

Source: reliability, section 3; sessions, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLimits:
    """The bounds of raw connections: counts and seconds, inclusive."""

    frame_header_seconds: float = 10.0
    """Time in which the header of a frame must be complete on a raw connection."""

    # The largest request, 4 MiB, comes at 70 KB/s.
    request_seconds: float = 60.0
    """Time in which a request, or a frame, must be complete on a raw connection."""

    # Envoy closes idle streams after it.
    raw_idle_seconds: float = 300.0
    """Time for which a raw connection stays open while nothing arrives and no command runs."""

    # One a minute is usual. CVE-2019-9512 of HTTP/2 were pings without a bound.
    session_pings: int = 10
    """Pings of a client in one second of a session."""

    # Less than the 100 s and more after which firewalls forget idle connections.
    session_ping_seconds: float = 60.0
    """Time after which the client of a session, of which nothing came, is sent a ping."""

    # Three retransmissions of TCP, and some.
    session_pong_seconds: float = 20.0
    """Time in which anything must come after such a ping."""
