"""Twisted's HTTP/1.1 channel with bounds of heads that say which they are.

Twisted's own closes a connection without a word for a line that is too long, and answers a bare 400
to a head that is too large.

Source: reliability, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import HTTPChannel

from wiredaemon.net.http.strict_heads import fault_of_line, refuse_connection, refuse_head
from wiredaemon.net.twisted_internals import head_so_far, target_of, version_of

if TYPE_CHECKING:
    from wiredaemon.wire.limits import Limits

_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


class BoundedHeadChannel(HTTPChannel):
    """One HTTP connection; a head beyond its bounds is refused with their name and value."""

    site: Any

    def lineReceived(self, line: bytes) -> None:
        """Receive a line of a head, or refuse the head."""
        size, count = head_so_far(self)
        if size + len(line) > self.totalHeadersSize:
            self._refuse_size()
            return
        # The one in front of this line was not counted so far; the empty line ends the head.
        if line and count + 1 >= self.maxHeaders:
            self._refuse_as_too_large(f"{self.maxHeaders} header fields")
            return
        fault = fault_of_line(line, version_of(self))
        if fault is None:
            super().lineReceived(line)
        else:
            refuse_head(self, fault)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002 Twisted's signature
        """Refuse a line that is longer than the whole head may be."""
        self._refuse_size()

    @property
    def totalHeadersSize(self) -> int:  # type: ignore[override]  # an attribute of the class there
        """Bytes that a head may have: more for version 1, which puts arguments into headers.

        A property, because Twisted reads the attribute for each line, when the target is known.
        """
        size: int = getattr(self.site.limits, self._limit)
        return size

    # The same: how long the lines are is the client's choice, by `server.maxhttpheaderlen`.
    MAX_LENGTH = totalHeadersSize

    @property
    def _limit(self) -> str:
        """The name of the limit of this head."""
        is_version1 = b"cmd=" in target_of(self).partition(b"?")[2]
        return "version1_head" if is_version1 else "head"

    def _refuse_size(self) -> None:
        limits: Limits = self.site.limits
        size = getattr(limits, self._limit)
        self.site.guard.hits.hit(self._limit, size, self.getPeer())
        self._refuse_as_too_large(f"{size} bytes ({self._limit})")

    def _refuse_as_too_large(self, limit: str) -> None:
        shown = f"the head of the request exceeds the limit of {limit}\n"
        refuse_connection(self, _TOO_LARGE, shown)
        self.loseConnection()
