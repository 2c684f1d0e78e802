"""A whole body on its way to a worker."""

from __future__ import annotations

from typing import Any

from wiredaemon.net.hgweb.whole_body import WholeBody


class SlowWorker:
    """A stream whose worker pauses what sends behind each piece."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bool]] = []
        self.producer: Any = None

    def watch_input(self, producer: Any) -> None:
        self.producer = producer

    def send_data(self, data: bytes, *, end: bool = False) -> None:
        self.pieces.append((len(data), end))
        self.producer.pauseProducing()


def test_a_worker_gets_no_more_of_a_body_than_it_reads() -> None:
    worker: Any = SlowWorker()
    body = WholeBody(bytearray(100_000))
    body.send_to(worker)
    assert (worker.pieces, len(body)) == ([(65536, False)], 100_000)
    worker.producer.resumeProducing()
    assert (worker.pieces[1:], len(body)) == ([(34464, True)], 0)
    worker.producer.resumeProducing()
    assert len(worker.pieces) == 2


def test_an_empty_body_is_an_end() -> None:
    worker: Any = SlowWorker()
    WholeBody(bytearray()).send_to(worker)
    assert worker.pieces == [(0, True)]


def test_what_a_lost_worker_does_not_read_is_let_go() -> None:
    worker: Any = SlowWorker()
    body = WholeBody(bytearray(100_000))
    body.send_to(worker)
    worker.producer.stopProducing()
    worker.producer.resumeProducing()
    assert (len(worker.pieces), len(body)) == (1, 0)
