"""One call from its first byte to the end of its answer, on the site in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.json_calls import DATA, EVENTS, LINES, answer_of, chunks_of, get, json_web, post
from support.responding import make_command
from support.web import ask
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wiredaemon.commands import CommandError
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator, Sequence

    from support.web import Connection, Web

    from wiredaemon.commands import Command


class Feed:
    """A command whose objects a test gives one by one."""

    def __init__(self) -> None:
        self.next: Deferred[object] = Deferred()
        self.ended: list[str] = []

    @property
    def command(self) -> Command:
        async def feed(context: Any) -> AsyncIterator[object]:  # noqa: ARG001 of every command
            try:
                while (value := await self.next) is not None:
                    yield value
            finally:
                self.ended.append("ended")

        return make_command(feed)

    def give(self, value: object) -> None:
        given, self.next = self.next, Deferred()
        given.callback(value)

    def fail(self, error: Exception) -> None:
        self.next.errback(Failure(error))


def begun(web: Web, request: bytes) -> tuple[Connection, bytes]:
    """A connection with a response that has begun, and the response's head."""
    connection = web.connect()
    head = connection.exchange(request)
    return connection, head


def part_of(connection: Connection) -> tuple[bytes, bool]:
    """What has come since the last look, and whether the response has ended."""
    return chunks_of(connection.take())


# --- streams -----------------------------------------------------------------------------------


def test_an_object_goes_out_when_the_command_waits_for_the_next() -> None:
    feed = Feed()
    connection, nothing = begun(json_web([feed.command]), get("/feed", LINES))
    assert nothing == b""
    feed.give({b"a": 1})
    head, _, rest = connection.take().partition(b"\r\n\r\n")
    assert head == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/x-ndjson\r\n"
        b"Cache-Control: no-store\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"X-Accel-Buffering: no\r\n"
        b"Transfer-Encoding: chunked"
    )
    assert chunks_of(rest) == (b'{"result": {"a": 1}}\n', False)
    feed.give(b"b")
    assert part_of(connection) == (b'{"result": "b"}\n', False)
    feed.give(None)
    assert part_of(connection) == (b'{"end": {"results": 2}}\n', True)
    assert feed.ended == ["ended"]


def test_events_have_numbers_and_an_end() -> None:
    feed = Feed()
    connection, _ = begun(json_web([feed.command]), post("/feed", headers=EVENTS))
    feed.give(1)
    feed.give(2)
    feed.give(None)
    answer = answer_of(connection.take())
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.body == (
        b'id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: end\nevent: end\ndata: {"results": 2}\n\n'
    )


def test_a_failure_behind_objects_is_told_in_the_stream() -> None:
    feed = Feed()
    connection, _ = begun(json_web([feed.command]), get("/feed", LINES))
    feed.give(1)
    connection.take()
    feed.fail(CommandError("no %s", ["more"]))
    assert part_of(connection) == (
        b'{"error": {"title": "Unprocessable Content", "status": 422, "detail": "no more"}}\n',
        True,
    )
    connection, _ = begun(json_web([(feed := Feed()).command]), get("/feed", EVENTS))
    feed.give(1)
    connection.take()
    with capturedLogs() as logged:
        feed.fail(ValueError("for the log"))
    content, is_over = part_of(connection)
    assert content.startswith(b'id: end\nevent: error\ndata: {"title": "Internal Server Error"')
    assert is_over
    assert b"for the log" not in content
    assert [event["log_namespace"] for event in logged]


@pytest.mark.parametrize("form", [LINES, EVENTS, {}])
def test_a_failure_in_front_of_all_objects_has_a_status_of_its_own(form: dict[str, str]) -> None:
    feed = Feed()
    connection, _ = begun(json_web([feed.command]), get("/feed", form))
    feed.fail(CommandError("no"))
    assert answer_of(connection.take()).problem == (422, "no")


def test_http_1_0_has_no_chunks_and_the_end_says_that_all_is_there() -> None:
    feed = Feed()
    request = get("/feed", LINES).replace(b"HTTP/1.1", b"HTTP/1.0")
    connection, _ = begun(json_web([feed.command]), request)
    feed.give(1)
    feed.give(None)
    answer = answer_of(connection.take())
    assert answer.body == b'{"result": 1}\n{"end": {"results": 1}}\n'
    assert connection.is_closed


def told(context: Any) -> Iterator[int]:
    context.write_text("counting to %s", "1")
    context.progress("count", 0, 1, label="steps", item="one")
    yield 1


def test_text_and_progress_are_told_in_streams_alone() -> None:
    web = json_web([make_command(told)])
    said = [
        json.loads(line) for line in answer_of(web.exchange(get("/told", LINES))).body.splitlines()
    ]
    progress = {"topic": "count", "position": 0, "total": 1, "label": "steps", "item": "one"}
    assert said == [
        {"text": "counting to 1"},
        {"progress": progress},
        {"result": 1},
        {"end": {"results": 1}},
    ]
    events = answer_of(web.exchange(get("/told", EVENTS))).body
    assert events.startswith(b'event: text\ndata: "counting to 1"\n\nevent: progress\ndata: {')
    assert answer_of(web.exchange(get("/told"))).said == [1]


