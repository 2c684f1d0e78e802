"""Both sides of 0006 driven against each other: what arrives equals what was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import joined, receive, server

from wiredaemon.protocol import (
    ClientConnection,
    DataReceived,
    Event,
    RequestCompleted,
    RequestFailed,
    RequestReceived,
    ResponseDataReceived,
    ResponseReader,
    ServerConnection,
)
from wiredaemon.protocol.objects import ResponseError
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import format_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMITS: Final = Limits()


class Zeros(bytes):
    """Many bytes with a short name, so that hypothesis can show them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Zeros({len(self)})"


VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=20)
    | st.sampled_from([Zeros(32767), Zeros(20000), Zeros(70000)]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
MESSAGES: Final = st.lists(st.sampled_from([b"a", b"%s", b"%%", b"%", b" "])).map(b"".join)


@dataclass(frozen=True)
class Answer:
    """What the server's caller does about one request."""

    objects: list[Any]
    ending: str
    """``end``, ``result`` (of one object), ``error`` or ``server error``."""
    message: bytes = b""
    arguments: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One command, its data in pieces or None, and the answer to it."""

    name: bytes
    arguments: dict[bytes, Any]
    data: list[bytes] | None
    extra: dict[bytes, Any]
    answer: Answer


ANSWERS: Final = (
    st.builds(Answer, st.lists(VALUES, max_size=4), st.just("end"))
    | st.builds(Answer, st.lists(VALUES, min_size=1, max_size=1), st.just("result"))
    | st.builds(
        Answer,
        st.just([]) | st.lists(VALUES, max_size=2),
        st.sampled_from(["error", "server error"]),
        MESSAGES,
        st.lists(st.binary(max_size=5), max_size=3),
    )
)
CALLS: Final = st.builds(
    Call,
    st.binary(max_size=10),
    st.dictionaries(st.binary(max_size=5), VALUES, max_size=3),
    st.none() | st.lists(st.binary(max_size=10) | st.just(Zeros(40000)), max_size=4),
    st.just({}) | st.fixed_dictionaries({b"context": VALUES}),
    ANSWERS,
)


@dataclass
class Pick:
    """Made-up choices, one after the other, and the first for ever when they run out."""

    choices: list[int]

    def among(self, count: int) -> int:
        return self.choices.pop() % count if self.choices else 0

    def cut(self, data: bytes) -> list[bytes]:
        places = sorted(self.among(len(data) + 1) for _ in range(self.among(5)))
        return [data[start:end] for start, end in pairwise([0, *places, len(data)])]


PICKS: Final = st.builds(Pick, st.lists(st.integers(0, 1 << 20), max_size=120))


def do(steps: Sequence[list[Callable[[], None]]], pick: Pick, after: Callable[[], None]) -> None:
    """Take steps of several sequences in a made-up order, each sequence in its own."""
    waiting = [list(sequence) for sequence in steps if sequence]
    while waiting:
        chosen = waiting[pick.among(len(waiting))]
        chosen.pop(0)()
        after()
        waiting = [sequence for sequence in waiting if sequence]


def calling(client: ClientConnection, call: Call, ids: dict[int, Call]) -> list[Callable[[], None]]:
    """Give the steps of sending one command."""
    request_ids: list[int] = []

    def send_command() -> None:
        request_id = client.send_command(
            call.name, call.arguments, has_data=call.data is not None, extra=call.extra
        )
        request_ids.append(request_id)
        ids[request_id] = call

    def send_data(piece: bytes, *, end: bool) -> None:
        client.send_data(request_ids[0], piece, end=end)

    steps: list[Callable[[], None]] = [send_command]
    if call.data is not None:
        steps += [lambda piece=piece: send_data(piece, end=False) for piece in call.data[:-1]]  # type: ignore[misc]
        last = call.data[-1] if call.data else b""
        steps.append(lambda: send_data(last, end=True))
    return steps


def answering(
    connection: ServerConnection, request_id: int, answer: Answer
) -> list[Callable[[], None]]:
    """Give the steps of answering one command."""
    if answer.ending == "result":
        return [lambda: connection.send_result(request_id, answer.objects[0])]
    steps: list[Callable[[], None]] = [
        lambda value=value: connection.send_object(request_id, value)  # type: ignore[misc]
        for value in answer.objects
    ]
    endings: dict[str, Callable[[], None]] = {
        "end": lambda: connection.end_response(request_id),
        "error": lambda: connection.send_error(request_id, answer.message, answer.arguments),
        "server error": lambda: connection.send_server_error(request_id, answer.message),
    }
    return [*steps, endings[answer.ending]]


def check_received(events: list[Event], ids: dict[int, Call]) -> None:
    """Compare what the server got with what the client's caller sent."""
    data: dict[int, bytes] = {}
    completed: list[int] = []
    for event in events:
        match event:
            case RequestReceived():
                call = ids[event.request_id]
                assert event == RequestReceived(
                    request_id=event.request_id,
                    command=call.name,
                    arguments=call.arguments,
                    has_data=call.data is not None,
                    extra=call.extra,
                )
                data[event.request_id] = b""
                if call.data is None:
                    completed.append(event.request_id)
            case DataReceived():
                assert event.request_id not in completed
                data[event.request_id] += event.data
            case RequestCompleted():
                completed.append(event.request_id)
            case _:
                raise AssertionError(event)
    assert sorted(completed) == sorted(ids)
    assert data == {number: b"".join(call.data or []) for number, call in ids.items()}


def check_answered(events: list[Event], ids: dict[int, Call]) -> None:
    """Compare what the client got with what the server's caller sent."""
    readers = {request_id: ResponseReader(LIMITS) for request_id in ids}
    objects: dict[int, list[object]] = {request_id: [] for request_id in ids}
    ended: set[int] = set()
    for event in events:
        assert isinstance(event, ResponseDataReceived | RequestFailed)
        request_id = event.request_id
        answer = ids[request_id].answer
        assert request_id not in ended
        if isinstance(event, RequestFailed):
            assert answer.ending == "server error"
            assert event.kind == b"server"
            assert event.message == format_message(answer.message, [])
            ended.add(request_id)
            continue
        objects[request_id] += readers[request_id].receive_data(event.data)
        if event.end:
            ended.add(request_id)
            check_end(readers[request_id], objects[request_id], answer)
    assert ended == set(ids)


def check_end(reader: ResponseReader, objects: list[object], answer: Answer) -> None:
    reader.receive_end()
    if answer.ending != "error":
        assert objects == answer.objects
    elif not answer.objects:
        assert reader.error == ResponseError(message=answer.message, arguments=answer.arguments)
        assert objects == []
    else:
        # framing 6.3: an error map behind the objects, of which the last may be dropped
        error: dict[bytes, object] = {b"message": answer.message}
        if answer.arguments:
            error[b"args"] = answer.arguments
        assert objects[-1] == {b"status": b"error", b"error": error}
        assert objects[:-1] == answer.objects[: len(objects) - 1]


@settings(max_examples=150, deadline=None)
@given(st.lists(CALLS, max_size=4), PICKS, st.sampled_from([(), (b"zlib", b"identity"), (b"no",)]))
def test_in_half_duplex_what_arrives_is_what_was_sent(
    calls: list[Call], pick: Pick, offered: tuple[bytes, ...]
) -> None:
    client = ClientConnection(content_encodings=offered)
    ids: dict[int, Call] = {}
    do([calling(client, call, ids) for call in calls], pick, lambda: None)

    connection = server("0006")
    received: list[Event] = []
    for piece in pick.cut(joined(client.data_to_send())):
        received += receive(connection, piece)
        assert connection.data_to_send() == []
    assert connection.receive_end() == []
    check_received(received, ids)

    answers = [answering(connection, number, call.answer) for number, call in ids.items()]
    do(answers, pick, lambda: None)
    answered: list[Event] = []
    for piece in pick.cut(joined(connection.data_to_send())):
        answered += receive(client, piece)
    assert client.receive_end() == []
    check_answered(answered, ids)
    assert client.active == frozenset()


@settings(max_examples=150, deadline=None)
@given(st.lists(CALLS, max_size=5), PICKS)
def test_in_full_duplex_what_arrives_is_what_was_sent(calls: list[Call], pick: Pick) -> None:
    client = ClientConnection(content_encodings=[b"identity"])
    connection = server("0006", half_duplex=False)
    ids: dict[int, Call] = {}
    received: list[Event] = []
    answered: list[Event] = []
    answers: list[list[Callable[[], None]]] = []

    def go_on() -> None:
        """Take one step of one answer, and carry what it sends to the client."""
        if answers:
            chosen = answers[pick.among(len(answers))]
            chosen.pop(0)()
            answers[:] = [sequence for sequence in answers if sequence]
        for piece in pick.cut(joined(connection.data_to_send())):
            answered.extend(receive(client, piece))

    def carry_over() -> None:
        for piece in pick.cut(joined(client.data_to_send())):
            for event in receive(connection, piece):
                received.append(event)
                if isinstance(event, RequestReceived):
                    answer = ids[event.request_id].answer
                    answers.append(answering(connection, event.request_id, answer))
        if pick.among(2):
            go_on()

    do([calling(client, call, ids) for call in calls], pick, carry_over)
    while answers:
        go_on()
    check_received(received, ids)
    check_answered(answered, ids)
    assert client.receive_end() == []
    assert connection.receive_end() == []


def test_an_id_is_used_again_in_full_duplex_after_both_ends() -> None:
    client = ClientConnection()
    connection = server("0006", half_duplex=False)
    for _ in range(1 << 15):
        request_id = client.send_command(b"c", {})
        assert receive(connection, joined(client.data_to_send())) == [
            RequestReceived(request_id=request_id, command=b"c", arguments={})
        ]
        connection.send_result(request_id, None)
        receive(client, joined(connection.data_to_send()))
    assert client.send_command(b"c", {}) == 1
    assert receive(connection, joined(client.data_to_send())) == [
        RequestReceived(request_id=1, command=b"c", arguments={})
    ]
