"""The daemon's end of one worker's connection: a command, its data and its answer at a time.

Owns what goes through the pipes. The life of the process is left to ``process``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.twisted_internals import is_waiting
from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    LocalProtocolError,
    RemoteProtocolError,
    RequestFailed,
    ResponseDataReceived,
)
from wiredaemon.repository.worker_calls import OTHER_EXTENSIONS, WORKER_DIALECT
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IPushProducer

    from wiredaemon.net.workers.answers import WorkerAnswer
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

_STDIN: Final = 0
_STDOUT: Final = 1


class ConnectionOwner(Protocol):
    """The worker's process, as its connection sees it."""

    def command_ended(self, other: Sequence[bytes]) -> bool:
        """Note that the worker may have its next command, before anybody sees the answer.

        Args:
            other: The sets of extensions that the repository wants and that the worker has, where
                it refused for that reason; else empty.

        Returns:
            Whether another worker runs the command.
        """

    def answer_refused(self, error: RemoteProtocolError) -> None:
        """Stop a worker whose answer is malformed or too large."""

    def close_input(self) -> None:
        """Close the worker's input; it ends, in its own time."""


class WorkerConnection:
    """Sends one command after the other to a worker; implements `Feed` for its streams.

    Args:
        limits: ``worker_result`` and those of the protocol.
        transport: The process as Twisted runs it, an ``IProcessTransport`` with its ``pipes``.
        owner: Is notified of the end of each command.
    """

    def __init__(self, limits: Limits, transport: Any, owner: ConnectionOwner) -> None:  # noqa: ANN401 IProcessTransport does not name pipes
        self._transport = transport
        self._owner = owner
        self._protocol = ClientConnection(WORKER_DIALECT, limits=limits)
        self._answer: WorkerAnswer | None = None
        """Receives the answer of the command that runs."""
        self._request_id = 0
        self._sends_data = False
        """The command that runs has data that has not ended."""
        self._is_paused = False
        """The worker's output is not read for now."""
        self._may_pause = True

    # --- one command -------------------------------------------------------------------------

    def send_command(
        self,
        answer: WorkerAnswer,
        command: bytes,
        arguments: Mapping[bytes, Value],
        extra: Mapping[bytes, Value],
        *,
        has_data: bool = False,
    ) -> None:
        """Send a command to a worker that runs none; ``answer`` receives its output."""
        # Before anything is sent, for what cannot be encoded fails this answer.
        self._answer = answer
        try:
            self._request_id = self._protocol.send_command(
                command, arguments, extra=extra, has_data=has_data
            )
        except (UnencodableError, LocalProtocolError) as error:
            self.fail(ServerError(str(error)))
            return
        self._sends_data = has_data
        self._flush()

    def receive_data(self, data: bytes) -> None:
        """Pass the worker's output to the answer of the command that runs."""
        for event in self._protocol.receive_data(data):
            match event:
                case ResponseDataReceived():
                    self._receive_response(event)
                case RequestFailed(kind=b"command"):
                    # The text is formatted already; as a message it would be formatted again.
                    self.fail(CommandError(event.message.replace(b"%", b"%%")))
                case RequestFailed():
                    self.fail(ServerError(event.message))
                case ConnectionFailed():
                    self._refuse(event.error)
                case _:
                    pass  # text and progress, which no command of a worker sends yet

    def fail(self, error: Exception) -> None:
        """End the command that runs, if any, with an error."""
        answer = self._answer
        if answer is not None:
            self._end_command()
            answer.fail(error)

    def _receive_response(self, event: ResponseDataReceived) -> None:
        answer = self._answer
        if answer is None:
            return  # a command that has failed on our side may still be answered
        try:
            answer.receive(event.data)
            if event.end:
                answer.check_end()
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        # In this order: the worker runs its next command while the caller reads the answer.
        if event.end and not self._end_command(answer.refusal):
            answer.finish()

    def _refuse(self, error: RemoteProtocolError) -> None:
        self._owner.answer_refused(error)
        self.fail(ServerError(f"the repository worker's answer is refused: {error.message}"))

    def _end_command(self, refusal: CommandError | None = None) -> bool:
        """Let the worker have its next command; return whether another one runs this command."""
        self._answer = None
        # A stream may have left the worker paused, and the next command's answer would never come.
        if self._is_paused:
            self.resume_output()
        if self._sends_data:
            # It was answered early: the worker reads no more of its data, but must see their end.
            self.send_data(b"", end=True)
        is_other = refusal is not None and refusal.message == OTHER_EXTENSIONS
        return self._owner.command_ended(refusal.arguments if refusal and is_other else ())

    def _flush(self) -> None:
        # Joined for a single write: a command has a few hundred bytes.
        data = b"".join(self._protocol.parts_to_send())
        pipe = self._transport.pipes.get(_STDIN)
        if pipe is not None and not is_waiting(pipe):
            # At once, not in the next turn of the reactor, which would change four times what it
            # watches: for a small command a sixth of the daemon's time (75 us, now 60 us).
            with suppress(OSError):  # no room, or no reader: either is Twisted's to find out
                data = data[os.write(pipe.fileno(), data) :]
        if data:
            self._transport.write(data)

    # --- Feed, for a stream ------------------------------------------------------------------

    def pause_output(self) -> None:
        """Read no more of the worker's output for now."""
        output = self._transport.pipes.get(_STDOUT)
        if output is not None and self._may_pause:
            self._is_paused = True
            output.stopReading()

    def resume_output(self) -> None:
        """Read the worker's output again."""
        self._is_paused = False
        output = self._transport.pipes.get(_STDOUT)
        if output is not None:
            output.startReading()

    def stop_pausing(self) -> None:
        """Read all that an ended worker has left in its pipe, which is bounded.

        A slow reader must not keep the place of a worker that is gone.
        """
        self._may_pause = False
        if self._is_paused:
            self.resume_output()

    def send_data(self, data: bytes, *, end: bool) -> None:
        """Send command data; with ``end`` their last piece."""
        self._protocol.send_data(self._request_id, data, end=end)
        self._flush()
        if end:
            self._stop_sending()

    def break_data(self) -> None:
        """End a worker that waits for data which never comes: without input it gives up.

        It first rolls back what it has written, however long that takes.
        """
        self._stop_sending()
        self._owner.close_input()

    def watch_input(self, producer: IPushProducer) -> None:
        """Pause and resume the producer of command data as the worker reads, until they end."""
        self._transport.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature

    def _stop_sending(self) -> None:
        self._sends_data = False
        self._transport.unregisterProducer()
