"""The answer of a WSGI application, in pieces of a good size."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.worker.wsgi import PIECE_SIZE, Head, answer
from wiredaemon.worker.wsgi_environ import environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

OK = Head(status=200, reason=b"OK", headers=((b"Content-Type", b"text/plain"),))
TEXT = [("Content-Type", "text/plain")]


def variables(method: bytes = b"GET") -> dict[str, Any]:
    request = WebRequest(method=method, server_name=b"hg.example", server_port=8000)
    return environ(request, user=None, body=io.BytesIO())


def run(
    application: Any,
    *,
    method: bytes = b"GET",
    clock: Callable[[], float] = lambda: 0.0,
    in_thread: bool = False,
) -> list[Head | bytes]:
    return list(answer(application, variables(method=method), clock=clock, in_thread=in_thread))


def giving(*pieces: bytes) -> Any:
    def application(_: object, start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield from pieces

    return application


@pytest.mark.parametrize("in_thread", [False, True])
def test_what_is_given_follows_the_standard(*, in_thread: bool) -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("200 OK", TEXT)
        return [b"some ", b"text"]

    assert run(validator(application), in_thread=in_thread) == [OK, b"some text"]


def test_headers_about_the_connection_stay_behind() -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start(
            "200 OK",
            [("Connection", "Close"), *TEXT, ("transfer-encoding", "chunked"), ("Trailer", "X")],
        )
        return []

    assert run(application) == [OK]


def test_what_is_repeated_of_a_request_stays_on_one_line() -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("404 no\r\nX: y", [("Name", "caf\xe9\r\nX: y")])
        return []

    head = Head(status=404, reason=b"no  X: y", headers=((b"Name", b"caf\xe9  X: y"),))
    assert run(application) == [head]


def test_large_pieces_are_cut_and_small_ones_joined() -> None:
    large = bytes(range(256)) * 600
    got = run(giving(b"a", b"", b"b", large, b"c", b"d"))
    assert [len(piece) for piece in got[1:] if isinstance(piece, bytes)] == [
        *(PIECE_SIZE, PIECE_SIZE, len(large) + 2 - 2 * PIECE_SIZE, 2)
    ]
    assert b"".join(piece for piece in got if isinstance(piece, bytes)) == b"ab" + large + b"cd"


def test_small_pieces_are_not_held_for_long() -> None:
    times = iter([0.0, 0.05, 0.09, 0.11, 5.0, 5.2])
    # Asked once for the first piece that is held, and after each.
    got = run(giving(b"a", b"b", b"c", b"d"), clock=lambda: next(times))
    assert got == [OK, b"abc", b"d"]


def test_nothing_but_the_head_is_given_for_head() -> None:
    assert run(giving(b"text"), method=b"HEAD") == [OK]


def test_an_exception_in_front_of_the_body_comes_in_front_of_the_head() -> None:
    def application(_: object, start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b""
        raise LookupError

    with pytest.raises(LookupError):
        next(answer(application, variables(), clock=lambda: 0.0))


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_later_exception_comes_after_the_head(*, in_thread: bool) -> None:
    def application(_: object, start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b"x" * PIECE_SIZE
        raise LookupError

    parts = answer(application, variables(), clock=lambda: 0.0, in_thread=in_thread)
    assert [next(parts), next(parts)] == [OK, b"x" * PIECE_SIZE]
    with pytest.raises(LookupError):
        next(parts)


def exc_info() -> tuple[type[BaseException], BaseException, None]:
    return LookupError, LookupError(), None


def test_another_head_may_replace_one_that_was_not_sent() -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("500 No", [])
        start("200 OK", TEXT, exc_info())
        return []

    assert run(application) == [OK]


def test_another_head_after_the_first_was_sent_raises_its_reason() -> None:
    def application(_: object, start: Any) -> Iterator[bytes]:
        start("200 OK", TEXT)
        yield b"x" * PIECE_SIZE
        start("500 No", [], exc_info())

    with pytest.raises(LookupError):
        run(application)


def test_two_heads_are_a_mistake() -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("200 OK", TEXT)
        start("200 OK", TEXT)
        return []

    with pytest.raises(RuntimeError, match="twice"):
        run(application)


def test_no_head_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="did not call start_response"):
        run(lambda _variables, _start: [])


@pytest.mark.parametrize("in_thread", [False, True])
def test_what_is_written_comes_in_its_place(*, in_thread: bool) -> None:
    large = b"x" * (2 << 20)

    def application(_: object, start: Any) -> Iterator[bytes]:
        write = start("200 OK", TEXT)
        write(b"1")
        write(b"2")
        yield b"3"
        write(large)
        yield b"4"
        write(b"5")

    got = run(application, in_thread=in_thread)
    assert got[0] == OK
    assert b"".join(piece for piece in got if isinstance(piece, bytes)) == b"123" + large + b"45"


class Closing:
    """An answer that says when it is closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def __call__(self, _: object, start: Any) -> Closing:
        start("200 OK", TEXT)
        return self

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * PIECE_SIZE

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("in_thread", [False, True])
def test_an_application_that_is_left_is_closed(*, in_thread: bool) -> None:
    application = Closing()
    parts = answer(application, variables(), clock=lambda: 0.0, in_thread=in_thread)
    assert [next(parts), next(parts)] == [OK, b"x" * PIECE_SIZE]
    parts.close()
    assert application.is_closed
    assert "web" not in {thread.name for thread in threading.enumerate()}


def test_an_application_that_writes_is_unwound_when_it_is_left() -> None:
    seen: list[str] = []

    def application(_: object, start: Any) -> Iterable[bytes]:
        write = start("200 OK", TEXT)
        try:
            while True:
                write(b"x" * PIECE_SIZE)
        finally:
            write(b"the end")
            seen.append("unwound")

    parts = answer(application, variables(), clock=lambda: 0.0, in_thread=True)
    assert [next(parts), next(parts)] == [OK, b"x" * PIECE_SIZE]
    parts.close()
    assert seen == ["unwound"]
