"""Candidates of small calls: a server, and a load of calls with 30 bytes in and 30 bytes out."""

from __future__ import annotations

import ssl
import sys
from base64 import b64encode
from typing import TYPE_CHECKING, Final

import bcrypt

from benchmarks import wire
from benchmarks.answers import AmpAnswers, FrameAnswers, HttpAnswers, Messages
from benchmarks.beside import Beside
from benchmarks.figure import Candidate
from benchmarks.grpc_load import GrpcCalls
from benchmarks.load import Calls, connect
from benchmarks.programs import peer, wiredaemon
from benchmarks.wire import DATA

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.load import Load

_ZSTD: Final = b"zstd-8mb"
_USER: Final = b"ann"
_PASSWORD: Final = b"correct horse"
_RESULTS: Final = {"0003": DATA, "0006": wire.STATUS_OK + wire.cbor_bytes(DATA)}
"""All payloads of a response to `echo`, by dialect."""


def raw(command: bytes, count: int, dialect: str = "0003", *, tls: bool = False) -> Candidate:
    """Return wiredaemon over raw TCP.

    Args:
        command: `echo` or `aecho`.
        count: Calls that are sent at once.
        dialect: The dialect of the listener.
        tls: Connect over TLS.
    """

    def load(port: int) -> Load:
        requests = wire.requests(command, count)
        connection = connect(port, _unverified() if tls else None)
        return Calls(connection, requests, FrameAnswers(_RESULTS[dialect]), count)

    return Candidate(
        name=f"wiredaemon {command.decode()} {dialect}{', TLS' if tls else ''}",
        program=wiredaemon("framed_tls" if tls else "framed", dialect=dialect),
        connect=load,
    )


def beside_large() -> Candidate:
    """Return wiredaemon over raw TCP, with an endless answer to another call on each connection."""

    def load(port: int) -> Load:
        return Beside(connect(port), wire.request(1, b"echo", wire.DATA, begins=True))

    return Candidate(
        name="wiredaemon echo 0003 beside a large answer",
        program=wiredaemon("framed", dialect="0003"),
        connect=load,
    )


def raw_zstd(count: int) -> Candidate:
    """Return wiredaemon over raw TCP, with answers compressed as one stream."""
    requests = wire.requests(b"echo", count)

    def load(port: int) -> Load:
        connection = connect(port)
        connection.sendall(wire.offer(_ZSTD))
        # One decoder for the connection, as all answers are parts of one zstd frame.
        answers = FrameAnswers(_RESULTS["0006"], _ZSTD, zstd.ZstdDecompressor().decompress)
        return Calls(connection, requests, answers, count).without_repetition()

    return Candidate(
        name="wiredaemon echo 0006 zstd",
        program=wiredaemon("framed", dialect="0006"),
        connect=load,
    )


def post(count: int, dialect: str = "0003") -> Candidate:
    """Return wiredaemon over HTTP: one call in a POST, or several in a multirequest."""
    command = "echo" if count == 1 else "multirequest"
    body = wire.requests(b"echo", count)
    request = wire.http_post(wire.api_path(dialect, command), body, wire.framing(dialect))

    def load(port: int) -> Load:
        answers = HttpAnswers(FrameAnswers(_RESULTS[dialect]))
        return Calls(connect(port), request, answers, count)

    return Candidate(
        name=f"wiredaemon HTTP {command} {dialect}", program=wiredaemon(), connect=load
    )


def post_with_password(folder: Path) -> Candidate:
    """Return wiredaemon over HTTP with HTTP Basic on every request."""
    file = folder / "users.htpasswd"
    file.write_bytes(_USER + b":" + bcrypt.hashpw(_PASSWORD, bcrypt.gensalt()) + b"\n")
    login = f"Authorization: Basic {b64encode(_USER + b':' + _PASSWORD).decode()}\r\n\r\n"
    body = wire.requests(b"echo", 1)
    head, _ = wire.http_post(wire.api_path("0003", "echo"), body, wire.framing("0003")).split(
        b"\r\n\r\n", 1
    )
    request = head + b"\r\n" + login.encode() + body

    return Candidate(
        name="wiredaemon HTTP echo 0003, Basic",
        program=wiredaemon(settings=f'[auth]\nhtpasswd = "{file}"\n'),
        connect=lambda port: Calls(
            connect(port), request, HttpAnswers(FrameAnswers(_RESULTS["0003"])), 1
        ),
    )


def echo(count: int) -> Candidate:
    """Return a Twisted protocol that sends back the bytes that it receives."""
    return Candidate(
        name="Twisted echo",
        program=peer("twisted_echo"),
        connect=lambda port: Calls(connect(port), DATA * count, Messages(DATA), count),
    )


def echo_tls(count: int, certificate: Path) -> Candidate:
    """Return the Twisted echo over TLS.

    Args:
        count: Messages that are sent at once.
        certificate: A PEM file with certificate and private key.
    """

    def load(port: int) -> Load:
        return Calls(connect(port, _unverified()), DATA * count, Messages(DATA), count)

    return Candidate(
        name="Twisted echo, TLS", program=peer("twisted_echo", str(certificate)), connect=load
    )


def int32(count: int) -> Candidate:
    """Return a Twisted protocol that sends back messages with their length in front."""
    message = wire.int32(DATA)
    return Candidate(
        name="Int32StringReceiver echo",
        program=peer("twisted_int32"),
        connect=lambda port: Calls(connect(port), message * count, Messages(message), count),
    )


def amp(count: int) -> Candidate:
    """Return a server of Twisted's AMP."""
    boxes = b"".join(wire.amp_box(ask, DATA) for ask in range(1, count + 1))
    return Candidate(
        name="AMP",
        program=peer("twisted_amp"),
        connect=lambda port: Calls(connect(port), boxes, AmpAnswers(DATA), count),
    )


def grpc(count: int) -> Candidate:
    """Return the synchronous server of grpcio, which answers in threads."""
    return Candidate(
        name="grpcio sync",
        program=peer("grpcio_sync"),
        connect=lambda port: GrpcCalls(port, DATA, count),
    )


def site() -> Candidate:
    """Return twisted.web with its default settings."""
    return _trivial_post("twisted.web Site", "twisted_web")


def logged_site() -> Candidate:
    """Return twisted.web with its access log written, as it is under twistd."""
    return _trivial_post("twisted.web Site, log written", "twisted_web", "logged")


def quiet_site() -> Candidate:
    """Return twisted.web without access log and search for forms, for scale."""
    return _trivial_post("twisted.web Site, no log, no forms", "twisted_web", "quiet")


def aiohttp() -> Candidate:
    """Return aiohttp without access log."""
    return _trivial_post("aiohttp", "aiohttp_web")


def _unverified() -> ssl.SSLContext:
    """Return a client's context that trusts any certificate: servers make their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trivial_post(name: str, module: str, *arguments: str) -> Candidate:
    request = wire.http_post("/", DATA)
    return Candidate(
        name=name,
        program=peer(module, *arguments),
        connect=lambda port: Calls(connect(port), request, HttpAnswers(Messages(DATA)), 1),
    )
