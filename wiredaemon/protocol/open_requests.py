"""The ids of one connection's requests: those that may be answered, and those in use.

Source: server-state-machine, sections 1.10 and 1.11; framing, section 14.
"""

from __future__ import annotations

from typing import Final

from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError

LARGE: Final = 4096
"""Bytes from which a request counts; 100 smaller ones are less than one of the largest."""
_NO_SIZES: Final[dict[int, int]] = {}
_NO_IDS: Final[set[int]] = set()


class OpenRequests:
    """The announced requests of one connection, by id."""

    __slots__ = (
        "_keeps_ids",
        "_limit",
        "_most_bytes",
        "_sizes",
        "_unfinished",
        "answered",
        "held",
        "is_simple",
        "waiting",
    )

    def __init__(self, limit: int, most_bytes: int, *, keeps_ids: bool) -> None:
        """Begin without requests.

        Args:
            limit: The most complete requests without an answer, ``concurrent_requests``.
            most_bytes: The bytes of large requests without an answer, ``request_bytes``.
            keeps_ids: An id stays in use after its answer. In half duplex it must: the frames of
                the answer have not left before input ends.
        """
        self._limit = limit
        self._most_bytes = most_bytes
        self.held = 0
        """Bytes of large requests without an answer."""
        self._sizes = _NO_SIZES
        """Bytes of each of them, by id; a dict of its own where there is any."""
        self._keeps_ids = keeps_ids
        self.is_simple = not keeps_ids
        """To answer one that waits takes no more than to remove it: nothing is counted or kept."""
        self.waiting: set[int] = set()
        """Complete requests without an answer."""
        # Only data changes the first, and half duplex the second; an empty set of its own would
        # take 216 bytes of each idle connection of raw TCP.
        self._unfinished = _NO_IDS
        """Requests without an answer whose data has not ended."""
        self.answered: set[int] = set() if keeps_ids else _NO_IDS
        """Ids that stay in use although their requests were answered."""

    def __contains__(self, request_id: object) -> bool:
        """Return whether a complete request has this id, which is then in use."""
        return request_id in self.waiting or request_id in self.answered

    @property
    def room(self) -> int:
        """The number of requests that may become complete now."""
        if self.held >= self._most_bytes:
            return 0
        return max(self._limit - len(self.waiting) - len(self.answered), 0)

    def hold(self, request_id: int, size: int) -> None:
        """Count the bytes of a large request until it is answered.

        Raises:
            RemoteProtocolError: They are too many, and none can be answered before input ends.
        """
        if not self._sizes:
            self._sizes = {}
        self._sizes[request_id] = size
        self.held += size
        self.is_simple = False
        if self._keeps_ids and self.held > self._most_bytes:
            message = (
                f"requests not answered exceed the limit of {self._most_bytes} bytes "
                "(request_bytes)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def announce(self, request_id: int) -> None:
        """Add a request whose data follows; it may be answered before that has ended."""
        if self._unfinished is _NO_IDS:
            self._unfinished = set()
        self._unfinished.add(request_id)

    def complete(self, request_id: int) -> None:
        """Add a request that is complete, or move one whose data has ended.

        Raises:
            RemoteProtocolError: There is no room for it.
        """
        self._check_room()
        self._unfinished.discard(request_id)
        self.waiting.add(request_id)

    def complete_data(self, request_id: int) -> None:
        """Move a request whose data has ended; it may have been answered before that.

        Raises:
            RemoteProtocolError: There is no room for it.
        """
        if request_id in self._unfinished:
            self.complete(request_id)
        # Answered before its data ended; in half duplex the id stays in use all the same.
        elif self._keeps_ids:
            self._check_room()
            self.answered.add(request_id)

    def _check_room(self) -> None:
        if len(self.waiting) + len(self.answered) >= self._limit:
            message = (
                f"requests not answered exceed the limit of {self._limit} (concurrent_requests)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def is_answerable(self, request_id: int) -> bool:
        """Return whether a request waits for its answer, or for the rest of it."""
        return request_id in self.waiting or request_id in self._unfinished

    def check_answerable(self, request_id: int) -> None:
        """Raise an error for an answer that no request waits for.

        Raises:
            LocalProtocolError: The request is unknown, or answered.
        """
        if not self.is_answerable(request_id):
            message = f"request {request_id} is not waiting for an answer"
            raise LocalProtocolError(message)

    def end_cancelled(self, request_id: int) -> None:
        """Keep the id of a cancelled request, whose data has ended, in use until its last frame."""
        if request_id in self._unfinished:
            self._unfinished.remove(request_id)
            self.waiting.add(request_id)

    def answer(self, request_id: int) -> None:
        """Remove a request whose last frame was made."""
        if self._sizes:
            self.held -= self._sizes.pop(request_id, 0)
            self.is_simple = not (self._sizes or self._keeps_ids)
        if request_id in self.waiting:
            self.waiting.remove(request_id)
            if self._keeps_ids:
                self.answered.add(request_id)
        else:
            self._unfinished.remove(request_id)
