"""The sending half of a server's connection: responses to requests, and the report of a failure.

It routes: each response makes its own frames, each stream encodes its own content.

Source: server-state-machine, sections 1.11 and 1.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.protocol.objects_responses import ObjectsResponse
from wiredaemon.protocol.open_requests import OpenRequests
from wiredaemon.protocol.open_responses import OpenResponses
from wiredaemon.protocol.output import Output, OutputStreams
from wiredaemon.protocol.responses import LONGEST_MESSAGE
from wiredaemon.protocol.side_output import progress_payload, text_payload
from wiredaemon.protocol.small_results import SMALL_RESULTS
from wiredaemon.protocol.states import OutputEvent, OutputState, advance_output
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import ERROR_PROTOCOL, ErrorForm, FrameType
from wiredaemon.wire.payloads import error_response
from wiredaemon.wire.values import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wiredaemon.protocol.errors import RemoteProtocolError
    from wiredaemon.protocol.responses import EncodingWork, Response
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Progress, Value

_HELD: Final = OutputState.HELD
_OPEN: Final = OutputState.OPEN
_ENDED: Final = OutputState.ENDED
"""Compared for each response: to find a member in its enumeration takes 0.05 us."""


class ServerOutput:
    """The output of a server on one connection.

    In half duplex, output waits for the end of input, and is dropped if the input fails: then the
    error of `ConnectionFailed` is the answer, which the caller must send. In full duplex output
    leaves as it is made, and a failure adds an error frame behind it.
    """

    __slots__ = (
        "_failure",
        "_open_requests",
        "_output",
        "_output_state",
        "_responses",
        "_send_small",
        "_streams",
        "dialect",
        "encodes",
        "output_ended",
    )

    def __init__(self, dialect: Dialect, *, half_duplex: bool, limits: Limits) -> None:
        """Begin with nothing sent."""
        self.dialect = dialect
        self._open_requests = OpenRequests(
            limits.concurrent_requests, limits.request_bytes, keeps_ids=half_duplex
        )
        self._output = Output()
        self._output_state = OutputState.HELD if half_duplex else OutputState.OPEN
        self.output_ended = False
        """Nothing can be sent any more: the input has failed, and that was reported.

        In full duplex, requests in front of the failure may be answered until `data_to_send` is
        called; in half duplex the output ends with the failure.
        """
        self._failure: tuple[RemoteProtocolError, int] | None = None
        """The error that is still to be reported, and the id of the request that caused it."""
        self._streams = OutputStreams(dialect, self._output, limits.encoding_streams)
        self.encodes = False
        """Output may be content encoded, so that `encoding_work` is worth a call."""
        # Looked up once: with an object for each response, 64 results take 745 us, and 274 so.
        self._send_small = SMALL_RESULTS[dialect.response]
        self._responses = OpenResponses(dialect, self._open_requests, self._streams)

    def _advance_output(self, event: OutputEvent) -> None:
        """Change the state of the output; no other code does."""
        self._output_state = advance_output(self._output_state, event)
        self.output_ended = self._output_state is _ENDED

    # --- what may leave, and what waits -------------------------------------------------------

    @property
    def output_held(self) -> bool:
        """Output may not leave yet."""
        return self._output_state is _HELD

    @property
    def output_size(self) -> int:
        """Bytes that wait to be sent, those that wait for the end of input included."""
        return self._output.size

    @property
    def content_encoding(self) -> bytes | None:
        """The content encoding of the next response, unless too many are being sent at once."""
        return self._streams.encoding

    def release_output(self) -> None:
        """In half duplex, let output leave before input has ended.

        A command that answers its data while it arrives needs this: its output would wait for the
        end of input, and the input for the command. From now on a failure adds an error frame.
        """
        self._advance_output(OutputEvent.RELEASED)

    def data_to_send(self) -> list[EncodedFrame]:
        """Return the frames that may be sent now, and forget them."""
        parts = iter(self.parts_to_send())
        return list(zip(parts, parts))  # noqa: B905 never odd; `strict` takes 0.13 us more

    def parts_to_send(self) -> list[bytes]:
        """Return the same frames as a flat list: header, payload, header, payload, ...

        Transports of bytes call this, which saves 0.1 us for each frame.
        """
        if self._output_state is not _OPEN:
            if self._output_state is _HELD:
                return []
            self._send_failure()
        # Nothing waits in about half of the calls: no empty list is exchanged for another one.
        return self._output.take_parts() if self._output.size else []

    def _fail_output(self, error: RemoteProtocolError, request_id: int) -> None:
        """Drop held output in half duplex; in full duplex keep the first failure to be reported."""
        self._advance_output(OutputEvent.INPUT_FAILED)
        if self._output_state is _ENDED:
            self._output.take_parts()
        elif self._failure is None:
            self._failure = (error, request_id)

    def _send_failure(self) -> None:
        """Send the error frame of a failure, if one is due, after the answers in front of it."""
        if self._output_state is not OutputState.FAILING or self._failure is None:
            return
        error, request_id = self._failure
        text = error.message.encode("utf-8", "replace")[:LONGEST_MESSAGE]
        # Not on the stream of a response that is open: its encoder may hold something back.
        stream = self._streams.acquire()
        if self.dialect.error is ErrorForm.TEXT:
            stream.send(request_id, FrameType.ERROR_RESPONSE, ERROR_PROTOCOL, text)
        else:
            payload = cbor.encode(error_response(b"protocol", text), self.dialect.cbor.key_order)
            stream.send(request_id, FrameType.ERROR_RESPONSE, 0, payload)
        self._advance_output(OutputEvent.FAILURE_SENT)

    # --- responses ----------------------------------------------------------------------------

    def send_result(self, request_id: int, value: Value) -> None:
        """Send a request's only object and end its response.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        requests = self._open_requests
        if (
            # The first test answers nearly always, without a call.
            (request_id in requests.waiting or requests.is_answerable(request_id))
            and request_id not in self._responses.by_id
            and not self.output_ended
            and self._send_small(request_id, value, self._streams, self.dialect)
        ):
            if requests.is_simple and request_id in requests.waiting:
                requests.waiting.remove(request_id)  # all that `answer` would do, without a call
            else:
                requests.answer(request_id)
            return
        response = self._response(request_id, value)
        response.send_result(value)
        self._responses.finish(response)

    def send_object(self, request_id: int, value: Value) -> None:
        """Send the next of a request's several objects.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
            UnencodableError: The value has no form on the wire; nothing of it was sent.
        """
        self._response(request_id, value).send_object(value)

    def send_in_steps(self, request_id: int, value: Value) -> Iterator[None]:
        """Send an object, and stop whenever a frame of it is ready.

        A caller that sends the frames meanwhile holds only one frame of a large object.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        return self._response(request_id, value).send_in_steps(value)

    def encoding_work(self, request_id: int, value: Value) -> EncodingWork | None:
        """Return the content encoding of a large object as work for another thread.

        None is returned where `send_object` or `send_result` is as good. Once the work is done,
        the object is sent with `send_encoded`.

        Raises:
            LocalProtocolError, UnencodableError: As `send_object`.
        """
        return self._response(request_id, value).encoding_work(value)

    def send_encoded(self, request_id: int, work: EncodingWork) -> None:
        """Send the object whose content encoding was done.

        Raises:
            LocalProtocolError: The request is not waiting for an answer, or not for this one.
        """
        response = self._response(request_id)
        if not isinstance(response, ObjectsResponse):
            message = f"no content encoding was begun for request {request_id}"
            raise LocalProtocolError(message)
        response.send_encoded(work)

    def send_held(self, request_id: int) -> None:
        """Send what is held of a request's objects, because the next one may take long."""
        response = self._responses.by_id.get(request_id)
        if response is not None and self._output_state is not _ENDED:
            response.send_held()

    def end_response(self, request_id: int) -> None:
        """End the response of a request whose objects were all sent.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.end()
        self._responses.finish(response)

    def send_error(self, request_id: int, message: bytes, arguments: Sequence[bytes] = ()) -> None:
        """End a request with a documented failure of its command.

        Objects that were not put into frames yet are dropped.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.send_error(message, arguments)
        self._responses.finish(response)

    def send_server_error(self, request_id: int, text: bytes) -> None:
        """End a request with any other failure.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.send_server_error(text)
        self._responses.finish(response)

    # --- side output --------------------------------------------------------------------------

    def send_text(
        self,
        request_id: int,
        message: bytes,
        arguments: Sequence[bytes] = (),
        labels: Sequence[bytes] = (),
    ) -> None:
        """Send text for people at once, in front of objects that are held.

        Mercurial's clients cannot read it: the caller must know that the peer can.

        Raises:
            LocalProtocolError: The request is not waiting for an answer, the text does not fit a
                frame, or the dialect has no such frame in CBOR.
        """
        payload = text_payload(self.dialect, message, arguments, labels)
        stream = self._response(request_id).stream
        stream.send(request_id, FrameType.TEXT_OUTPUT, 0, payload)

    def send_progress(self, request_id: int, progress: Progress) -> None:
        """Send the progress of a command, under the conditions of `send_text`.

        Raises:
            LocalProtocolError: As `send_text`.
        """
        payload = progress_payload(self.dialect, progress)
        self._response(request_id).stream.send(request_id, FrameType.PROGRESS, 0, payload)

    def _response(self, request_id: int, value: Value = None) -> Response:
        """Return the response of a request, for the object that will be sent next."""
        if self._output_state is _ENDED:
            message = "nothing can be sent after the connection has failed"
            raise LocalProtocolError(message)
        response = self._responses.by_id.get(request_id)
        if response is None or type(value) is Recorded:
            return self._responses.get(request_id, value)
        return response
