"""Twisted's HTTP/1.1 channel with bounds of heads that say which they are.

Twisted's own closes a connection without a word for a line that is too long, and answers a bare 400
to a head that is too large.

Source: reliability, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web.http import HTTPChannel

from wiredaemon.net.http.responses import bad_request, text
from wiredaemon.net.http.strict_heads import fault_of_line, write_refusal
from wiredaemon.net.twisted_internals import head_so_far, target_of, version_of

if TYPE_CHECKING:
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.wire.limits import Limits


class BoundedHeadChannel(HTTPChannel):
    """One HTTP connection; a head beyond its bounds is refused with their name and value."""

    site: Any
    """An `ApiSite`, whose `worded` gives refusals the form of the target: text or JSON."""

    def lineReceived(self, line: bytes) -> None:
        """Receive a line of a head, or refuse the head."""
        size, count = head_so_far(self)
        if size + len(line) > self.totalHeadersSize:
            self._refuse_size(line)
            return
        # The one in front of this line was not counted so far; the empty line ends the head.
        if line and count + 1 >= self.maxHeaders:
            self._refuse_as_too_large(f"{self.maxHeaders} header fields", line)
            return
        fault = fault_of_line(line, version_of(self))
        if fault is None:
            super().lineReceived(line)
        else:
            self.refuse_head(bad_request(fault), line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is longer than the whole head may be."""
        self._refuse_size(line)

    def refuse_head(self, response: HttpResponse, line: bytes) -> None:
        """Answer a head that cannot be understood, and close: where the next one begins is unknown.

        Args:
            response: The response, as text.
            line: The present line as far as it was read: if it is the first, it has the target.
        """
        target = target_of(self) or b"".join(line.split(b" ", 2)[1:2])
        write_refusal(self, self.site.worded(target, response))
        self.loseConnection()

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

    def _refuse_size(self, line: bytes) -> None:
        limits: Limits = self.site.limits
        size = getattr(limits, self._limit)
        self.site.guard.hits.hit(self._limit, size, self.getPeer())
        self._refuse_as_too_large(f"{size} bytes ({self._limit})", line)

    def _refuse_as_too_large(self, limit: str, line: bytes) -> None:
        shown = f"the head of the request exceeds the limit of {limit}\n"
        reason = b"Request Header Fields Too Large"
        self.refuse_head(text(431, reason, shown.encode("ascii")), line)