# --- keeping alive -----------------------------------------------------------------------------


def test_an_event_stream_is_never_silent_for_long() -> None:
    feed = Feed()
    web = json_web([feed.command], limits=Limits(event_keep_alive_seconds=5.0))
    connection, nothing = begun(web, get("/feed", EVENTS))
    assert nothing == b""
    web.wait(4)
    assert connection.take() == b""
    web.wait(1)
    # It begins the response: a proxy waits for that, too.
    head, _, rest = connection.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert chunks_of(rest) == (b":\n\n", False)
    feed.give(1)
    assert part_of(connection) == (b"id: 1\ndata: 1\n\n", False)
    web.wait(5)
    assert connection.take() == b""
    web.wait(5)
    assert part_of(connection) == (b":\n\n", False)
    feed.fail(CommandError("no"))
    assert part_of(connection)[1]
    before = len(web.guard_clock.getDelayedCalls())
    web.wait(20)
    assert connection.take() == b""
    assert len(web.guard_clock.getDelayedCalls()) == before


@pytest.mark.parametrize(("form", "seconds"), [(LINES, 5.0), ({}, 5.0), (EVENTS, 0.0)])
def test_other_forms_have_no_comments_and_who_wants_none_gets_none(
    form: dict[str, str], seconds: float
) -> None:
    feed = Feed()
    web = json_web([feed.command], limits=Limits(event_keep_alive_seconds=seconds))
    connection, _ = begun(web, get("/feed", form))
    web.wait(20)
    assert connection.take() == b""


# --- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [LINES, EVENTS, {}])
def test_a_client_that_leaves_cancels_its_command(form: dict[str, str]) -> None:
    feed = Feed()
    web = json_web([feed.command], limits=Limits(event_keep_alive_seconds=5.0))
    connection, _ = begun(web, get("/feed", form))
    feed.give(1)
    assert feed.ended == []
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert feed.ended == ["ended"]
    web.wait(20)


def test_a_deadline_stops_the_command_and_has_a_status() -> None:
    feed = Feed()
    web = json_web([feed.command])
    connection, _ = begun(web, get("/feed", {"Request-Timeout": "2.5"}))
    web.wait(2)
    assert connection.take() == b""
    assert feed.ended == []
    web.wait(1)
    assert answer_of(connection.take()).problem == (504, "the deadline of 2500 ms has passed")
    assert feed.ended == ["ended"]


def test_two_deadlines_are_refused_even_if_they_are_one() -> None:
    web = json_web([Feed().command])
    asked = get("/feed", {"Request-Timeout": "3"}).replace(
        b"\r\n", b"\r\nRequest-Timeout: 3\r\n", 1
    )
    said = "Request-Timeout must be seconds, from 0.001 to 2000000, once"
    assert answer_of(web.exchange(asked)).problem == (400, said)


def test_a_deadline_behind_objects_is_told_in_the_stream() -> None:
    feed = Feed()
    web = json_web([feed.command])
    connection, _ = begun(web, get("/feed", {**LINES, "Request-Timeout": "1"}))
    feed.give(1)
    connection.take()
    web.wait(1)
    content, is_over = part_of(connection)
    assert json.loads(content)["error"]["status"] == 504
    assert is_over


def test_the_guard_may_end_a_call() -> None:
    for form, is_begun in (({}, False), (LINES, True)):
        feed = Feed()
        web = json_web([feed.command])
        connection, _ = begun(web, get("/feed", form))
        feed.give(1)
        connection.take()
        (request,) = connection.protocol.requests
        from wiredaemon.net.http.responses import busy  # noqa: PLC0415 used once

        request.body.refuse(busy("too much is held (held_memory)", 10))
        assert feed.ended == ["ended"]
        if is_begun:
            content, is_over = part_of(connection)
            assert json.loads(content)["error"]["status"] == 503
            assert is_over
        else:
            answer = answer_of(connection.take())
            assert answer.problem == (503, "too much is held (held_memory)")
            assert answer.headers["Retry-After"] == "10"
        assert web.guard.hits.counts.get("held_memory", 0) == (not is_begun)


# --- results -----------------------------------------------------------------------------------


def counted(context: Any) -> object:
    return counted_objects(context)


def counted_objects(context: Any) -> Generator[int, None, None]:  # noqa: ARG001 of every command
    yield from range(2)


def says_so(context: Any) -> Iterator[int]:
    return iter(counted_objects(context))


def nested(context: Any) -> object:  # noqa: ARG001 as above
    return [[[[]]]]


