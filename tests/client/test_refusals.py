"""Servers that are not there, not what they should be, or break off: what a client says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.responding import ensure_deferred
from support.serving import listening, scripted

from wiredaemon.client import (
    BrokenProtocolError,
    ClientError,
    ClientOptions,
    ConnectError,
    ConnectionLostError,
    HttpAnswerError,
    NotOfferedError,
    SilentError,
    UntrustedError,
    connect,
    reconnecting,
)
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from pathlib import Path

MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"


def answer(
    status: str, content: bytes, content_type: str = "text/plain", *, length: int | None = None
) -> bytes:
    size = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {size}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def cbor(value: object) -> bytes:
    return answer("200 OK", peers.item(value, canonical=True), "application/mercurial-cbor")


async def ask(url: str, **options: Any) -> object:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    connection = await connect(reactor, url, ClientOptions(**options))
    try:
        return await connection.call(b"heads").result()
    finally:
        await connection.close()


def redirected(location: str) -> bytes:
    return f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


OFFER: Final = {
    b"apibase": b"api/",
    b"apis": {b"exp-http-v2-0003": {b"framingmediatypes": [MEDIA_TYPE.encode()]}},
}


@ensure_deferred
async def test_a_repository_that_has_moved_is_called_where_it_is_now() -> None:
    answered = response(peers.frame(3, 2, OK + b"\x01", stream_id=2, stream_flags=1))
    async with (
        listening(scripted(cbor(OFFER), answered)) as there,
        listening(scripted(redirected(f"http://127.0.0.1:{there}/new?cmd=capabilities"))) as here,
    ):
        assert await ask(f"http://127.0.0.1:{here}/old") == 1


@ensure_deferred
async def test_a_response_that_nobody_asked_for_is_no_answer_to_the_next_call() -> None:
    surplus = response(peers.frame(3, 2, OK + b"\x01", stream_id=2, stream_flags=1))
    async with listening(scripted(cbor(OFFER) + surplus, closes=False)) as port:
        # On a connection of its own, whose only answer is no frames.
        with pytest.raises(HttpAnswerError, match=r"^HTTP 200 OK"):
            await ask(f"http://127.0.0.1:{port}/")


@ensure_deferred
async def test_redirections_end() -> None:
    async with listening(scripted(*[redirected("/there?cmd=capabilities")] * 9)) as port:
        with pytest.raises(BrokenProtocolError, match=r"^more than 5 redirections$"):
            await ask(f"http://127.0.0.1:{port}/here")


async def closed_port() -> int:
    async with listening(scripted(b"")) as port:
        return port


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
@ensure_deferred
async def test_nobody_listens(kind: str) -> None:
    port = await closed_port()
    text = rf"^cannot connect to 127\.0\.0\.1:{port}: Connection was refused"
    with pytest.raises(ConnectError, match=text):
        await ask(f"{kind}://127.0.0.1:{port}/")


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_the_host_does_not_exist(kind: str) -> None:
    with pytest.raises(ConnectError, match=r"^cannot connect to nosuch\.invalid:80: no such host$"):
        await ask(f"{kind}://nosuch.invalid:80/")


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (answer("404 Not Found", b"no repository\n"), HttpAnswerError, "^HTTP 404 Not Found: no r"),
        (answer("500 Oops", b""), HttpAnswerError, "^HTTP 500 Oops$"),
        (
            answer("200 OK", b"<html>", "text/html"),
            NotOfferedError,
            "^no repository is at this URL: the answer, 200 with text/html, is of another site$",
        ),
        (
            answer("200 Script output follows", b"batch", "application/mercurial-0.1"),
            NotOfferedError,
            "the server offers no API of protocol version 2 here",
        ),
        (cbor({b"apibase": b"api/", b"apis": {}}), NotOfferedError, "offers no API"),
        (answer("200 OK", b"\xff", "application/mercurial-cbor"), BrokenProtocolError, "no CBOR"),
        (
            answer("200 OK", bytes(5_000_000), "application/mercurial-cbor"),
            BrokenProtocolError,
            "an answer of more than 4194304 bytes",
        ),
        (b"220 ready for mail\r\n\r\n", BrokenProtocolError, "does not speak HTTP$"),
        (b"", ConnectionLostError, r"^127\.0\.0\.1:\d+ closed the connection without a word: if"),
        (answer("200 OK", b"", length=9), ConnectionLostError, "closed the connection$"),
    ],
)
@ensure_deferred
async def test_the_handshake_gets_another_answer(
    given: bytes, kind: type[ClientError], text: str
) -> None:
    async with listening(scripted(given)) as port:
        with pytest.raises(kind, match=text):
            await ask(f"http://127.0.0.1:{port}/")


def response(*frames: bytes) -> bytes:
    return answer("200 OK", b"".join(frames), MEDIA_TYPE)


OK: Final = peers.item({b"status": b"ok"}, canonical=False)


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (answer("403 ssl required", b"permission denied"), HttpAnswerError, "^HTTP 403 ssl req"),
        (answer("401 no entry", b"0\nno entry\n"), HttpAnswerError, "^HTTP 401 no entry$"),
        (answer("500 Oh", b"two\n  lines\n"), HttpAnswerError, "^HTTP 500 Oh: two lines$"),
        (answer("200 OK", b"server already errored\n"), HttpAnswerError, "^HTTP 200 OK: server al"),
        (answer("200 OK", b"a" * 9000), HttpAnswerError, "^HTTP 200 OK: a{4096}$"),
        (
            answer("200 OK", b"", MEDIA_TYPE.replace("6", "5")),
            HttpAnswerError,
            "^HTTP 200 OK$",
        ),
        (response(), ConnectionLostError, "^the answer ended too early: input ended before"),
        (
            response(peers.frame(3, 1, OK, stream_id=2)[:-1]),
            ConnectionLostError,
            "^the answer ended too early: frame length error",
        ),
        (
            answer("200 OK", peers.frame(3, 1, OK, stream_id=2), MEDIA_TYPE, length=100),
            ConnectionLostError,
            "closed the connection: input ended before the response",
        ),
        (
            response(peers.frame(3, 2, OK, stream_id=3)),
            BrokenProtocolError,
            "^the server broke the protocol: received frame with odd numbered stream ID: 3$",
        ),
        # It speaks HTTP, as was seen: it is not said that it may speak TLS.
        (b"", ConnectionLostError, "closed the connection: input ended before the response"),
    ],
)
@ensure_deferred
async def test_a_call_over_http_gets_another_answer(
    given: bytes, kind: type[ClientError], text: str
) -> None:
    described = {
        b"apibase": b"api/",
        b"apis": {b"exp-http-v2-0003": {b"framingmediatypes": [MEDIA_TYPE.encode()]}},
    }
    async with listening(scripted(cbor(described), given)) as port:
        with pytest.raises(kind, match=text):
            await ask(f"http://127.0.0.1:{port}/")


@ensure_deferred
async def test_a_call_that_found_no_server_has_no_answer_that_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    monkeypatch.setattr(reconnecting, "_FIRST_PAUSE", 1000)  # so that it is tried once
    offer = cbor(OFFER).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    async with listening(scripted(offer)) as port:
        connection = await connect(reactor, f"http://127.0.0.1:{port}/")
    with pytest.raises(ConnectError, match=rf"^cannot connect to 127\.0\.0\.1:{port}: .*refused$"):
        await connection.call(b"heads").result()
    await connection.close()


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (b"", ConnectionLostError, r"closed the connection without a word: if it speaks TLS"),
        (b"\x00", ConnectionLostError, "closed the connection: received incomplete frame"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            BrokenProtocolError,
            "speaks HTTP: the URL must begin",
        ),
        (
            peers.frame(
                5,
                0,
                peers.item({b"type": b"protocol", b"message": [{b"msg": b"no"}]}, canonical=False),
                stream_id=2,
            ),
            BrokenProtocolError,
            "^the server refused what was sent: no$",
        ),
    ],
)
@ensure_deferred
async def test_a_call_over_raw_tcp_gets_another_answer(
    given: bytes, kind: type[ClientError], text: str
) -> None:
    async with listening(scripted(given)) as port:
        with pytest.raises(kind, match=text):
            await ask(f"hgrpc://127.0.0.1:{port}/")


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@ensure_deferred
async def test_tls_meets_a_server_without_it(kind: str) -> None:
    async with listening(scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        # OpenSSL up to 3.2, and since.
        reason = "(packet length too long|wrong version number)"
        with pytest.raises(ConnectError, match=rf"^TLS with .* failed: .*{reason}") as it:
            await ask(f"{kind}://127.0.0.1:{port}/")
    assert not isinstance(it.value, UntrustedError)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("http", "did not answer within 0.2 s"),
        ("https", "did not answer within 0.2 s"),
        ("hgrpc", "the server was silent for 0.1 s"),
        ("hgrpcs", "did not answer within 0.2 s"),
    ],
)
@ensure_deferred
async def test_the_server_says_nothing(kind: str, text: str) -> None:
    async with listening(scripted(b"", closes=False)) as port:
        with pytest.raises(SilentError, match=text):
            await ask(f"{kind}://127.0.0.1:{port}/", connect_seconds=0.2, silent_seconds=0.1)


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
@ensure_deferred
async def test_the_authorities_cannot_be_read(
    tmp_path: Path, kind: str, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConnectError, match=r"ca\.pem cannot be used"):
        await ask(f"{kind}://127.0.0.1:1/", authorities=file)


@ensure_deferred
async def test_there_is_no_such_content_encoding() -> None:
    text = "^there is no content encoding 'rot13'; there are: identity, zlib, zstd-8mb$"
    with pytest.raises(NotOfferedError, match=text):
        await ask("http://127.0.0.1:1/", content_encodings=[b"rot13"])


@ensure_deferred
async def test_the_dialect_has_no_content_encodings() -> None:
    with pytest.raises(NotOfferedError, match="dialect 0003 has no content encodings"):
        await ask("hgrpc://127.0.0.1:1/", content_encodings=[b"zlib"], dialect=DIALECTS["0003"])
