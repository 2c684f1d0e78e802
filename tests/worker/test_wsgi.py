from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.worker.wsgi import PIECE_SIZE, Head, answer, environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

OK = Head(status=200, reason=b"OK", headers=((b"Content-Type", b"text/plain"),))
TEXT = [("Content-Type", "text/plain")]


def request(**fields: Any) -> WebRequest:
    common: dict[str, Any] = {"method": b"GET", "server_name": b"hg.example", "server_port": 8000}
    return WebRequest(**common | fields)


def variables(user: str | None = None, body: bytes = b"", **fields: Any) -> dict[str, Any]:
    return environ(request(**fields), user=user, body=io.BytesIO(body))


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


def test_the_variables_of_a_request_are_those_of_the_standard() -> None:
    found = variables(
        user="renée",
        method=b"POST",
        script_name=b"/caf\xc3\xa9",
        path_info=b"/rev/\xff",
        query=b"a=%20b",
        headers=(
            (b"Host", b"hg.example:8000"),
            (b"content-type", b"application/mercurial-0.1"),
            (b"Content-Length", b"99"),
            (b"X-HgArg-1", b"x"),
            (b"Accept", b"a"),
            (b"accept", b"b"),
        ),
        is_secure=True,
        remote_address=b"192.0.2.7",
        has_body=True,
        content_length=4,
        body=b"body",
    )
    assert found.pop("wsgi.input").read() == b"body"
    assert found == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/caf\xc3\xa9",
        "PATH_INFO": "/rev/\xff",
        "QUERY_STRING": "a=%20b",
        "SERVER_NAME": "hg.example",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_HOST": "192.0.2.7",
        "REMOTE_USER": "ren\xc3\xa9e",
        "CONTENT_TYPE": "application/mercurial-0.1",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "hg.example:8000",
        "HTTP_X_HGARG_1": "x",
        "HTTP_ACCEPT": "a,b",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def test_nobody_in_particular_has_no_name() -> None:
    assert "REMOTE_USER" not in variables()
    assert variables()["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(
    "name",
    [b"Proxy", b"proxy", b"Authorization", b"X_HgArg_1", b"Content_Length", b"Remote User", b""],
)
def test_a_header_that_would_pass_for_something_else_is_left_out(name: bytes) -> None:
    plain, evil = variables(), variables(headers=((name, b"evil"),))
    del plain["wsgi.input"], evil["wsgi.input"]
    assert evil == plain


def test_a_body_of_unknown_length_is_read_to_its_end() -> None:
    found = variables(has_body=True, body=b"x" * 100_000)
    assert int(found["CONTENT_LENGTH"]) > 1 << 40
    assert found["wsgi.input"].read() == b"x" * 100_000


def test_a_body_has_the_interface_of_a_file() -> None:
    found = variables(has_body=True, content_length=8, body=b"a\nbc\ndef")["wsgi.input"]
    assert (found.readline(), found.read(1), list(found)) == (b"a\n", b"b", [b"c\n", b"def"])
    assert found.read(5) == b""


@pytest.mark.parametrize("in_thread", [False, True])
def test_what_is_given_follows_the_standard(*, in_thread: bool) -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("200 OK", TEXT)
        return [b"some ", b"text"]

    assert run(validator(application), in_thread=in_thread) == [OK, b"some text"]


def test_headers_about_the_connection_stay_behind() -> None:
    def application(_: object, start: Any) -> Iterable[bytes]:
        start("200 OK", [("Connection", "Close"), *TEXT, ("transfer-encoding", "chunked")])
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
