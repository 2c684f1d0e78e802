"""The objects of a connection's calls that have arrived and were not taken by their callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wiredaemon.client.call import Call
    from wiredaemon.client.requests import SentRequest


_OBJECT: Final = 64
"""Bytes that an empty object takes."""


class UntakenObjects:
    """Counts them, so that reading is paused before they are many."""

    __slots__ = ("_most", "_size", "sizes")

    def __init__(self, most: int) -> None:
        """Begin with none.

        Args:
            most: The most bytes that may wait while another call is waited for.
        """
        self._most = most
        self.sizes: dict[Call, int] = {}
        """The calls whose objects wait, with the bytes in which those arrived."""
        self._size = 0

    def deliver(self, call: Call, objects: Sequence[object], size: int) -> None:
        """Give a call the objects that arrived in so many bytes.

        Raises:
            ClientError: Too much waits.
        """
        call.receive_objects(objects)
        if not call.has_waiting:
            return
        # Small objects take more memory than bytes on the wire.
        size += _OBJECT * len(objects)
        self.sizes[call] = self.sizes.get(call, 0) + size
        self._size += size
        if self._size > self._most:
            raise ClientError(
                f"more than {self._most} bytes of responses wait to be taken, while another call "
                "on the same connection is waited for"
            )

    def taken(self, call: Call) -> None:
        """Note that a call's caller may have taken its objects."""
        if self.sizes and not call.has_waiting:
            self._size -= self.sizes.pop(call, 0)

    def are_too_many(self, requests: Iterable[SentRequest]) -> bool:
        """Return whether objects wait that nobody is about to take, and no caller waits for more.

        A caller may wait for one call before going on with another: both must be read then.
        """
        if not self.sizes or all(call.is_awaited for call in self.sizes):
            return False
        return not any(request.call.is_awaited for request in requests)
