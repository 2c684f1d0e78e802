"""Feeds one wire case to a connection in every way that must make no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from support import peers

from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    RemoteProtocolError,
    ServerConnection,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wiredaemon.protocol import Event
    from wiredaemon.protocol.requests import RequestsState
    from wiredaemon.protocol.states import InputState
    from wiredaemon.wire.frames import EncodedFrame

ALL: Final = ("0002", "0003", "0004", "0005", "0006")
MAPS: Final = ("0003", "0004", "0005", "0006")
"""The dialects whose requests are CBOR maps."""

Side: TypeAlias = ServerConnection | ClientConnection


class Outcome(NamedTuple):
    """The events that a server connection made of its input."""

    events: list[Event]
    state: InputState | RequestsState
    sent: bytes


def joined(frames: Iterable[EncodedFrame]) -> bytes:
    """Put frames together as a transport would."""
    return b"".join(header + payload for header, payload in frames)


def failed(text: str, *, malformed: bool = False) -> ConnectionFailed:
    """Return the event of a peer's mistake."""
    return ConnectionFailed(error=RemoteProtocolError(text, malformed=malformed))


def server(
    dialect: str, *, half_duplex: bool = True, limits: Limits | None = None
) -> ServerConnection:
    """Make a server connection."""
    return ServerConnection(DIALECTS[dialect], half_duplex=half_duplex, limits=limits or Limits())


def receive(side: Side, data: bytes) -> list[Event]:
    """Feed either side, to the last frame that it takes now."""
    events: list[Event] = list(side.receive_data(data))
    while isinstance(side, ServerConnection) and side.pending and side.may_read_on:
        events += side.receive_data(b"")
    return events


def feed_every_way(make: Callable[[], Side], data: bytes, following: bytes) -> list[Event]:
    """Feed data whole, byte by byte and with a following frame's bytes behind it.

    All must give the same events, and what they leave to be sent must be the same.
    """
    whole = make()
    events = receive(whole, data)
    sent = joined(whole.data_to_send())
    after = receive(whole, following)
    sent_after = joined(whole.data_to_send())

    single = make()
    assert [event for byte in data for event in receive(single, bytes([byte]))] == events
    assert joined(single.data_to_send()) == sent

    behind = make()
    assert receive(behind, data + following[:-1]) == events
    assert joined(behind.data_to_send()) == sent
    assert receive(behind, following[-1:]) == after
    assert joined(behind.data_to_send()) == sent_after

    together = make()
    assert receive(together, data + following) == events + after
    assert joined(together.data_to_send()) == sent + sent_after
    return events


def fed(
    dialect: str,
    *frames: bytes,
    half_duplex: bool = True,
    limits: Limits | None = None,
) -> Outcome:
    """Feed frames to a server in every way, a command request following."""
    data = b"".join(frames)
    following = peers.request_frames(dialect, 0x7777, b"c")[0]

    def make() -> ServerConnection:
        return server(dialect, half_duplex=half_duplex, limits=limits)

    events = feed_every_way(make, data, following)
    connection = make()
    assert receive(connection, data) == events
    return Outcome(events, connection.state, joined(connection.data_to_send()))


def fed_to_client(make: Callable[[], ClientConnection], *frames: bytes) -> list[Event]:
    """Feed frames to a client in every way; ``make`` gives one that waits for request 1."""
    following = peers.frame(3, 1, b"following", stream_id=2)
    return feed_every_way(make, b"".join(frames), following)
