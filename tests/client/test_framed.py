"""Raw connections that end: closed, lost, made anew. Calls over one: test_transports.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.client.address import parse_url
from wiredaemon.client.errors import (
    ClientError,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineError,
    LoginRefusedError,
    SilentError,
)
from wiredaemon.client.framed import FramedConnection
from wiredaemon.client.options import CLOSE_SECONDS, ClientOptions
from wiredaemon.client.twisted_runtime import TwistedRuntime
from wiredaemon.protocol import (
    DataReceived,
    PingReceived,
    RequestCancelled,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from wiredaemon.client.call import Call
    from wiredaemon.client.runtime import Receiver

CAPABILITIES = {
    b"commands": {
        b"read": {b"args": {}, b"permissions": [b"pull"]},
        b"write": {b"args": {}, b"permissions": [b"push"]},
    }
}


class Stream:
    """The client's end of a connection to a server that a test plays."""

    chosen_protocol = None
    tls = None
    is_gone = False
    """The server answers nothing more."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self.receiver = receiver
        self.clock = clock
        self.server = ServerConnection(DIALECTS["0006"], half_duplex=False)
        self.requests: list[RequestReceived] = []
        self.events: list[Any] = []
        self.did: list[str] = []

    def write(self, parts: Sequence[bytes]) -> None:
        if self.is_gone:
            return
        for event in self.server.receive_data(b"".join(parts)):
            self.events.append(event)
            if isinstance(event, RequestReceived):
                self.requests.append(event)
                if event.command == b"capabilities":
                    self.answer(self.requests.pop(), CAPABILITIES)
        self.send()

    def answer(self, request: RequestReceived, value: Any) -> None:
        self.server.send_result(request.request_id, value)
        self.send()

    def send(self) -> None:
        data = b"".join(self.server.parts_to_send())
        if data:
            # Never while the client still writes.
            self.clock.callLater(0, self.receiver.receive_data, data)

    def lose(self, error: ClientError | None = None) -> None:
        self.receiver.receive_end(error or ConnectionLostError("the cable"))

    def pause_input(self) -> None:
        self.did.append("pause")

    def resume_input(self) -> None:
        self.did.append("resume")

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")
        self.lose()


class Played(TwistedRuntime):
    """A runtime whose connections lead to servers that a test plays."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.streams: list[Stream] = []
        self.refusals: list[ClientError] = []
        """What the next attempts fail with."""

    async def open(self, address: Any, receiver: Receiver, *_: Any, **__: Any) -> Stream:  # noqa: ARG002 of the interface
        if self.refusals:
            raise self.refusals.pop(0)
        stream = Stream(receiver, self.clock)
        self.streams.append(stream)
        return stream


