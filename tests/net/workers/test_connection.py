"""What goes through the pipes of one worker: answers, errors and command data."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from support.fake_workers import PIECE, SLOW, Reader, ask, error, result
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred

from wiredaemon.commands import Permission
from wiredaemon.net.workers.answers import ValueAnswer
from wiredaemon.net.workers.connection import WorkerConnection
from wiredaemon.protocol import ClientConnection
from wiredaemon.repository.worker_calls import WORKER_DIALECT, CallContext
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_workers import FakeReactor, Ready


class Input(FileDescriptor):
    """The end of a worker's input that is a pipe of the system."""

    def __init__(self) -> None:
        unused: Any = object()
        super().__init__(reactor=unused)
        self.connected = 1
        self.reading, self.descriptor = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self.reading, False)

    def fileno(self) -> int:
        return self.descriptor

    def read(self) -> bytes:
        """What the system has taken."""
        with suppress(BlockingIOError):
            return os.read(self.reading, 1 << 20)
        return b""

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.reading)


class Transport:
    """A process whose input is a pipe, and what was left to it to write."""

    def __init__(self) -> None:
        self.input = Input()
        self.pipes = {0: self.input}
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def unregisterProducer(self) -> None:
        pass


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.input.close()


def send(transport: Transport, data: bytes = b"") -> bytes:
    """Send a command with data, and return what it should be on the wire."""
    owner: Any = None
    connection = WorkerConnection(Limits(), transport, owner)
    connection.send_command(ValueAnswer(Limits(), Deferred()), b"c", {}, {}, has_data=True)
    connection.send_data(data, end=True)
    expected = ClientConnection(WORKER_DIALECT)
    expected.send_data(expected.send_command(b"c", {}, has_data=True), data, end=True)
    return b"".join(expected.parts_to_send())


def test_a_command_is_written_at_once(transport: Transport) -> None:
    expected = send(transport)
    assert (transport.input.read(), transport.written) == (expected, b"")


def test_a_command_is_written_behind_what_waits_already(transport: Transport) -> None:
    transport.input.dataBuffer = b"before"
    expected = send(transport)
    assert (transport.input.read(), transport.written) == (b"", expected)


def test_what_the_system_does_not_take_is_left_to_the_transport(transport: Transport) -> None:
    expected = send(transport, bytes(1 << 20))
    taken = transport.input.read()
    assert taken
    assert transport.written
    assert taken + transport.written == expected


def test_a_worker_that_is_gone_is_left_to_the_transport_to_find(transport: Transport) -> None:
    os.close(transport.input.reading)
    expected = send(transport)
    assert transport.written == expected
    transport.input.reading = os.open(os.devnull, os.O_RDONLY)


def test_an_answer_and_both_kinds_of_errors_reach_who_asked(ready: Ready) -> None:
    pool, worker = ready()
    first, second = ask(pool, b"first"), ask(pool, b"second")
    worker.answer({b"a": [1]})
    assert result(first) == {b"a": [1]}
    worker.fail(b"100%% wrong")
    assert error(second) == "100% wrong"


def test_a_result_over_the_limit_costs_the_command_and_its_worker(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_result=1000)
    answer = ask(pool)
    worker.answer(bytes(2000))
    assert error(answer).endswith("response exceeds the limit of 1000 bytes (worker_result)")
    assert worker.signals == ["KILL"]
    worker.exit(9)
    assert len(reactor.workers) == 2


def test_a_worker_that_speaks_no_protocol_is_replaced(ready: Ready) -> None:
    pool, worker = ready()
    answer = ask(pool)
    worker.protocol.outReceived(b"Traceback (most recent call last):\n")
    assert error(answer).startswith("the repository worker's answer is refused: ")
    assert worker.signals == ["KILL"]


def test_an_argument_that_has_no_form_costs_only_its_command(ready: Ready) -> None:
    pool, worker = ready()
    wrong: Any = {b"key": 1.5}
    answer = pool.call(CallContext(repository=b"/r"), b"lookup", wrong)
    assert "float" in error(answer)
    served = ask(pool)
    worker.answer(b"served")
    assert result(served) == b"served"


def test_a_stream_that_is_no_answer_costs_the_worker(ready: Ready) -> None:
    pool, worker = ready()
    reader = Reader(pool)
    worker.protocol.outReceived(b"Traceback (most recent call last):\n")
    assert error(reader.reading()).startswith("the repository worker's answer is refused: ")
    assert worker.signals == ["KILL"]


def test_the_errors_of_a_stream_reach_its_reader(ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    refused = Reader(pool)
    worker.fail(b"100%% wrong")
    assert error(refused.reading()) == "100% wrong"
    broken = Reader(pool)
    worker.say(PIECE)
    worker.fail(b"late")
    assert broken.take() == PIECE
    assert error(broken.reading()) == "late"


def test_who_reads_late_does_not_disturb_the_next_stream_of_the_worker(ready: Ready) -> None:
    pool, worker = ready(**SLOW | {"worker_processes": 1})
    first, second = Reader(pool), Reader(pool)
    worker.say(PIECE, PIECE, PIECE)
    worker.end()
    worker.fill()
    assert not worker.output.is_read
    assert len(first.take_all()) == 3 * len(PIECE)
    first.stream.close()
    assert not worker.output.is_read, "the second reader has not read"
    second.take()
    assert worker.output.is_read


class Upload:
    """Who sends command data."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def test_command_data_goes_to_the_worker_which_pauses_who_sends_it(ready: Ready) -> None:
    pool, worker = ready()
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    upload: Any = Upload()
    reader.stream.watch_input(upload)
    worker.producer.pauseProducing()
    worker.producer.resumeProducing()
    assert upload.told == ["pause", "resume"]
    reader.stream.send_data(b"a" * 100_000)
    assert (worker.data, worker.data_ended) == (b"a" * 100_000, False)
    reader.stream.send_data(b"b", end=True)
    assert (worker.data, worker.data_ended) == (b"a" * 100_000 + b"b", True)
    assert worker.producer is None
    worker.answer(b"done")
    assert reader.take_all() == b"Ddone"


def test_a_worker_that_answers_before_it_has_all_data_is_told_the_end(ready: Ready) -> None:
    pool, worker = ready(worker_processes=1)
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    reader.stream.watch_input(Upload())  # type: ignore[arg-type]
    reader.stream.send_data(b"some")
    worker.answer(b"no")
    assert (worker.data, worker.data_ended, worker.producer) == (b"some", True, None)
    reader.stream.send_data(b"more")
    assert reader.take_all() == b"Bno"
    reader.stream.close()
    next_one = Reader(pool, permission=Permission.RW, has_data=True)
    next_one.stream.watch_input(Upload())  # type: ignore[arg-type]
    next_one.stream.send_data(b"whole", end=True)
    assert (worker.data, worker.data_ended) == (b"whole", True)


def test_command_data_that_breaks_off_ends_its_worker_and_another_takes_its_place(
    reactor: FakeReactor, ready: Ready
) -> None:
    pool, worker = ready(worker_processes=2)
    reader = Reader(pool, permission=Permission.RW, has_data=True)
    reader.stream.watch_input(Upload())  # type: ignore[arg-type]
    reader.stream.send_data(b"some")
    reader.stream.close()
    assert (worker.input_closed, worker.data_ended, worker.producer) == (True, False, None)
    assert worker.signals == []
    answer = ask(pool)
    reactor.make_ready()
    reactor.workers[1].answer(b"value")
    assert result(answer) == b"value"
    worker.fail(b"it was cut off")
    worker.exit()
    reactor.advance(600.0)
    assert worker.signals == []