def large(context: Any) -> Iterator[bytes]:  # noqa: ARG001 as above
    for _ in range(3):
        yield bytes(300)


def huge(context: Any) -> bytes:  # noqa: ARG001 as above
    return bytes(100_000)


def test_any_number_of_objects_is_an_array_whoever_gives_them() -> None:
    web = json_web([make_command(counted), make_command(says_so)])
    assert answer_of(web.exchange(get("/counted"))).said == [0, 1]
    assert answer_of(web.exchange(get("/says_so"))).said == [0, 1]


TOO_LARGE = (
    "the answer exceeds the limit of 2000 bytes for one JSON document; application/x-ndjson and"
    " text/event-stream have one for each object (json_document)"
)


def test_a_document_is_bounded_and_a_stream_is_not() -> None:
    web = json_web([make_command(large)], limits=Limits(json_document=2000))
    assert answer_of(web.exchange(get("/large"))).problem == (406, TOO_LARGE)
    assert web.guard.hits.counts == {"json_document": 1}
    lines = answer_of(web.exchange(get("/large", LINES))).body.splitlines()
    assert len(lines) == 4


@pytest.mark.parametrize("form", [{}, LINES])
def test_an_object_is_bounded_in_every_form(form: dict[str, str]) -> None:
    web = json_web([make_command(huge)], limits=Limits(json_document=2000))
    assert answer_of(web.exchange(get("/huge", form))).problem == (406, TOO_LARGE)


def test_an_object_that_is_too_deep_is_refused() -> None:
    web = json_web([make_command(nested)], limits=Limits(cbor_depth=3))
    status, detail = answer_of(web.exchange(get("/nested"))).problem
    assert status == 406
    assert detail.startswith("the answer cannot be shown as JSON: ")
    assert detail.endswith("(cbor_depth)")


# --- command data ------------------------------------------------------------------------------


class Reader:
    """A command that reads its data when the test lets it."""

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.read: list[int] = []

    @property
    def command(self) -> Command:
        async def read(context: Any) -> int:
            await self.gate
            async for piece in context.data:
                self.read.append(len(piece))
            return sum(self.read)

        return make_command(read, has_data=True)


def test_data_that_the_command_does_not_take_pauses_the_client() -> None:
    reader = Reader()
    web = json_web([reader.command], limits=Limits(buffered_data=1000))
    connection = web.connect()
    connection.send(ask("POST", "/json/read", {**DATA, "Content-Length": "5000"}))
    connection.send(bytes(1500))
    assert connection.transport.producerState == "paused"
    reader.gate.callback(None)
    assert connection.transport.producerState == "producing"
    assert answer_of(connection.exchange(bytes(3500))).said == 5000


def test_data_is_bounded_as_in_frames() -> None:
    reader = Reader()
    reader.gate.callback(None)
    web = json_web([reader.command], limits=Limits(command_data=1000))
    status, detail = answer_of(web.exchange(post("/read", bytes(1001), DATA))).problem
    assert status == 422
    assert detail.endswith("(command_data)")
    assert web.guard.hits.counts == {"command_data": 1}


def test_a_client_that_leaves_in_the_middle_of_its_data_cancels_the_command() -> None:
    reader = Reader()
    web = json_web([reader.command])
    connection = web.connect()
    connection.send(ask("POST", "/json/read", {**DATA, "Content-Length": "5000"}) + bytes(10))
    assert not reader.gate.called
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert reader.gate.called


def test_several_calls_follow_each_other_on_one_connection() -> None:
    connection = json_web([make_command(counted), make_command(large)]).connect()
    answers: Sequence[int] = [
        len(answer_of(connection.exchange(request)).body)
        for request in (get("/counted"), get("/large", LINES), post("/counted"), get("/nothing"))
    ]
    assert answers[0] == answers[2] == len("[0, 1]\n")
    assert not connection.is_closed


class Late:
    """A command that gives a large object, and tells its progress, once a test lets it go on."""

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.ended: list[str] = []

    @property
    def command(self) -> Command:
        async def late(context: Any) -> AsyncIterator[bytes]:
            try:
                await self.gate
                yield bytes(5000)
                context.progress("large", 1)
                yield b"dropped"
            finally:
                self.ended.append("ended")

        return make_command(late)


def test_an_answer_may_be_refused_while_its_command_runs() -> None:
    late = Late()
    web = json_web([late.command], limits=Limits(json_document=2000))
    connection, _ = begun(web, get("/late", LINES))
    with capturedLogs() as logged:
        late.gate.callback(None)
    lines = [json.loads(line) for line in answer_of(connection.take()).body.splitlines()]
    assert [*lines[0]] == ["progress"]
    assert (lines[1]["error"]["status"], lines[1]["error"]["detail"]) == (406, TOO_LARGE)
    assert len(lines) == 2
    assert [str(event["log_failure"]) for event in logged if "log_failure" in event] == []
    assert late.ended == ["ended"]
