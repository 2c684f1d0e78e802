"""The open responses of one connection: those that were begun and not ended.

Source: server-state-machine, section 1.12; framing, section 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.objects_responses import ObjectsResponse
from wiredaemon.protocol.recorded_responses import RecordedResponse
from wiredaemon.protocol.response_forms import RESPONSES
from wiredaemon.wire.values import Recorded

if TYPE_CHECKING:
    from wiredaemon.protocol.open_requests import OpenRequests
    from wiredaemon.protocol.output import OutputStreams
    from wiredaemon.protocol.responses import Response
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


# Shared: most connections answer each request at once.
_NONE: Final[dict[int, Response]] = {}


class OpenResponses:
    """The open responses, by the ids of their requests; each holds a stream."""

    __slots__ = ("_dialect", "_requests", "_response_class", "_streams", "by_id")

    def __init__(self, dialect: Dialect, requests: OpenRequests, streams: OutputStreams) -> None:
        """Begin without responses."""
        self._dialect = dialect
        self._requests = requests
        self._streams = streams
        self._response_class = RESPONSES[dialect.response]
        self.by_id = _NONE
        """Responses that were begun and not ended."""

    def get(self, request_id: int, value: Value = None) -> Response:
        """Return the response of a request, which is made if none was begun.

        Args:
            request_id: The request's id.
            value: The object to be sent next, if any: recorded ones need a response of a class of
                their own.

        Raises:
            LocalProtocolError: The request is not waiting for an answer, or every stream is held.
        """
        if type(value) is Recorded and self._response_class is ObjectsResponse:
            return self._get_recorded(request_id, value.encoding)
        response = self.by_id.get(request_id)
        if response is None:
            self._requests.check_answerable(request_id)
            response = self._response_class(request_id, self._dialect, self._streams.acquire())
            self._keep(response)
        return response

    def _get_recorded(self, request_id: int, encoding: bytes) -> Response:
        response = self.by_id.get(request_id)
        if response is not None:
            if not isinstance(response, ObjectsResponse) or response.has_begun:
                return response
            # Only side output was sent: the response moves to a stream of its own.
            self._streams.release(response.stream)
        self._requests.check_answerable(request_id)
        stream = self._streams.acquire_recorded(encoding)
        recorded = RecordedResponse(request_id, self._dialect, stream)
        self._keep(recorded)
        return recorded

    def _keep(self, response: Response) -> None:
        if self.by_id is _NONE:
            self.by_id = {}
        self.by_id[response.request_id] = response

    def finish(self, response: Response) -> None:
        """Forget a response whose last frame was sent, and its request."""
        del self.by_id[response.request_id]
        self._requests.answer(response.request_id)
        self._streams.release(response.stream)
