"""One call over HTTP: its frames are the bodies of a request and of the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from wiredaemon.client.bodies import Body, read_beginning
from wiredaemon.client.calls import ClientCalls
from wiredaemon.client.errors import ConnectionLostError, HttpAnswerError
from wiredaemon.client.failures import cause_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IConsumer
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from wiredaemon.client.call import Call
    from wiredaemon.client.http import HttpConnection
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.values import Value

# A page of text; error pages of proxies have more, and say nothing more in it.
_SHOWN: Final = 4096
"""The most bytes of a response without frames that an error keeps."""
_OK: Final = 200


@implementer(IBodyProducer)
class _WholeProducer:
    """The body of a call without data."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        # In one write: it is one request, and was made whole already.
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all was written."""

    resumeProducing = stopProducing = pauseProducing


@implementer(IBodyProducer)
class _DataProducer:
    """The body of a call with data; Twisted sends it in HTTP chunks."""

    length = UNKNOWN_LENGTH

    def __init__(self, post: Post, request_id: int, data: Data) -> None:
        self._post = post
        self._request_id = request_id
        self._data = data
        self._done: Deferred[None] = Deferred()
        self._is_stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        # First the frames of the request, which were held for want of a consumer.
        self._post.send_to(consumer)
        sending = self._post.calls.send_data(self._request_id, self._data)
        sending.addBoth(self._sent)
        return self._done

    def _sent(self, outcome: Failure | None) -> None:
        if not self._is_stopped and not self._done.called:
            # A Failure would make the request fail; no call is left after a complete answer.
            self._done.callback(None if self._post.is_answered else outcome)

    def pauseProducing(self) -> None:
        self._post.calls.flow_control.pauseProducing()

    def resumeProducing(self) -> None:
        self._post.calls.flow_control.resumeProducing()

    def stop(self) -> None:
        """Note that the end does not matter to Twisted any more."""
        self._is_stopped = True

    def stopProducing(self) -> None:
        # The connection was lost while we send; Twisted does not notify a response that had begun.
        self.stop()
        self._post.lost()


class Post:
    """One call, whose frames are the bodies of a request and of the response."""

    def __init__(self, connection: HttpConnection, call: Call) -> None:
        self.calls = ClientCalls(self, connection.dialect, connection.options, connection.reactor)
        self._connection = connection
        self._call = call
        self._held: list[EncodedFrame] = []
        self._consumer: IConsumer | None = None
        self._asking: Deferred[Any] | None = None
        self._producer: _DataProducer | None = None
        self._body: Body | None = None
        self.is_answered = False
        """The response was read to its end."""
        call.on_closed = self._closed

    def start(
        self,
        url: bytes,
        command: bytes,
        arguments: Mapping[bytes, Value],
        data: Data | None,
    ) -> None:
        """Send the request.

        Raises:
            ClientError: The request cannot be sent.
        """
        has_data = data is not None
        # Before the HTTP request: an argument that cannot be encoded costs no connection.
        request_id = self.calls.start(self._call, command, arguments, has_data=has_data, extra={})
        body: IBodyProducer
        if data is None:
            # All frames are known by now: a body with a length needs no HTTP chunks.
            frames, self._held = self._held, []
            body = _WholeProducer(b"".join(part for frame in frames for part in frame))
        else:
            body = self._producer = _DataProducer(self, request_id, data)
        media_type = self._connection.dialect.media_type
        headers = {b"Accept": [media_type], b"Content-Type": [media_type]}
        self._asking = self._connection.ask(b"POST", url, headers, body)
        self._asking.addCallback(self._answered).addErrback(self._failed)

    def _answered(self, response: IResponse) -> Deferred[None] | None:
        content_type = response.headers.getRawHeaders(b"content-type", [b""])[0]
        # Servers and proxies refuse in text of their own, which must not be read as frames.
        if response.code == _OK and content_type == self._connection.dialect.media_type:
            self._body = Body(self.calls.receive_data, self._ended)
            response.deliverBody(self._body)
            return None
        reading = read_beginning(response, _SHOWN, is_cut=True)
        return reading.addCallback(self._refused, response)

    def _refused(self, content: bytes, response: IResponse) -> None:
        self.is_answered = True
        self.calls.fail(HttpAnswerError(response.code, response.phrase, content))

    def _failed(self, failure: Failure) -> None:
        if self._producer is not None:
            self._producer.stop()
        self.calls.fail(self._connection.describe_failure(cause_of(failure)))

    def _ended(self, error: BaseException | None) -> None:
        if error is None:
            self.is_answered = True
            text = "the answer ended too early"
            self.calls.receive_end(ConnectionLostError(text))
        else:
            self.calls.receive_end(self._connection.describe_failure(error))

    def _closed(self) -> None:
        # HTTP has no other way to stop one response than to close its connection.
        self.calls.fail(ConnectionLostError("the call was closed"))

    # --- the body of the request -------------------------------------------------------------

    def send_to(self, consumer: IConsumer) -> None:
        """Send the frames that were held, and all that follow, as the request's body."""
        self._consumer = consumer
        frames, self._held = self._held, []
        self.write_frames(frames)

    def lost(self) -> None:
        """Note that the connection is lost."""
        text = f"the connection to {self._connection.address} was lost"
        self.calls.receive_end(ConnectionLostError(text))

    # --- as the Wire of the calls ---------------------------------------------------------------

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Send frames, or hold them until the request's body is wanted."""
        if self._consumer is None:
            self._held += frames
        else:
            self._consumer.write(b"".join(part for frame in frames for part in frame))

    def pause_input(self) -> None:
        """Pause reading the response."""
        if self._body is not None:
            self._body.transport.pauseProducing()

    def resume_input(self) -> None:
        """Resume reading."""
        if self._body is not None:
            self._body.transport.resumeProducing()

    def abort(self) -> None:
        """Close the connection, unless the response is complete."""
        if self._body is not None:
            self._body.abort()
        elif self._asking is not None:
            self._asking.cancel()
