"""Calls with JSON that are made to hold or to cost much: slow, endless, deep, many, unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.attacked import attacked
from support.json_calls import EVENTS, JSON, LINES, answer_of, get, json_web, post
from support.responding import ensure_deferred, make_command
from support.web import ask
from twisted.internet.defer import Deferred

from wiredaemon.commands import Argument, ArgumentType
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MANY: Final = 30
KIB: Final = 1024


async def endless(_: Any) -> AsyncIterator[bytes]:
    while True:
        yield bytes(8 * KIB)


def take(context: Any, **given: object) -> int:  # noqa: ARG001 every command is given its context
    return len(given)


LISTED: Final = make_command(take, arguments={"list": Argument(type=ArgumentType.LIST, default=())})


def head(length: int | None) -> bytes:
    size = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    return ask("POST", "/json/take", {**JSON, **size})


def test_a_body_that_comes_slowly() -> None:
    web = json_web([LISTED], limits=Limits(body_rate=100, body_rate_seconds=5.0))
    connection = web.connect()
    connection.send(head(1000) + b'{"list": [')
    for _ in range(10):
        web.wait(1)
        if connection.is_closed:
            break
        connection.send(b"1,")
    answer = answer_of(connection.take())
    assert answer.problem[0] == 408
    assert answer.problem[1].endswith("(body_rate)")
    assert answer.headers["Connection"] == "close"


def test_a_body_that_never_ends() -> None:
    web = json_web([LISTED], limits=Limits(refused_body=64 * KIB))
    connection = web.connect()
    connection.send(head(None))
    piece = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    sent = 0
    while not connection.is_closed:
        connection.send(piece)
        sent += 0x4000
    assert answer_of(connection.take()).problem == (
        413,
        "the request body exceeds the limit of 1048576 bytes (json_request)",
    )
    assert sent <= 1024 * KIB + 2 * 64 * KIB


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"list":' * 100_000, "nested too deeply"),
        (b'{"list":' + b"[" * 500 + b"]" * 500 + b"}", "(cbor_depth)"),
        (b'{"list":[' + b"0," * 500_000 + b"0]}", "(json_elements)"),
        (b'{"list":[' + b"[]," * 20_000 + b"0]}", "(cbor_containers)"),
        (b'{"list":' + b"9" * 1_000_000 + b"}", "more than 64 bits"),
        (b'{"list":1e' + b"9" * 1_000_000 + b"}", "too large"),
        (b"{" + b",".join(b'"%d":0' % place for place in range(16_000)) + b"}", "unsupported"),
        (b'{"list":["' + b"\\u0000" * 150_000 + b'", 0.5]}', "no number like 0.5"),
    ],
)
def test_a_body_that_costs_much_is_refused_with_words(body: bytes, fault: str) -> None:
    web = json_web([LISTED])
    status, detail = answer_of(web.exchange(post("/take", body, JSON))).problem
    assert status == 400
    assert fault in detail
    assert len(detail) < KIB


def test_the_beginnings_of_many_bodies_are_counted() -> None:
    web = json_web([LISTED], limits=Limits(unfinished_bytes=400 * KIB))
    clients = [web.connect() for _ in range(20)]
    for client in clients:
        client.send(head(100 * KIB) + b" " * (60 * KIB))
    answers = [answer_of(taken) for client in clients if (taken := client.take())]
    assert len(answers) >= 20 - 400 // 60
    assert {answer.problem[0] for answer in answers} == {503}
    assert web.guard.hits.counts == {"unfinished_bytes": len(answers)}


def test_bodies_that_have_ended_are_not_counted_as_beginnings() -> None:
    waiting: list[Deferred[None]] = []

    async def wait(_: Any, **given: object) -> int:
        waiting.append(Deferred())
        await waiting[-1]
        return len(given)

    listed = {"list": Argument(type=ArgumentType.LIST, default=())}
    web = json_web(
        [LISTED, make_command(wait, arguments=listed)], limits=Limits(unfinished_bytes=400 * KIB)
    )
    body = b'{"list": ["' + b"x" * (100 * KIB) + b'"]}'
    for _ in range(20):
        assert answer_of(web.connect().exchange(post("/take", body, JSON))).said == 1
    # Answered, and gone.
    assert (web.guard.memory.size, web.guard.memory.unfinished) == (0, 0)
    clients = [web.connect() for _ in range(20)]
    for client in clients:
        assert client.exchange(post("/wait", body, JSON)) == b""
    # Their commands run: the bodies are still there, but nobody waits for the rest of one.
    assert web.guard.memory.size >= 20 * 100 * KIB
    assert web.guard.memory.unfinished == 0
    for each in waiting:
        each.callback(None)
    assert [answer_of(client.take()).said for client in clients] == [1] * 20
    assert web.guard.hits.counts == {}


@pytest.mark.parametrize("form", [LINES, EVENTS])
@ensure_deferred
async def test_many_readers_of_nothing_hold_little_together(form: dict[str, str]) -> None:
    limits = Limits(answer_stalled_seconds=1.0)
    largest = 0
    async with attacked("http", [make_command(endless)], limits=limits) as server:
        for _ in range(MANY):
            server.connect(get("/endless", form))
        await server.until(MANY)
        while len(server.guard):
            largest = max(largest, server.guard.memory.size)
            await server.turn()
        assert server.guard.hits.counts == {"answer_stalled_seconds": MANY}
    # Of each a turn of two objects, of which each byte has six as JSON, and what Twisted buffers
    # before it pauses: 64 KiB.
    assert largest <= MANY * (2 * 8 * 6 + 64) * KIB


@ensure_deferred
async def test_documents_that_grow_are_bounded_and_counted() -> None:
    limits = Limits(json_document=100 * KIB)
    async with attacked("http", [make_command(endless)], limits=limits) as server:
        for _ in range(MANY):
            server.connect(get("/endless"))
        await server.until(MANY)
        while server.guard.hits.counts["json_document"] < MANY:
            await server.turn()
        assert server.guard.memory.size <= MANY * 100 * KIB
