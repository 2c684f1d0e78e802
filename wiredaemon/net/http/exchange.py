"""The part of a transport that all exchanges over HTTP share: each is one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.responding.connection_input import ConnectionInput
    from wiredaemon.net.responding.responder import Responder


class HttpExchange:
    """The input and the Responder of one request, until it is answered."""

    _request: StreamingRequest
    _address: str
    """The client's, for the log: it may have gone by then."""
    _input: ConnectionInput | None
    _responder: Responder | None

    # --- ends --------------------------------------------------------------------------------

    def connection_lost(self) -> None:
        """Cancel the commands: the client has gone."""
        self._stop()

    def _stop(self) -> None:
        responder = self._responder
        self._end()
        if responder is not None:
            responder.stop()

    def _end(self) -> None:
        """Forget input and Responder, which know this object: else all three would stay."""
        self._input = self._responder = None

    # --- called by the input and the Responder -----------------------------------------------

    def share_output(self) -> None:
        """Do nothing: requests are answered one after the other."""

    def pause_input(self) -> None:
        """Stop reading the body."""
        self._request.body.pause()

    def resume_input(self) -> None:
        """Read the body again."""
        self._request.body.resume()

    def request_failed(self, message: str) -> None:
        """Count the limit that the error of a request names, if it names one."""
        request = self._request
        request.site.guard.hits.hit_in(message, request.limits, self._address)

    def command_crashed(self, failure: Failure, command: str) -> None:
        """Log the exception of a command."""
        self._request.site.guard.crashes.log(failure, command, self._address)
