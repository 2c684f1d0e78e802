"""Heads of requests that a site has parsed before, by their bytes.

A client on a kept connection sends the same head again and again, byte for byte; parsing it and
finding its resource are most of what a small request costs. So the site remembers heads of accepted
requests for commands, with what Twisted's parser and the resource tree made of them.

What is remembered for one head must never be what another one led to: the bytes of a head reach
`KnownHeads.remember` only where they are certain (see `KnownHeadChannel.take_head`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers

    from wiredaemon.net.http.request import HeadReceiver

LONGEST: Final = 1024
"""Bytes of a head that is remembered. Those of programs have some 250; a stranger who fills the
memory costs the site 1 KiB for each of `Limits.known_heads`."""


class KnownHead(NamedTuple):
    """One head, parsed."""

    method: bytes
    uri: bytes
    headers: Headers
    length: int
    """Bytes of the body; more than 0."""
    resource: HeadReceiver
    """Decides on each request with this head; it keeps nothing of a single one."""
    question: Any
    """What the resource's decision depends on, read from the head."""


class KnownHeads:
    """The heads that a site has seen last."""

    def __init__(self, most: int) -> None:
        """Begin with none, and remember ``most`` of them."""
        self._most = most
        self._heads: dict[bytes, KnownHead] = {}
        self.find = self._heads.get
        """Returns the head with these bytes, or None; the dict's own, for each request asks."""

    def remember(self, head: bytes, known: KnownHead) -> None:
        """Remember a head; the one that was learnt first makes room."""
        heads = self._heads
        heads[head] = known
        if len(heads) > self._most:
            del heads[next(iter(heads))]
