"""The server that a script talks to: its URL, the connection to it, and what peers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.http import exchange

if TYPE_CHECKING:
    from wiredaemon.debugtool.address import Address
    from wiredaemon.debugtool.eras import Era
    from wiredaemon.debugtool.http import Request, Response
    from wiredaemon.debugtool.transcript import Transcript
    from wiredaemon.debugtool.wire import Wire

ACCEPT: Final = b"application/mercurial-0.1"
"""The `accept` of a peer's requests that have no other."""
CBOR: Final = b"application/mercurial-cbor"

_OK: Final = 200
_HG: Final = b"application/mercurial-"
_HG_ERROR: Final = b"application/hg-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server and how it is talked to."""

    url: str
    address: Address
    wire: Wire
    transcript: Transcript
    era: Era

    def ask(self, request: Request) -> Response:
        """Send a request and read the head of its response.

        Raises:
            ToolError: There is no connection, or no response of HTTP/1.
        """
        return exchange(self.wire, request, self.address.authority, self.era.user_agent)

    def finish(self, response: Response) -> bytes:
        """Return the rest of the body, and close the connection if it is the last one.

        Raises:
            ToolError: The body is too large, or ends too early.
        """
        content = response.body.read_all()
        if response.closes:
            self.wire.close()
        return content

    def ask_version1(self, request: Request) -> tuple[bytes, bytes]:
        """Send a request of protocol version 1, and return its content type and content.

        Raises:
            ToolError: It failed, or the server is none of Mercurial.
        """
        response = self.ask(request)
        if response.status != _OK:
            raise http_error(response)
        content = self.finish(response)
        if response.content_type == _HG_ERROR:
            text = content.decode("utf-8", "backslashreplace").strip()
            raise ToolError(f"remote error:\n{text}")
        if not response.content_type.startswith(_HG):
            raise ToolError(f"'{self.url}' does not appear to be an hg repository")
        return response.content_type, content


def http_error(response: Response) -> ToolError:
    """Return the error for a status that is none of success."""
    reason = response.reason.decode("utf-8", "backslashreplace")
    return ToolError(f"HTTP Error {response.status}: {reason}")
