"""Figures of pairs: the client of a library with the same library's server, a process each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.caller import Caller
from benchmarks.callers.orders import WINDOW
from benchmarks.figure import Candidate, Figure, Goal, Metric
from benchmarks.programs import peer, wiredaemon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.processes import Program

_SIDE_BY_SIDE: Final = 20 * WINDOW
"""Calls of an exchange: tens of milliseconds, beside which an order costs nothing."""
_ONE_AT_A_TIME: Final = 200


def _ours(client: str, window: int, listener: str = "framed") -> Candidate:
    scheme, shown = ("hgrpc", "") if listener == "framed" else ("http", " HTTP")
    url = "{}://127.0.0.1:{}/"
    module = f"ours_{client}"
    arguments = [] if client == "blocking" else [str(window)]
    return Candidate(
        name=f"wiredaemon{shown}, {client}",
        program=wiredaemon(listener, dialect="0006" if listener == "framed" else ""),
        connect=lambda port: Caller(
            module, url.format(scheme, port), *arguments, calls=_calls(window)
        ),
    )


def _calls(window: int) -> int:
    return _ONE_AT_A_TIME if window == 1 else _SIDE_BY_SIDE


def _other(name: str, program: Program, module: str, *arguments: str, window: int) -> Candidate:
    return Candidate(
        name=name,
        program=program,
        connect=lambda port: Caller(module, str(port), *arguments, calls=_calls(window)),
    )


def _amp(window: int) -> Candidate:
    return _other("AMP", peer("twisted_amp"), "twisted_amp", str(window), window=window)


def _grpc(way: str) -> Candidate:
    return _other(f"grpcio, {way}", peer("grpcio_sync"), "grpcio_stub", way, window=WINDOW)


def _rate(candidates: list[Candidate], least: float, peers: list[Candidate]) -> Goal:
    return Goal(
        candidate=tuple(each.name for each in candidates),
        metric=Metric.RATE,
        value=least,
        peer=tuple(each.name for each in peers),
    )


def _pair(_: Path) -> Figure:
    ours = [_ours("aio", WINDOW), _ours("twisted", WINDOW)]
    amp, grpc = _amp(WINDOW), [_grpc("threads"), _grpc("futures")]
    return Figure(
        name="pair",
        title=f"Client and server, raw TCP, {WINDOW} calls in flight",
        candidates=[*ours, amp, *grpc],
        goals=[_rate(ours, 2.5, [amp]), _rate(ours, 4, grpc)],
    )


def _pair_one(_: Path) -> Figure:
    ours, amp = _ours("blocking", 1), _amp(1)
    return Figure(
        name="pair-one",
        title="Client and server, raw TCP, one call at a time",
        candidates=[ours, _ours("aio", 1), _ours("twisted", 1), amp],
        goals=[_rate([ours], 1.5, [amp])],
    )


def _pair_http(_: Path) -> Figure:
    ours = [_ours("aio", 1, "http"), _ours("blocking", 1, "http")]
    other = _other("aiohttp", peer("aiohttp_web"), "aiohttp_session", window=1)
    return Figure(
        name="pair-http",
        title="Client and server, HTTP, one call at a time on a kept connection",
        candidates=[*ours, other],
        goals=[_rate([each], 0.8, [other]) for each in ours],
    )


PAIRS: Final[Mapping[str, Callable[[Path], Figure]]] = {
    "pair": _pair,
    "pair-one": _pair_one,
    "pair-http": _pair_http,
}
"""Makers of the figures by name."""
