"""Worker processes that a test plays, and readers of what they say: no process is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.net.workers.worker_state import WorkerState
from wiredaemon.protocol import DataReceived, RequestCompleted, RequestReceived, ServerConnection
from wiredaemon.repository.worker_calls import READY, WORKER_DIALECT, CallContext
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.net.workers.pool import WorkerPool
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.wire.values import Value

_case: Final = SynchronousTestCase()

PIECE: Final = bytes(1000)
BUFFER: Final = 3000
"""A ``worker_stream_buffer`` of three pieces."""

SLOW: Final[dict[str, Any]] = {
    "worker_processes": 2,
    "worker_stream_buffer": BUFFER,
    "worker_spool": 0,
    "worker_drain_rate": 100,
    "worker_drain_seconds": 60.0,
}
"""Limits with one worker for streams, of which nothing can be spooled."""


def result(answer: Deferred[Any]) -> object:
    """The value that an answer has."""
    return _case.successResultOf(answer)


def error(answer: Deferred[Any]) -> str:
    """The text of the error that an answer has."""
    failure = _case.failureResultOf(answer)
    assert isinstance(failure.value, ServerError | CommandError)
    return str(failure.value)


class FakePipe:
    """The end of a worker's output."""

    is_read = True

    def stopReading(self) -> None:
        self.is_read = False

    def startReading(self) -> None:
        self.is_read = True


@dataclass
class FakeWorker:
    """A process that a test plays: the worker's side of the protocol and its end."""

    protocol: Any
    command: Sequence[str]
    environment: Mapping[str, str]
    pid: int

    def __post_init__(self) -> None:
        self._connection = ServerConnection(WORKER_DIALECT, half_duplex=False)
        self.requests: list[RequestReceived] = []
        self.signals: list[str] = []
        self.input_closed = False
        self.output = FakePipe()
        self.pipes = {1: self.output}
        self.producer: Any = None
        self.data = b""
        self.data_ended = False
        self.protocol.makeConnection(self)

    # As its transport.

    def write(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            match event:
                case RequestReceived():
                    self.requests.append(event)
                    self.data, self.data_ended = b"", False
                case DataReceived():
                    self.data += event.data
                case _:
                    assert isinstance(event, RequestCompleted)
                    self.data_ended = True

    def registerProducer(self, producer: Any, streaming: object) -> None:
        assert streaming is True
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def closeStdin(self) -> None:
        self.input_closed = True

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    # As its program.

    def answer(self, value: Value) -> None:
        self._connection.send_result(self.requests[-1].request_id, value)
        self.flush()

    def say(self, *pieces: bytes) -> None:
        """Send each piece in a frame of its own."""
        self._connection.send_object(self.requests[-1].request_id, Encoded(pieces))
        self.flush()

    def fill(self) -> None:
        """Answer with so much that a reader that does not read makes the worker wait."""
        while self.output.is_read:
            self.say(PIECE)

    def end(self) -> None:
        self._connection.end_response(self.requests[-1].request_id)
        self.flush()

    def flush(self) -> None:
        frames = self._connection.data_to_send()
        self.protocol.outReceived(b"".join(part for frame in frames for part in frame))

    def fail(self, message: bytes) -> None:
        self._connection.send_error(self.requests[-1].request_id, message)
        self.flush()

    def become_ready(self) -> None:
        assert self.requests[-1].command == READY
        self.answer(b"7.2")

    def exit(self, code: int = 0) -> None:
        reason = Failure(ProcessTerminated(code) if code else ProcessDone(0))
        self.protocol.processExited(reason)
        # The end of a pipe that is not read is not seen.
        assert self.output.is_read
        self.protocol.outConnectionLost()
        self.protocol.errConnectionLost()
        self.protocol.processEnded(reason)

    @property
    def asked(self) -> list[object]:
        return [request.command for request in self.requests if request.command != READY]


class FakeReactor(Clock):
    """A clock that starts fake workers."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[FakeWorker] = []
        self.refusal: OSError | None = None

    def spawnProcess(
        self,
        protocol: Any,
        executable: str,
        args: Sequence[str],
        env: Mapping[str, str],
        childFDs: Mapping[int, str],
    ) -> FakeWorker:
        assert executable == args[0]
        assert childFDs == {0: "w", 1: "r", 2: "r"}
        if self.refusal is not None:
            raise self.refusal
        pid = 2**30 + len(self.workers)
        self.workers.append(FakeWorker(protocol, args, env, pid))
        return self.workers[-1]

    def make_ready(self) -> None:
        """Let the workers that were started be ready, one after the other."""
        for worker in self.workers:
            if not worker.requests[1:] and worker.protocol.state is WorkerState.STARTING:
                worker.become_ready()


Start: TypeAlias = "Callable[..., WorkerPool]"
"""Starts a pool under limits; its first worker is not ready."""

Ready: TypeAlias = "Callable[..., tuple[WorkerPool, FakeWorker]]"
"""Starts a pool under limits; its first worker is ready."""


def ask(
    pool: WorkerPool, command: bytes = b"heads", permission: Permission = Permission.RO
) -> Deferred[object]:
    """Ask for a value."""
    context = CallContext(repository=b"/r", user="alice", permission=permission)
    return pool.call(context, command, {})


class Reader:
    """The reader of a stream that it has asked for."""

    def __init__(
        self,
        pool: WorkerPool,
        share: str | None = None,
        *,
        permission: Permission = Permission.RO,
        has_data: bool = False,
    ) -> None:
        context = CallContext(repository=b"/r", user=None, permission=permission)
        self.opened = pool.open(context, b"stream", {}, share=share, has_data=has_data)
        self._stream: WorkerStream | None = None

    @property
    def stream(self) -> WorkerStream:
        self._stream = self._stream or _case.successResultOf(self.opened)
        return self._stream

    def reading(self) -> Deferred[list[bytes]]:
        return Deferred.fromCoroutine(self.stream.read())

    def take(self) -> bytes:
        pieces: list[bytes] = _case.successResultOf(self.reading())
        return b"".join(pieces)

    def take_all(self) -> bytes:
        taken = b""
        while more := self.take():
            taken += more
        return taken
