"""The command data of a connection's requests: passed to the commands that declare it, bounded.

Source: reliability, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.net.responding.command_data import IncomingData
from wiredaemon.protocol import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.responding.interfaces import Requests
    from wiredaemon.protocol import DataReceived, RequestAborted, RequestReceived
    from wiredaemon.wire.limits import Limits


# Shared: a dict of its own would take 64 bytes of each idle connection.
_NONE: Final[dict[int, tuple[RequestReceived, int]]] = {}


class DataInput:
    """Feeds data to the commands that declare it, and counts and drops the data of all others.

    Args:
        requests: The connection's requests, which fail where data crosses a limit.
        limits: ``buffered_data``, ``command_data`` and ``undeclared_data`` bound the data.
    """

    __slots__ = ("_limits", "_requests", "_unwanted", "incoming", "unfed")

    def __init__(self, requests: Requests, limits: Limits) -> None:
        self._requests = requests
        self._limits = limits
        self._unwanted = _NONE
        """Requests whose commands read no data, until it is complete, and its bytes so far."""
        self.incoming: dict[int, IncomingData] = {}
        """The incomplete data of requests, by id."""
        self.unfed: IncomingData | None = None
        """Data that grew in this read and whose command was not woken: one command at a time."""

    def open(
        self, request_id: int, limit: int | None, on_taken: Callable[[], None]
    ) -> IncomingData:
        """Return the data that the command of a request reads.

        Args:
            request_id: The request's id.
            limit: Bytes that the command allows; None for `Limits.command_data`.
            on_taken: Is called whenever the command takes a piece.
        """
        most = self._limits.command_data if limit is None else limit
        data = self.incoming[request_id] = IncomingData(on_taken, most)
        return data

    def drop(self, event: RequestReceived) -> None:
        """Hold a request until `complete`, and drop its data, which its command does not read."""
        if self._unwanted is _NONE:
            self._unwanted = {}
        self._unwanted[event.request_id] = (event, 0)

    def complete(self, request_id: int) -> RequestReceived | None:
        """Note that all data of a request has arrived; return the request if it was held."""
        fed = self.incoming.pop(request_id, None)
        if fed is not None:
            fed.receive_end()
            return None
        held = self._unwanted.pop(request_id, None)
        return None if held is None else held[0]

    def abort(self, event: RequestAborted) -> bool:
        """Note that input ended inside a request; return whether its command gets the error."""
        self._unwanted.pop(event.request_id, None)
        fed = self.incoming.pop(event.request_id, None)
        if fed is None:
            return False
        fed.abort(event.reason)
        return True

    def cancel(self, request_id: int) -> None:
        """Forget the data of a cancelled request, of which no more comes."""
        self._unwanted.pop(request_id, None)
        fed = self.incoming.pop(request_id, None)
        if fed is not None and fed is self.unfed:
            self.unfed = None

    def receive(self, event: DataReceived) -> None:
        """Feed a piece of data to its command, or drop it if nothing reads it."""
        data = self.incoming.get(event.request_id)
        # Data of several requests in one read: each command gets its own in the order of the bytes.
        if data is not self.unfed and self.unfed is not None:
            self.wake()
        # Calls in between are left out on purpose: this runs for each frame of an upload.
        if data is None:
            self._count_dropped(event.request_id, len(event.data))
            return
        # The command has ended: its data is dropped as it comes, for the peer cannot be told to
        # stop.
        if data.ended:
            return
        piece = event.data
        if data.received + len(piece) > data.limit:
            data.abort(f"command data exceeds the limit of {data.limit} bytes (command_data)")
            return
        data.hold(piece)
        self.unfed = data
        if data.size > self._limits.buffered_data:
            self._on_too_much(event.request_id, data)

    def wake(self) -> None:
        """Wake the command whose data has arrived, once for all pieces of one read."""
        unfed, self.unfed = self.unfed, None
        if unfed is not None:
            unfed.wake()

    def is_backed_up(self, is_paused: bool) -> bool:  # noqa: FBT001 a state, no switch
        """Return whether a running command reads its data slower than it arrives.

        A peer is paused at the limit and resumed at half of it: with one mark each piece would
        pause and resume it.
        """
        limit = self._limits.buffered_data
        most = limit // 2 if is_paused else limit
        running = self._requests.running
        for request_id, data in self.incoming.items():
            if data.size > most and request_id in running:
                return True
        return False

    def _count_dropped(self, request_id: int, size: int) -> None:
        held = self._unwanted.get(request_id)
        if held is None:
            return  # its command has ended
        request, dropped = held[0], held[1] + size
        self._unwanted[request_id] = (request, dropped)
        if dropped > self._limits.undeclared_data:
            message = (
                f"data of request {request_id}, whose command takes none, exceeds the "
                f"limit of {self._limits.undeclared_data} bytes (undeclared_data)"
            )
            self._requests.fail(RemoteProtocolError(message, malformed=True))

    def _on_too_much(self, request_id: int, data: IncomingData) -> None:
        """Let a command read its data now; if it does not, the peer is paused after this read."""
        requests, limit = self._requests, self._limits.buffered_data
        self.wake()
        if data.size > limit and request_id not in requests.running:
            requests.settle()  # a request of the same read may not have started
        # A running command pauses the peer. For one that cannot start this would be for ever: the
        # command in front of it may wait for data that comes later.
        if requests.is_over or data.size <= limit or request_id in requests.running:
            return
        message = (
            f"data of request {request_id} has to wait for an earlier command and "
            f"exceeds the limit of {limit} bytes (buffered_data)"
        )
        requests.fail(RemoteProtocolError(message, malformed=True))
