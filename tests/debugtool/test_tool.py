"""Runs against a server that says what it is told to: what a good server never sends."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from support.environment import LOOPBACK

from wiredaemon.debugtool.eras import ERAS
from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.tool import HTTP2, RAW, Options, run
from wiredaemon.debugtool.transcript import Detail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GET = b"httprequest GET x\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def serving(*answers: bytes) -> Iterator[str]:
    """Answer one connection behind the other, and give the URL."""
    with socket.create_server((LOOPBACK, 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection = listening.accept()[0]
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        thread.join()


def transcript(script: bytes, *answers: bytes, peer: str = RAW, dialect: str = "0006") -> str:
    output = BytesIO()
    with serving(*answers) as url:
        options = Options(
            url=url,
            peer=peer,
            era=ERAS[dialect],
            detail=Detail.BYTES,
            encodings=(b"identity",),
            seconds=30.0,
        )
        run(script, output, options)
    return output.getvalue().decode()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection"),
        (b"SSH-2.0-x\r\n", "not a response of HTTP/1: SSH-2.0-x"),
        (OK + b"a: b\r\n" * 300 + b"\r\n", "more than 256 headers"),
        (OK + b"a: " + b"b" * 70000, "a line of more than 65536 bytes"),
        (OK + b"Content-Length: 5\r\n\r\nab", "ends too early"),
        (OK + b"Content-Length: x\r\n\r\nab", "not a length: x"),
        (OK + b"Content-Length: 999999999999\r\n\r\n", "more than 67108864 bytes"),
        (CHUNKED, "ends too early"),
        (CHUNKED + b"5\r\nab", "ends too early"),
        (CHUNKED + b"-5\r\nab", "no size"),
        (CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", "does not end where it should"),
        (CHUNKED + b"ffffffffffffffff\r\n", "more than 67108864 bytes"),
        (OK + b"Content-Type: application/mercurial-cbor\r\n\r\n\xff", "error decoding CBOR"),
    ],
)
def test_a_bad_response_is_told_in_words(answer: bytes, message: str) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        transcript(GET, answer)
    assert caught.value.status == 255


def test_a_response_to_the_end_of_its_connection_is_followed_by_another_connection() -> None:
    printed = transcript(GET * 2, OK + b"\r\na\nb", OK + b"Content-Length: 0\r\n\r\n")
    assert printed.count("s> setsockopt(6, 1, 1) -> None\n") == 2
    assert "s>     a\\n\ns>     b\ns> setsockopt" in printed


@pytest.mark.parametrize("dialect", ["0002", "0006"])
def test_a_server_without_version_2_gives_no_peer(dialect: str) -> None:
    answer = OK + b"Content-Type: application/mercurial-0.1\r\nContent-Length: 5\r\n\r\nbatch"
    with pytest.raises(ToolError, match="could not instantiate HTTP peer") as caught:
        transcript(b"", *([answer] if dialect == "0006" else []), peer=HTTP2, dialect=dialect)
    assert "may not have the feature enabled" in caught.value.hint


def test_a_failed_handshake_says_so() -> None:
    with pytest.raises(ToolError, match=r"^HTTP Error 500: Sorry$"):
        transcript(b"", b"HTTP/1.1 500 Sorry\r\n\r\n", peer=HTTP2)
    with pytest.raises(ToolError, match="does not appear to be an hg repository"):
        transcript(b"", OK + b"Content-Type: text/html\r\n\r\n", peer=HTTP2)


def test_a_file_can_be_the_body(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"a\nb")
    script = f"httprequest POST x\n  BODYFILE {file}\n".encode()
    printed = transcript(script, OK + b"Content-Length: 0\r\n\r\n")
    assert "s>     content-length: 3\\r\\n\n" in printed
    assert "s>     \\r\\n\ns>     a\\n\ns>     b\ns> makefile" in printed
    with pytest.raises(ToolError, match="No such file"):
        transcript(f"httprequest POST x\n  BODYFILE {file}x\n".encode())
