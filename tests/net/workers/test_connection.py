"""What goes through the pipes of one worker: answers, errors and command data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.fake_workers import PIECE, SLOW, Reader, ask, error, result

from wiredaemon.commands import Permission
from wiredaemon.repository.worker_calls import CallContext

if TYPE_CHECKING:
    from support.fake_workers import FakeReactor, Ready


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
    assert error(answer).endswith("response exceeds the limit of 1000 bytes")
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
    pool, worker = ready()
    refused = Reader(pool)
    worker.fail(b"100%% wrong")
    assert error(refused.reading()) == "100% wrong"
    broken = Reader(pool)
    worker.say(PIECE)
    worker.fail(b"late")
    assert broken.take() == PIECE
    assert error(broken.reading()) == "late"


def test_who_reads_late_does_not_disturb_the_next_stream_of_the_worker(ready: Ready) -> None:
    pool, worker = ready(**SLOW)
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
    pool, worker = ready()
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
