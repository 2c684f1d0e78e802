"""One exchange in memory: commands made on the spot, a transport that remembers everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest_twisted
from support import peers
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel

from wiredaemon.commands import Command, Peer, Permission, ServerError
from wiredaemon.commands.registry import Registry
from wiredaemon.net.guard.command_threads import CommandThreads
from wiredaemon.net.guard.output_room import OutputRoom
from wiredaemon.net.guard.turns import Turns
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import CommandsOnly
from wiredaemon.net.responding.context import Origin
from wiredaemon.net.responding.exchange import begin_exchange
from wiredaemon.net.responding.interfaces import Admitted, ExchangeRefusedError
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

    from wiredaemon.protocol import RemoteProtocolError, RequestReceived, ServerConnection
    from wiredaemon.wire.frames import EncodedFrame

CRASHED: Final = b"the command failed; the server's log says why"
UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"
FINISHED: Final = "finished"

_log: Final = Logger()

_Test = TypeVar("_Test", bound="Callable[..., Any]")


def ensure_deferred(test: _Test) -> _Test:
    """Let a coroutine be a test; pytest-twisted's own is not annotated."""
    decorated: _Test = pytest_twisted.ensureDeferred(test)
    return decorated


def make_command(function: Callable[..., Any], **declared: Any) -> Command:
    """Declare a command named after its function."""
    return Command(name=function.__name__, permission=Permission.RO, function=function, **declared)


def make_origin(dialect: str) -> Origin:
    """Return an origin that hosts nothing."""
    host = CommandsOnly(Registry(), ApiSwitches(), AccessRules())
    return Origin(
        host=host,
        settings=host.settings(),
        framings=[DIALECTS[dialect]],
        dialect=DIALECTS[dialect],
        peer=Peer(address="10.0.0.1:99"),
        permission=Permission.RO,
    )


class RecordingTransport:
    """Remembers what an exchange does, in order."""

    def __init__(self) -> None:
        self.writes: list[list[EncodedFrame]] = []
        self.input: list[str] = []
        """``pause`` and ``resume`` as they came."""
        self.outcomes: list[object] = []
        """The end of the exchange; the test fails if it ends twice."""
        self.shared = 0
        """How often it was told that several requests are answered at once."""
        self.failed: list[str] = []
        """Errors of single requests."""
        self.on_write: Callable[[], None] | None = None

    def send_output(self, connection: ServerConnection) -> None:
        frames = connection.data_to_send()
        if not frames:
            return
        assert not self.outcomes, "frames behind the end"
        self.writes.append(frames)
        if self.on_write is not None:
            self.on_write()

    def share_output(self) -> None:
        self.shared += 1

    def pause_input(self) -> None:
        self.input.append("pause")

    def resume_input(self) -> None:
        self.input.append("resume")

    def request_failed(self, message: str) -> None:
        self.failed.append(message)

    def command_crashed(self, failure: Failure, command: str) -> None:
        _log.failure("command {command} failed", failure, command=command)

    def connection_failed(self, error: RemoteProtocolError) -> None:
        self.outcomes.append(error)

    def refused(self, answer: Any) -> None:
        self.outcomes.append(("refused", answer))

    def responses_finished(self, connection: ServerConnection) -> None:
        self.send_output(connection)
        self.outcomes.append(FINISHED)

    @property
    def wire(self) -> bytes:
        """All bytes sent."""
        return b"".join(header + payload for frames in self.writes for header, payload in frames)

    @property
    def size(self) -> int:
        """The number of bytes sent."""
        return sum(
            len(header) + len(payload) for frames in self.writes for header, payload in frames
        )


class Commands:
    """Admits the commands that were given, and refuses the whole exchange for ``refused``."""

    def __init__(self, commands: Iterable[Command], origin: Origin) -> None:
        self._origin = origin
        self._commands: Mapping[object, Command] = {
            command.name.encode(): command for command in commands
        }

    def begin_read(self) -> None:
        """Nothing is looked up."""

    def expects_data(self, event: RequestReceived) -> bool:
        command = self._commands.get(event.command)
        return command is not None and command.has_data

    def admit(self, event: RequestReceived) -> Admitted:
        if event.command == b"refused":
            raise ExchangeRefusedError("the answer")
        command = self._commands.get(event.command)
        if command is None:
            raise ServerError("no such command")
        return Admitted(command, self._origin)


class Responding:
    """An exchange, its transport and its clock."""

    def __init__(
        self,
        dialect: str,
        *commands: Command,
        half_duplex: bool = True,
        reactor: Any = None,
        limits: Limits | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.dialect = dialect
        self.limits = limits or Limits()
        self.clock = Clock()
        self.transport = RecordingTransport()
        self.turns = Turns(self.clock, now or (lambda: 0.0))
        self.input, self.responder = begin_exchange(
            self.transport,
            Commands(commands, make_origin(dialect)),
            DIALECTS[dialect],
            half_duplex=half_duplex,
            threads=CommandThreads(reactor or self.clock, self.limits),
            limits=self.limits,
            turns=self.turns,
            room=OutputRoom(self.limits),
        )
        self.connection = self.responder.connection

    def receive(self, *frames: bytes) -> None:
        """Feed frames, each by itself."""
        for frame in frames:
            self.input.receive_data(frame)

    def ask(self, request_id: int, name: str, data: bytes | None = None) -> None:
        """Feed one request."""
        self.receive(*peers.request_frames(self.dialect, request_id, name.encode(), data=data))

    def announce(self, request_id: int, name: str) -> None:
        """Feed the request part of a request that has data."""
        frames = peers.request_frames(self.dialect, request_id, name.encode(), data=b"")
        self.receive(*frames[:-1])

    def data(self, request_id: int, piece: bytes, *, is_last: bool = False) -> None:
        """Feed one frame of command data."""
        number = peers.NUMBERS[self.dialect]["data"]
        self.receive(peers.frame(number, 2 if is_last else 1, piece, request_id=request_id))

    def end(self) -> None:
        """End the input."""
        self.input.receive_end()

    def turn(self) -> None:
        """Let the reactor turn once; `Clock.advance` would run what is only due in the next."""
        calls, self.clock.calls = self.clock.calls, []
        for call in calls:
            if call.active():
                call.called = 1
                call.func(*call.args, **call.kw)

    def run_turns(self, limit: int = 2_000) -> None:
        """Let the reactor turn until nothing is left to do."""
        for _ in range(limit):
            if not self.clock.getDelayedCalls():
                return
            self.turn()
        raise AssertionError("it never ends")

    @property
    def answers(self) -> dict[int, peers.Answer]:
        """All answers, each complete."""
        return peers.read_answers(self.dialect, peers.parse_frames(self.transport.wire))

    @property
    def order(self) -> list[int]:
        """Request ids in the order in which their first frames were sent."""
        return list(
            dict.fromkeys(one.request_id for one in peers.parse_frames(self.transport.wire))
        )

    def result(self, *values: object) -> bytes:
        """Return the payload of a response with these objects."""
        canonical = self.dialect != "0006"
        content = b"".join(peers.item(value, canonical=canonical) for value in values)
        if self.dialect in {"0005", "0006"}:
            content = peers.item({b"status": b"ok"}, canonical=True) + content
        return content


def failures(events: Sequence[LogEvent]) -> list[LogEvent]:
    """Return what was logged as an error, unhandled errors of Deferreds among it."""
    return [event for event in events if event["log_level"] >= LogLevel.error]