class Connected:
    """A connection to such a server."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.runtime = Played(self.clock)
        address = parse_url("hgrpc://127.0.0.1:1/")
        self.connection = FramedConnection(self.runtime, address, ClientOptions(**options))
        opening = Deferred.fromCoroutine(self.connection.open())
        self.turn()
        assert opening.called

    @property
    def stream(self) -> Stream:
        return self.runtime.streams[-1]

    def call(self, command: str = "read", **more: Any) -> Call:
        call = self.connection.call(command, **more)
        self.turn()
        return call

    def turn(self) -> None:
        """Let everything happen that is due."""
        self.clock.pump([0] * 4)

    def lose(self, error: ClientError | None = None) -> None:
        self.stream.lose(error)
        self.turn()

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.connection.close())

    def answer_all(self) -> None:
        for request in self.stream.requests:
            self.stream.answer(request, b"read")
        self.turn()


@pytest.fixture
def connected() -> Connected:
    return Connected()


def failure_of(call: Call) -> BaseException:
    """How a call has failed; it has."""
    reading = Deferred.fromCoroutine(call.result())
    outcome: list[Any] = []
    reading.addErrback(outcome.append)
    assert outcome, "the call has not failed"
    error: BaseException = outcome[0].value
    return error


# --- closing -------------------------------------------------------------------------------------


def test_it_is_closed_when_the_connection_is_lost(connected: Connected) -> None:
    closing = connected.close()
    assert (closing.called, connected.stream.did) == (False, ["close"])
    connected.lose()
    assert (closing.called, connected.stream.did) == (True, ["close"])


def test_it_is_cut_off_after_a_while_if_the_server_does_not_take_leave(
    connected: Connected,
) -> None:
    closing = connected.close()
    connected.clock.advance(CLOSE_SECONDS - 0.1)
    assert (closing.called, connected.stream.did) == (False, ["close"])
    connected.clock.advance(0.1)
    assert (closing.called, connected.stream.did) == (True, ["close", "abort"])


@pytest.mark.parametrize("times", [1, 2])
def test_a_connection_that_is_closed_already_is_not_waited_for(
    connected: Connected, times: int
) -> None:
    connected.lose()
    close: Callable[[], Deferred[None]] = connected.close
    assert all(close().called for _ in range(times))


def test_a_call_of_a_closed_connection_fails(connected: Connected) -> None:
    connected.close()
    connected.lose()
    error = failure_of(connected.call())
    assert (type(error), str(error)) == (ConnectionLostError, "the connection was closed")


# --- connecting again ----------------------------------------------------------------------------


@ensure_deferred
async def test_the_next_call_connects_again(connected: Connected) -> None:
    connected.lose(ConnectionClosedError("restarted"))
    call = connected.call()
    assert len(connected.runtime.streams) == 2
    connected.answer_all()
    assert await call == b"read"


@ensure_deferred
async def test_a_call_that_only_reads_is_made_once_more(connected: Connected) -> None:
    call = connected.call()
    connected.lose()
    assert len(connected.runtime.streams) == 2
    connected.answer_all()
    assert await call == b"read"


@pytest.mark.parametrize(
    ("command", "more"), [("write", {}), ("unknown", {}), ("read", {"data": iter([b"once"])})]
)
def test_what_may_have_happened_is_not_made_twice(
    connected: Connected, command: str, more: dict[str, Any]
) -> None:
    call = connected.call(command, **more)
    connected.lose()
    assert isinstance(failure_of(call), ConnectionLostError)
    assert len(connected.runtime.streams) == 1


def test_a_call_is_not_made_for_ever(connected: Connected) -> None:
    call = connected.call()
    connected.lose()
    connected.lose()
    assert isinstance(failure_of(call), ConnectionLostError)
    assert len(connected.runtime.streams) == 2


@ensure_deferred
async def test_a_server_that_starts_again_is_asked_until_it_is_there(connected: Connected) -> None:
    connected.lose()
    connected.runtime.refusals += [ConnectError("refused")] * 3
    call = connected.call()
    assert not call.is_over
    # Pauses of at most 0.1, 0.2 and 0.4 s.
    connected.clock.pump([0.1] * 7)
    connected.answer_all()
    assert await call == b"read"


def test_a_server_that_stays_away_is_given_up(connected: Connected) -> None:
    connected.lose()
    connected.runtime.refusals += [ConnectError("refused")] * 1000
    call = connected.call()
    connected.clock.pump([0.5] * 60)
    assert str(failure_of(call)) == "refused"


def test_a_server_that_was_understood_is_not_said_to_speak_something_else(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.lose()
    monkeypatch.setattr(Stream, "is_gone", True)
    call = connected.call()
    for _ in range(2):
        connected.lose(ConnectionClosedError("closed"))
        connected.clock.advance(31)
    assert str(failure_of(call)) == "closed: input ended before the response to request 1"


def test_a_login_that_is_refused_is_not_tried_again(connected: Connected) -> None:
    connected.lose()
    connected.runtime.refusals += [LoginRefusedError("no"), ConnectError("not asked")]
    assert isinstance(failure_of(connected.call()), LoginRefusedError)
    assert len(connected.runtime.refusals) == 1


def test_a_deadline_counts_while_there_is_no_connection(connected: Connected) -> None:
    connected.lose()
    connected.runtime.refusals += [ConnectError("refused")] * 1000
    call = connected.call(timeout=1)
    connected.clock.pump([0.25] * 4)
    assert isinstance(failure_of(call), DeadlineError)


# --- sessions ------------------------------------------------------------------------------------


def test_a_closed_call_is_cancelled(connected: Connected) -> None:
    call, other = connected.call(), connected.call()
    call.close()
    connected.turn()
    [cancelled] = [
        event for event in connected.stream.events if isinstance(event, RequestCancelled)
    ]
    assert cancelled.request_id == connected.stream.requests[0].request_id
    assert not other.is_over
    assert connected.stream.did == []


def test_a_deadline_travels_and_ends_the_call(connected: Connected) -> None:
    call = connected.call(timeout=2.5)
    assert connected.stream.requests[0].extra == {b"timeout": 2500}
    connected.clock.advance(2.5)
    assert isinstance(failure_of(call), DeadlineError)


def test_the_timeout_of_the_options_is_that_of_all_calls() -> None:
    connected = Connected(timeout=1)
    call, other = connected.call(), connected.call(timeout=2)
    connected.clock.advance(1)
    assert isinstance(failure_of(call), DeadlineError)
    assert not other.is_over


@ensure_deferred
async def test_a_server_that_takes_leave_gets_no_further_call(connected: Connected) -> None:
    before, first = connected.call(), connected.stream
    first.server.send_go_away(b"stopping")
    first.send()
    connected.turn()
    behind = connected.call()
    assert len(connected.runtime.streams) == 2
    assert connected.stream.requests[0].command == b"read"
    connected.answer_all()
    assert await behind == b"read"
    # What was asked before is answered there, and then that connection is closed.
    assert first.did == []
    first.answer(first.requests[0], b"before")
    connected.turn()
    assert await before == b"before"
    assert [one for one in first.did if one in {"close", "abort"}] == ["close"]


class Broken:
    """An observer that cannot bear text."""

    def receive_text(self, text: bytes) -> None:
        raise ZeroDivisionError(text)

    def receive_progress(self, progress: object) -> None:
        """Take no note."""


def test_what_an_observer_raises_fails_its_call_alone(connected: Connected) -> None:
    call, other = connected.call(observer=Broken()), connected.call()
    connected.stream.server.send_text(connected.stream.requests[0].request_id, b"hello")
    connected.stream.send()
    connected.turn()
    assert isinstance(failure_of(call), ZeroDivisionError)
    assert not other.is_over
    assert isinstance(connected.stream.events[-1], RequestCancelled)


def test_data_that_cannot_be_read_cancels_its_call_alone(connected: Connected) -> None:
    def broken() -> Iterator[bytes]:
        yield b"first"
        raise OSError(5, "Input/output error")

    other, call = connected.call(), connected.call("write", data=broken())
    connected.turn()
    assert isinstance(failure_of(call), OSError)
    assert not other.is_over
    kinds = [type(event).__name__ for event in connected.stream.events]
    # In front of the end of the data, which is not taken for whole.
    assert "RequestCancelled" in kinds
    assert "RequestCompleted" not in kinds


def test_data_whose_sender_is_cancelled_is_not_whole(connected: Connected) -> None:
    async def cut_off() -> AsyncIterator[bytes]:
        yield b"first"
        never: Deferred[None] = Deferred()
        never.cancel()
        await never

    call = connected.call("write", data=cut_off())
    connected.turn()
    assert isinstance(failure_of(call), ConnectionLostError)
    kinds = [type(event).__name__ for event in connected.stream.events]
    assert "RequestCancelled" in kinds
    assert "RequestCompleted" not in kinds


def test_data_travels_only_where_the_server_can_run_its_command(connected: Connected) -> None:
    slow = [connected.call() for _ in range(8)]
    small, large = connected.call("write", data=b"x"), connected.call("write", data=[b"y"])
    connected.turn()
    assert not any(isinstance(event, DataReceived) for event in connected.stream.events)
    server, requests = connected.stream.server, connected.stream.requests
    for request in requests[:2]:
        server.send_result(request.request_id, b"read")
    connected.stream.send()
    connected.turn()
    data = [event.data for event in connected.stream.events if isinstance(event, DataReceived)]
    assert b"".join(data) == b"xy"
    assert [call.is_over for call in slow] == [True] * 2 + [False] * 6
    assert not small.is_over
    assert not large.is_over


@pytest.mark.parametrize("timeout", [float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(connected: Connected, timeout: float) -> None:
    assert "a timeout is a number of seconds" in str(failure_of(connected.call(timeout=timeout)))


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_may_be_over_at_once(connected: Connected, timeout: float) -> None:
    other = connected.call()
    assert isinstance(failure_of(connected.call(timeout=timeout)), DeadlineError)
    assert not other.is_over


@ensure_deferred
async def test_an_upload_that_has_waited_for_its_turn_is_made_once_more_too(
    connected: Connected,
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await Deferred()

    uploads = [connected.call("write", data=slow()) for _ in range(8)]
    last = connected.call("read", data=b"last")
    assert [request.command for request in connected.stream.requests] == [b"write"] * 8
    uploads[0].close()
    connected.turn()
    assert connected.stream.requests[-1].command == b"read"
    connected.lose()
    assert not last.is_over
    connected.answer_all()
    assert await last == b"read"


def test_closing_ends_the_attempts_to_connect_again(connected: Connected) -> None:
    connected.lose()
    connected.runtime.refusals += [ConnectError("refused")] * 1000
    call = connected.call()
    connected.close()
    connected.turn()
    assert str(failure_of(call)) == "the connection was closed"
    assert connected.clock.getDelayedCalls() == []
    assert len(connected.runtime.refusals) == 999


def test_a_caller_that_reads_nothing_gives_signs_of_life(connected: Connected) -> None:
    call = connected.call()
    server, request = connected.stream.server, connected.stream.requests[0]
    server.send_object(request.request_id, b"one")
    server.send_held(request.request_id)
    connected.stream.send()
    connected.turn()
    assert connected.stream.did == ["pause"]
    connected.clock.pump([10] * 3)
    pings = [event for event in connected.stream.events if isinstance(event, PingReceived)]
    assert len(pings) == 3
    call.close()
    assert connected.stream.did == ["pause", "resume"]


def test_a_silent_connection_is_asked_for_a_sign_of_life() -> None:
    connected = Connected(keep_alive_seconds=10)
    for _ in range(3):
        connected.clock.advance(10)
        connected.turn()
    # Each ping was answered.
    assert len(connected.runtime.streams) == 1
    call = connected.call()
    connected.stream.is_gone = True
    connected.clock.advance(10)
    connected.clock.advance(10)
    error = failure_of(call)
    assert isinstance(error, SilentError)
    assert str(error) == "127.0.0.1:1 gave no sign of life for 10 s after it was asked"
