"""The ways in which the objects of an answer leave: as one document at the end, or as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from wiredaemon.net.http.responses import HttpResponse
from wiredaemon.net.json.forms import DOCUMENT
from wiredaemon.net.json.problems import PLAIN_HEADERS, members
from wiredaemon.wire.json_values import write_json

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.json.forms import StreamForm
    from wiredaemon.net.responding.responder import Responder
    from wiredaemon.wire.limits import Limits


class Output(Protocol):
    """One answer on its way to the client."""

    held: int
    """Bytes that wait here."""
    is_begun: bool
    """The status was sent."""

    def result(self, shown: object) -> None:
        """Take the next object of the answer."""

    def note(self, kind: str, shown: object) -> None:
        """Take text or progress."""

    def flush(self) -> bool:
        """Send what may leave; return whether the form can hold the answer so far."""

    def finish(self) -> None:
        """End the answer, which is complete."""

    def fail(self, response: HttpResponse) -> None:
        """End the answer with an error, worded as text."""

    def stop(self) -> None:
        """Forget all: nothing more is sent."""


class DocumentOutput:
    """Holds the objects until the command has ended, so that the status tells how.

    Args:
        request: The request to answer.
        is_list: The command gives any number of objects, which are one array. Of any other the
            only object is the document.
        limits: Bounds the document.
    """

    is_begun = False

    def __init__(self, request: StreamingRequest, limits: Limits, *, is_list: bool) -> None:
        self._request = request
        self._is_list = is_list
        self._most = limits.json_document
        self._objects: list[bytes] = []
        self.held = 0

    def result(self, shown: object) -> None:
        """Take the next object of the answer."""
        encoded = write_json(shown)
        self._objects.append(encoded)
        self.held += len(encoded) + len(_BETWEEN)

    def note(self, kind: str, shown: object) -> None:
        """Drop it: there is no place for it in a document."""

    def flush(self) -> bool:
        """Send nothing yet."""
        return self.held <= self._most

    def finish(self) -> None:
        """Send the document."""
        # A function that is none of a generator may return one all the same.
        if self._is_list or len(self._objects) != 1:
            body = b"[" + _BETWEEN.join(self._objects) + b"]\n"
        else:
            body = self._objects[0] + b"\n"
        self.stop()
        headers = ((b"Content-Type", DOCUMENT), *PLAIN_HEADERS)
        self._request.answer(HttpResponse(status=200, reason=b"OK", headers=headers, body=body))

    def fail(self, response: HttpResponse) -> None:
        """Send the error in place of the document."""
        self.stop()
        self._request.answer(response)

    def stop(self) -> None:
        """Forget the objects."""
        self._objects, self.held = [], 0


_BETWEEN: Final = b", "
_UNBUFFERED: Final = (b"X-Accel-Buffering", b"no")
"""nginx would keep parts until it has some KiB of them."""


class StreamOutput:
    """Sends objects as they come.

    Args:
        request: The request to answer.
        media_type: That of the form.
        form: Writes the parts.
        responder: Is paused while the client takes nothing.
        limits: Bounds each object, and the seconds without a part after which the form says that
            there is none.
    """

    is_begun = False
    held = 0

    def __init__(
        self,
        request: StreamingRequest,
        media_type: bytes,
        form: StreamForm,
        responder: Responder,
        limits: Limits,
    ) -> None:
        self._request = request
        self._media_type = media_type
        self._form = form
        self._responder = responder
        self._parts: list[bytes] = []
        self._results = 0
        self._most = limits.json_document
        self._is_too_large = False
        self._seconds = limits.event_keep_alive_seconds if form.keep_alive else 0
        self._is_quiet = True
        """Nothing was sent since the timer was set."""
        self._timer: IDelayedCall | None = None
        self._wait()

    def result(self, shown: object) -> None:
        """Take the next object of the answer."""
        self._results += 1
        part = self._form.result(shown, self._results)
        if len(part) > self._most:
            self._is_too_large = True
        elif not self._is_too_large:
            self._parts.append(part)

    def note(self, kind: str, shown: object) -> None:
        """Take text or progress."""
        self._parts.append(self._form.note(kind, shown))

    def flush(self) -> bool:
        """Send all parts that there are."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._send(data)
        return not self._is_too_large

    def finish(self) -> None:
        """Send the last part, and end the response."""
        self._end("end", {"results": self._results})

    def fail(self, response: HttpResponse) -> None:
        """Send the error, as a response of its own if nothing was sent before."""
        if self.is_begun:
            self._end("error", members(response))
        else:
            self.stop()
            self._request.answer(response)

    def stop(self) -> None:
        """Forget the parts, and the timer."""
        self._parts.clear()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _end(self, kind: str, shown: object) -> None:
        self._parts.append(self._form.end(kind, shown))
        self.flush()
        self.stop()
        self._request.end_stream()

    def _send(self, data: bytes) -> None:
        self._is_quiet = False
        response = self._request.response
        if not self.is_begun:
            self.is_begun = True
            headers = [(b"Content-Type", self._media_type), *PLAIN_HEADERS, _UNBUFFERED]
            response.begin_stream(200, b"OK", headers, self._responder)
        response.write_body(data)

    # --- keeping alive -----------------------------------------------------------------------

    def _wait(self) -> None:
        if self._seconds:
            reactor = self._responder.threads.reactor
            self._timer = reactor.callLater(self._seconds, self._keep_alive)

    def _keep_alive(self) -> None:
        # What the client does not take tells it that we are there, when it takes it.
        if self._is_quiet and not self._responder.output_paused:
            self._send(self._form.keep_alive)
        self._is_quiet = True
        self._wait()
