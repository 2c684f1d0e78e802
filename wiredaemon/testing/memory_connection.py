"""One raw connection in memory: both sides of the protocol, and the real admission between them.

Nothing is faked: requests pass the connection's state machines, its limits, the admission, and the
Responder that runs the commands. Only the socket is missing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.framed.admission import RawAdmission
from wiredaemon.net.responding.exchange import begin_exchange
from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    ProgressReceived,
    RemoteProtocolError,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
    response_reader,
)
from wiredaemon.testing.answer import Answer
from wiredaemon.testing.errors import NoAnswerError
from wiredaemon.wire.dialects import RequestForm, ResponseForm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twisted.python.failure import Failure

    from wiredaemon.commands import Peer, Value
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.protocol.events import ClientEvent
    from wiredaemon.service.serving import Serving
    from wiredaemon.wire.dialects import Dialect

_log: Final = Logger()
_ACCEPTED: Final[list[Value]] = [b"text-output", b"progress"]


class MemoryConnection:
    """The server's transport and the client in one object.

    Args:
        serving: The service's objects.
        dialect: The dialect that is spoken.
        peer: The client as commands see it.
    """

    def __init__(self, serving: Serving, dialect: Dialect, peer: Peer) -> None:
        self._reactor = serving.reactor
        self._dialect = dialect
        self._limits = serving.limits
        self._client = ClientConnection(
            dialect,
            limits=serving.limits,
            offers_session=dialect.response is ResponseForm.OBJECTS,
        )
        guard = serving.guard
        self._input, self._responder = begin_exchange(
            self,
            RawAdmission(serving.hosts, dialect, peer, guard.calls["framed"]),
            dialect,
            half_duplex=False,
            threads=guard.threads,
            limits=serving.limits,
            turns=guard.turns,
            room=guard.memory.room,
        )
        self._answers: dict[int, Answer] = {}
        self._to_server: deque[bytes] = deque()
        self._to_client: deque[bytes] = deque()
        self._is_pumping = False
        self._is_due = False
        """A turn of the reactor will come in which output is taken."""
        self._input_paused = self._output_paused = False
        self.error: NoAnswerError | None = None
        """Why the connection is of no use any more."""
        self.texts: list[bytes] = []
        self.progress: list[ProgressReceived] = []
        self.crashes: list[BaseException] = []

    # --- the client --------------------------------------------------------------------------

    def call(
        self, name: bytes, arguments: Mapping[bytes, Value], data: Iterable[bytes] | None
    ) -> tuple[int, Answer]:
        """Send a request with its data.

        Returns:
            Its id, and its answer, which may have come by then.

        Raises:
            NoAnswerError: The connection is of no use any more.
            UnencodableError: An argument has no form on the wire.
        """
        if self.error is not None:
            raise self.error
        accepts = {b"accepts": _ACCEPTED} if self._dialect.request is RequestForm.MAP else None
        has_data = data is not None
        request_id = self._client.send_command(name, arguments, has_data=has_data, extra=accepts)
        reader = response_reader(self._dialect, self._limits)
        answer = self._answers[request_id] = Answer(reader, self._resume)
        for piece in data or ():
            self._client.send_data(request_id, piece)
        if has_data:
            self._client.send_data(request_id, b"", end=True)
        self._pump()
        return request_id, answer

    def cancel(self, request_id: int) -> None:
        """End a call whose caller wants no more; where there is no session, with the connection."""
        if self._answers.pop(request_id, None) is None or self.error is not None:
            return
        if not self._client.cancel(request_id):
            self._end("a call was closed in front of its end, and the dialect cannot cancel one")
            return
        self._resume()

    def disconnect(self) -> None:
        """Go, as a client does whose connection is lost: commands are cancelled."""
        if self.error is None:
            self._end("the tester was disconnected")

    @property
    def running(self) -> int:
        """The number of calls that are not answered."""
        return len(self._responder.running)

    def _end(self, why: str) -> None:
        self.error = NoAnswerError(why)
        self._responder.stop()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.fail(self.error)

    # --- bytes -------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Pass bytes in both directions, until there are none or a side takes no more."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self.error is None and self._step():
                pass
        finally:
            self._is_pumping = False

    def _step(self) -> bool:
        """Pass some bytes; return whether there were any that could be passed."""
        self._to_server += self._client.parts_to_send()
        if self._to_client:
            self._receive(self._to_client.popleft())
        elif self._client.pending:
            self._receive(b"")
        elif self._to_server and not self._input_paused:
            self._input.receive_data(self._to_server.popleft())
        else:
            return False
        return True

    def _receive(self, data: bytes) -> None:
        for event in self._client.receive_data(data):
            if self.error is None:
                self._on_event(event)
        self._look()

    def _on_event(self, event: ClientEvent) -> None:
        match event:
            case ResponseDataReceived(request_id=request_id, end=end):
                self._receive_response(self._answers.get(request_id), event)
                if end:
                    self._answers.pop(request_id, None)
            case RequestFailed(request_id=request_id):
                answer = self._answers.pop(request_id, None)
                if answer is not None:
                    answer.receive_failure(event)
            case TextOutputReceived(text=text):
                self.texts.append(text)
            case ProgressReceived():
                self.progress.append(event)
            case ConnectionFailed(error=error):
                self._end(f"the answer breaks the protocol: {error}")
            case _:
                pass  # of the session

    def _receive_response(self, answer: Answer | None, event: ResponseDataReceived) -> None:
        if answer is None:
            return  # cancelled
        try:
            answer.receive(event)
        except RemoteProtocolError as error:
            self._end(f"the answer breaks the protocol: {error}")

    def _look(self) -> None:
        """Pause the commands while objects wait that nobody takes."""
        answers = self._answers.values()
        is_full = any(each.is_full for each in answers)
        paused = is_full and not any(each.is_awaited for each in answers)
        if paused is not self._output_paused and self.error is None:
            self._output_paused = paused
            if paused:
                self._responder.pauseProducing()
            else:
                self._responder.resumeProducing()

    def _resume(self) -> None:
        self._look()
        self._pump()

    # --- called by the input and the Responder -----------------------------------------------

    def send_output(self, connection: ServerConnection) -> None:
        """Take the connection's frames."""
        parts = connection.parts_to_send()
        if not parts or self.error is not None:
            return
        self._to_client.append(b"".join(parts))
        # No transport calls back while it is written to: a later turn takes it.
        if not self._is_pumping and not self._is_due:
            self._is_due = True
            self._reactor.callLater(0, self._on_due)

    def _on_due(self) -> None:
        self._is_due = False
        self._pump()

    def share_output(self) -> None:
        """Do nothing: all is read at once."""

    def pause_input(self) -> None:
        """Pass no requests or data on for now."""
        self._input_paused = True

    def resume_input(self) -> None:
        """Go on."""
        self._input_paused = False
        if not self._is_pumping and self._to_server and not self._is_due:
            self._is_due = True
            self._reactor.callLater(0, self._on_due)

    def request_failed(self, message: str) -> None:
        """Do nothing: limits are counted for addresses, and here is none."""

    def command_crashed(self, failure: Failure, command: str) -> None:
        """Log the exception of a command, and keep it for the test."""
        if failure.value is not None:
            self.crashes.append(failure.value)
        _log.failure("command {command} failed", failure, command=command)

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """End: the service has refused what was sent."""
        self._end(f"the service ended the connection: {error.message}")

    def refused(self, response: Any) -> None:  # noqa: ANN401 the interface's signature
        """End; the admission of raw connections refuses single requests only."""
        self._end(f"the service refused the connection: {response}")

    def responses_finished(self, connection: ServerConnection) -> None:
        """Take the last frames."""
        self.send_output(connection)
