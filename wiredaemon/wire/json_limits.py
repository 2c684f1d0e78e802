"""The limits of calls with JSON, a part of `Limits`.

Source: docs/json.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from wiredaemon.wire.raw_limits import RawLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLimits(RawLimits):
    """The bounds of calls with JSON: bytes and seconds, inclusive."""

    # Measured: to parse so much takes 10 ms. Whoever has more sends it as command data.
    json_request: int = 1024 * 1024
    """Arguments of a call as JSON, which are held whole."""

    # Strings of 32 bytes fill a body with so many. Measured: 25 ms until the command runs.
    json_elements: int = 32_768
    """Values in the arguments of a call as JSON, keys and what is inside of others included."""

    # As much as the largest request. Whoever wants more asks for lines or events.
    json_document: int = 4 * 1024 * 1024
    """Answer as one JSON document, or one object of a stream, which is held whole."""

    # HTML's own advice; proxies close connections after 60 s without a byte.
    event_keep_alive_seconds: float = 15.0
    """Time in which an event stream has no event before a comment is sent; 0 sends none."""
