"""What a client may be told before it connects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wiredaemon.wire.dialects import Dialect

CLOSE_SECONDS: Final = 5.0
"""How long a closing connection may take: over TLS the server has to take leave as well."""

_LARGE_ANSWERS: Final = Limits(cbor_elements=16_000_000)
"""Who asks wants the answer: a client bounds the size of an object rather than its elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How to connect, and what the server may make us hold."""

    dialect: Dialect | None = None
    """The framing to speak; None for the server's best over HTTP, and for 0006 over raw TCP."""
    content_encodings: Sequence[bytes] = ()
    """Profiles to offer for responses, the most preferred first; for 0006."""
    authorities: Path | None = None
    """PEM file of the certificates to trust; None for those of the system."""
    trusts_anybody: bool = False
    """The server's certificate and name are not verified."""
    connect_seconds: float = 30.0
    """For each of: name and TCP connection, TLS handshake, capabilities."""
    silent_seconds: float | None = None
    """How long an unanswered call may go without a byte in or out; None for ever."""
    limits: Limits = _LARGE_ANSWERS
    """Frames, depth and elements of objects."""
    largest_object: int = 256 * 1024 * 1024
    """Bytes of one object of a response."""
    untaken_bytes: int = 64 * 1024 * 1024
    """What is held of responses that are not taken, while others on the same connection are."""


DEFAULT_OPTIONS: Final = ClientOptions()
