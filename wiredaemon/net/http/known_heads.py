"""Remembers the heads of requests, with their parsed form and their resource.

A client on a kept connection sends the same head again and again, byte for byte; parsing it and
finding its resource are most of the cost of a small request. So the site remembers the heads of
accepted requests for commands.

The decision on one head must never be remembered for another: the bytes of a head reach
`KnownHeads.remember` only where they are certain (see `KnownHeadChannel.take_head`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers

    from wiredaemon.accounts.credentials import Password, Token
    from wiredaemon.net.http.request import HeadReceiver

LONGEST: Final = 1024
"""The largest head that is remembered, in bytes. Programs send some 250 bytes; a client that fills
the memory on purpose costs the site 1 KiB for each of `Limits.known_heads`."""


class KnownHead(NamedTuple):
    """One head, parsed."""

    method: bytes
    uri: bytes
    headers: Headers
    length: int
    """Bytes of the body; more than 0, because the short way handles no request without a body."""
    resource: HeadReceiver
    """Decides on each request with this head; it keeps nothing of a single request."""
    question: Any
    """The parts of the head that the resource's decision depends on."""
    credentials: Password | Token | None = None
    """The password or token in the head: it is checked anew for each request."""


class KnownHeads:
    """The heads that a site has learnt last, by their bytes."""

    def __init__(self, most: int) -> None:
        """Begin with none, and remember ``most`` of them."""
        self._most = most
        self._heads: dict[bytes, KnownHead] = {}
        self.find = self._heads.get
        """Returns the head with these bytes, or None; the dict's own, for each request calls it."""

    def remember(self, head: bytes, known: KnownHead) -> None:
        """Remember a head, and forget the one that was learnt first if there are too many."""
        heads = self._heads
        heads[head] = known
        # The one that was learnt first, not the one used last: to note each use would cost more
        # than to parse a head again now and then. Clients of one program mostly share theirs.
        if len(heads) > self._most:
            del heads[next(iter(heads))]
