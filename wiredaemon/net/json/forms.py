"""The forms of an answer: one document, a line for each object, or an event for each.

A line is an object with one key, so that a result is never taken for anything else; an event has
a name in its place, as server-sent events of HTML have it.

Source: docs/json.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from wiredaemon.wire.json_values import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT: Final = b"application/json"
LINES: Final = b"application/x-ndjson"
EVENTS: Final = b"text/event-stream"
OFFERED: Final = (DOCUMENT, LINES, EVENTS)
"""The media types of answers, the preferred one first."""
LAST_ID: Final = b"end"
"""The id of the last event: a browser that reconnects sends it, and is told to stop."""


class StreamForm(Protocol):
    """Writes the parts of an answer that goes out as it comes."""

    keep_alive: bytes
    """Says nothing, and keeps the connection open; empty where the form has no such thing."""

    def result(self, shown: object, number: int) -> bytes:
        """Return an object of the answer, the first one with the number 1."""

    def note(self, kind: str, shown: object) -> bytes:
        """Return what is told beside the answer: ``text`` or ``progress``."""

    def end(self, kind: str, shown: object) -> bytes:
        """Return the last part: ``end`` or ``error``."""


class Lines:
    """A line for each part."""

    keep_alive = b""

    def result(self, shown: object, number: int) -> bytes:  # noqa: ARG002 lines have no numbers
        """Return a line with a result."""
        return self.note("result", shown)

    def note(self, kind: str, shown: object) -> bytes:
        """Return a line with something else."""
        return write_json({kind: shown}) + b"\n"

    end = note


class Events:
    """A server-sent event for each part; results have no name, so that ``onmessage`` gets them."""

    keep_alive = b":\n\n"

    def result(self, shown: object, number: int) -> bytes:
        """Return an event with a result."""
        return b"id: %d\ndata: %s\n\n" % (number, write_json(shown))

    def note(self, kind: str, shown: object) -> bytes:
        """Return an event with something else."""
        return b"event: %s\ndata: %s\n\n" % (kind.encode("ascii"), write_json(shown))

    def end(self, kind: str, shown: object) -> bytes:
        """Return the last event."""
        return b"id: %s\n%s" % (LAST_ID, self.note(kind, shown))


STREAMS: Final[Mapping[bytes, StreamForm]] = {LINES: Lines(), EVENTS: Events()}
"""The forms that go out as they come, by media type."""
