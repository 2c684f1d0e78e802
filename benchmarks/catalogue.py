"""All figures: the candidates that are compared with each other, and the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import wire
from benchmarks.answers import FrameAnswers, HttpAnswers, Messages
from benchmarks.candidates import (
    aiohttp,
    amp,
    beside_large,
    echo,
    echo_tls,
    grpc,
    int32,
    logged_site,
    post,
    post_with_password,
    quiet_site,
    raw,
    raw_zstd,
    site,
)
from benchmarks.figure import Bound, Candidate, Figure, Goal, Metric
from benchmarks.load import Calls, connect
from benchmarks.pairs import PAIRS
from benchmarks.programs import hg_serve, make_certificate, make_repository, peer, wiredaemon
from benchmarks.streams import Download, HttpDownload, Upload
from benchmarks.wire import BATCH, BULK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.load import Load

_IDLE: Final = 2000
_KIB: Final = 1024
_BULK_MIB: Final = BULK // wire.MIB


def _capacity(candidate: Candidate, least: float, peer: Candidate) -> Goal:
    return Goal(candidate=candidate.name, metric=Metric.CAPACITY, value=least, peer=peer.name)


def _batch(_: Path) -> Figure:
    ours, waiting = raw(b"echo", BATCH), raw(b"aecho", BATCH)
    peers = echo(BATCH), int32(BATCH), amp(BATCH), grpc(BATCH)
    return Figure(
        name="batch",
        title=f"Raw TCP, {BATCH} requests arriving together",
        candidates=[ours, waiting, raw(b"echo", BATCH, "0006"), raw_zstd(BATCH), *peers],
        goals=[
            _capacity(ours, 5, peers[2]),
            _capacity(ours, 20, peers[3]),
            _capacity(ours, 0.35, peers[1]),
            _capacity(waiting, 0.85, ours),
        ],
    )


def _single(_: Path) -> Figure:
    ours, bare = raw(b"echo", 1), echo(1)
    return Figure(
        name="single",
        title="Raw TCP, one request at a time",
        candidates=[ours, raw(b"echo", 1, "0006"), bare, int32(1), amp(1), grpc(1)],
        goals=[
            Goal(
                candidate=ours.name,
                metric=Metric.P50,
                bound=Bound.AT_MOST,
                value=1.15,
                peer=bare.name,
            )
        ],
    )


def _shared(_: Path) -> Figure:
    ours, quiet = beside_large(), raw(b"echo", 1)
    return Figure(
        name="shared",
        title="Raw TCP, one small call at a time beside a large answer on the same connection",
        candidates=[ours, quiet],
        goals=[
            Goal(
                candidate=ours.name,
                metric=Metric.P50,
                bound=Bound.AT_MOST,
                value=2,
                peer=quiet.name,
            )
        ],
    )


def _tls_batch(folder: Path) -> Figure:
    peer = echo_tls(BATCH, make_certificate(folder))
    return Figure(
        name="tls-batch",
        title=f"Raw TCP over TLS, {BATCH} requests arriving together",
        candidates=[raw(b"echo", BATCH, tls=True), raw(b"echo", BATCH), peer],
    )


def _tls_single(folder: Path) -> Figure:
    peer = echo_tls(1, make_certificate(folder))
    return Figure(
        name="tls-single",
        title="Raw TCP over TLS, one request at a time",
        candidates=[raw(b"echo", 1, tls=True), raw(b"echo", 1), peer],
    )


def _post(_: Path) -> Figure:
    ours, default, other = post(1), site(), aiohttp()
    return Figure(
        name="post",
        title="HTTP, one command a POST, one at a time on a kept connection",
        candidates=[ours, post(1, "0006"), default, logged_site(), quiet_site(), other],
        goals=[_capacity(ours, 2.2, default), _capacity(ours, 0.9, other)],
    )


def _login(folder: Path) -> Figure:
    without, ours = post(1), post_with_password(folder)
    return Figure(
        name="login",
        title="HTTP, one command a POST, with a password in each",
        candidates=[ours, without],
        goals=[_capacity(ours, 0.85, without)],
    )


def _multirequest(_: Path) -> Figure:
    ours, default = post(BATCH), site()
    return Figure(
        name="multirequest",
        title=f"HTTP multirequest, {BATCH} commands in one POST, beside a POST for each call",
        candidates=[ours, post(BATCH, "0006"), default],
        goals=[_capacity(ours, 25, default)],
    )


def _bulk(_: Path) -> Figure:
    request = wire.request(1, b"bulk", None, begins=True)
    ours = Candidate(
        name="wiredaemon bulk 0003",
        program=wiredaemon("framed", dialect="0003"),
        connect=lambda port: Download(connect(port), request, BULK, framed=True),
    )
    unframed = Candidate(
        name="Twisted push, unframed",
        program=peer("twisted_push"),
        connect=lambda port: Download(connect(port), b"x", BULK, framed=False),
    )
    post_bulk = wire.http_post(wire.api_path("0003", "bulk"), request, wire.framing("0003"))
    over_http = Candidate(
        name="wiredaemon HTTP bulk 0003",
        program=wiredaemon(),
        connect=lambda port: HttpDownload(connect(port), post_bulk, BULK),
    )
    return Figure(
        name="bulk",
        title=f"An answer of {_BULK_MIB} MiB in pieces of {wire.PIECE} bytes",
        unit="MiB",
        candidates=[ours, over_http, unframed],
        goals=[_capacity(ours, 0.75, unframed)],
    )


def _upload(_: Path) -> Figure:
    flags = wire.STREAM_BEGIN, wire.NEW | wire.HAVE_DATA
    first = wire.frame(1, flags, wire.COMMAND_REQUEST, wire.request_map(b"upload", None))
    frames = list(wire.data_frames(1, BULK))
    length = len(first) + sum(map(len, frames))
    head = wire.http_head(wire.api_path("0003", "upload"), length, wire.framing("0003"))
    framed = [head, first, *frames]
    plain = [wire.http_head("/", BULK), *[bytes(wire.MIB)] * _BULK_MIB]
    size = b"%d" % BULK

    ours = Candidate(
        name="wiredaemon HTTP upload 0003",
        program=wiredaemon(),
        connect=lambda port: Upload(connect(port), framed, HttpAnswers(FrameAnswers(size)), BULK),
    )
    default = Candidate(
        name="twisted.web Site",
        program=peer("twisted_web"),
        connect=lambda port: Upload(connect(port), plain, HttpAnswers(Messages(size)), BULK),
    )
    streamed = [wire.http_head("/upload", BULK), *plain[1:]]
    other = Candidate(
        name="aiohttp, body streamed",
        program=peer("aiohttp_web"),
        connect=lambda port: Upload(connect(port), streamed, HttpAnswers(Messages(size)), BULK),
    )
    return Figure(
        name="upload",
        title=f"HTTP, a body with {_BULK_MIB} MiB of data, framed in pieces of {wire.PIECE} bytes",
        unit="MiB",
        candidates=[ours, default, other],
        goals=[_capacity(ours, 2.8, default), _capacity(ours, 0.8, other)],
    )


def _heads(folder: Path) -> Figure:
    repository, node = make_repository(folder)
    body = wire.request(1, b"heads", None, begins=True)
    request = wire.http_post(wire.api_path("0006", "heads"), body, wire.framing("0006"))
    result = wire.STATUS_OK + b"\x81\x54" + node

    def load(port: int) -> Load:
        return Calls(connect(port), request, HttpAnswers(FrameAnswers(result)), 1)

    ours = Candidate(
        name="wiredaemon HTTP heads 0006", program=wiredaemon(repository=repository), connect=load
    )
    today = Candidate(name="hg serve 6.0.3", program=hg_serve(repository), connect=load)
    return Figure(
        name="heads",
        title="HTTP, heads of a small repository on a kept connection",
        candidates=[ours, today],
        goals=[Goal(candidate=ours.name, metric=Metric.RATE, value=50, peer=today.name)],
    )


def _idle(_: Path) -> Figure:
    framed, http = raw(b"echo", 1), post(1)

    def at_most(candidate: Candidate, kib: float) -> Goal:
        return Goal(
            candidate=candidate.name, metric=Metric.MEMORY, bound=Bound.AT_MOST, value=kib * _KIB
        )

    return Figure(
        name="idle",
        title=f"Private memory of {_IDLE} connections, each open after one call",
        candidates=[framed, http, echo(1), quiet_site()],
        connections=_IDLE,
        goals=[at_most(framed, 4), at_most(http, 5)],
    )


FIGURES: Final[Mapping[str, Callable[[Path], Figure]]] = {
    "batch": _batch,
    "single": _single,
    "shared": _shared,
    "post": _post,
    "login": _login,
    "multirequest": _multirequest,
    "bulk": _bulk,
    "upload": _upload,
    "heads": _heads,
    "idle": _idle,
    "tls-batch": _tls_batch,
    "tls-single": _tls_single,
    **PAIRS,
}
"""Makers of the figures by name; each is called with an empty folder for its files."""
