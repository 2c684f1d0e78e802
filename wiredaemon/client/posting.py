"""One call over HTTP: its frames are the bodies of a request and of the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.client.calls import ClientCalls
from wiredaemon.client.errors import ClientError, ConnectionLostError, HttpAnswerError
from wiredaemon.client.http_messages import RequestHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.client.call import Call
    from wiredaemon.client.http import HttpConnection
    from wiredaemon.client.http_messages import Head
    from wiredaemon.client.http_pool import Wanted
    from wiredaemon.client.http_stream import HttpStream
    from wiredaemon.client.requests import Request

# A page of text; error pages of proxies have more, and say nothing more in it.
_SHOWN: Final = 4096
"""The most bytes of a response without frames that an error keeps."""
_OK: Final = 200


class Post:
    """One call: the `Exchange` of an HTTP connection, and the `Wire` of its `ClientCalls`."""

    def __init__(
        self, connection: HttpConnection, target: bytes, call: Call, request: Request
    ) -> None:
        """Begin unsent.

        Args:
            connection: Gives it a stream, and headers.
            target: The path of the URL.
            call: Gets the objects.
            request: What is asked.

        Raises:
            ClientError: The request cannot be sent.
        """
        self._connection = connection
        self._target = target
        self._call = call
        self._request = request
        self._stream: HttpStream | None = None
        self._held: list[bytes] = []
        """Frames that wait for a stream."""
        self._head: Head | None = None
        self._content: bytearray | None = None
        """The beginning of a response that has no frames."""
        self._is_over = False
        self._wanted: Wanted | None = None
        self._retries = 0
        self._calls = ClientCalls(
            self, connection.dialect, connection.options, connection.runtime, is_shared=False
        )
        self._calls.flow_control.pause()
        # Before there is a stream: an argument that cannot be encoded costs no connection.
        self._request_id = self._calls.start(call, request)

    def send(self) -> None:
        """Send the request, on a connection of the pool."""
        self._wanted = self._connection.pool.take(self._begin, self._failed)

    def _begin(self, stream: HttpStream) -> None:
        if self._is_over:
            self._connection.pool.release(stream)
            return
        self._stream = stream
        content = b"".join(self._held)
        is_whole = not self._calls.is_sending(self._request_id)
        length = len(content) if is_whole else None
        head = RequestHead(b"POST", self._target, self._connection.post_headers(length))
        # What was sent stays held, to be sent once more if need be; of data nothing is held.
        if not is_whole:
            self._held = []
        stream.begin(self, head, content, is_whole=is_whole)
        self._calls.watch()
        # The head and the beginning alone may be as much as the stream takes.
        if not (is_whole or stream.is_full):
            self._calls.flow_control.resume()

    # --- as the wire of the calls ------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """It has a connection of the pool."""
        return self._stream is not None

    def write(self, parts: Sequence[bytes]) -> None:
        """Send frames, or hold them until there is a stream."""
        if self._stream is None:
            self._held += parts
            return
        self._stream.send(b"".join(parts))
        if not self._calls.is_sending(self._request_id):
            self._stream.end()

    def pause_input(self) -> None:
        """Pause reading the response; after its end the stream is another one's."""
        if self._stream is not None and not self._is_over:
            self._stream.pause_input()

    def resume_input(self) -> None:
        """Resume reading."""
        if self._stream is not None and not self._is_over:
            self._stream.resume_input()

    def abort(self) -> None:
        """Close the connection, unless the response is complete."""
        if not self._is_over:
            self._is_over = True
            if self._wanted is not None:
                self._wanted.is_over = True
            if self._stream is not None:
                self._stream.abort()

    # --- as the exchange of the stream -------------------------------------------------------

    def receive_head(self, head: Head) -> None:
        """Look at the response's head: servers and proxies refuse in text of their own."""
        self._head = head
        media_type = self._connection.dialect.media_type
        # Text must not be read as frames.
        if head.status != _OK or head.header(b"content-type") != media_type:
            self._content = bytearray()

    def receive_body(self, data: bytes) -> None:
        """Feed the frames to the call."""
        if self._content is None:
            self._calls.receive_data(data)
            return
        self._content += data
        if len(self._content) > _SHOWN:
            stream, self._stream = self._stream, None
            self._refused()
            if stream is not None:
                stream.abort()

    def receive_end(self) -> None:
        """Note that the response is complete."""
        if self._content is not None:
            self._refused()
        elif not self._is_over:
            self._is_over = True
            text = "the answer ended too early"
            self._calls.receive_end(ConnectionLostError(text))

    def _refused(self) -> None:
        head, content = self._head, self._content
        self._is_over = True
        if head is not None and content is not None:
            shown = bytes(content[:_SHOWN])
            self._calls.fail(HttpAnswerError(head.status, head.reason, shown))

    def lost(self, error: ClientError) -> None:
        """Fail the call, or send it once more on a connection of its own."""
        if self._content is not None:
            # As much as came is better than another error.
            self._refused()
            return
        if self._is_repeatable(error):
            self._retries += 1
            self._stream = None
            self._calls.watch()
            self._wanted = self._connection.pool.take(self._begin, self._failed, is_fresh=True)
            return
        self._failed(error)

    def _is_repeatable(self, error: ClientError) -> bool:
        """Return whether the call may be made once more: it only reads, and nothing has come."""
        return (
            self._head is None
            and not self._is_over
            and isinstance(error, ConnectionLostError)
            and self._retries < self._connection.options.retries
            and self._request.is_repeatable
            and bool(self._held)
            and self._connection.only_reads(self._request.command)
        )

    def _failed(self, error: ClientError) -> None:
        if self._is_over:
            return
        self._is_over = True
        # What was not sent has no answer that could have ended too early.
        if self._connection.pool.is_closed or self._stream is None:
            self._calls.fail(error)
        else:
            self._calls.receive_end(error)

    def pause_output(self) -> None:
        """Make the sender of the data wait."""
        self._calls.flow_control.pause()

    def resume_output(self) -> None:
        """Let the sender of the data go on."""
        self._calls.flow_control.resume()
