"""Both sides of every dialect driven against each other: what arrives equals what was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given
from hypothesis import strategies as st
from support.feeding import ALL, joined, receive, server

from wiredaemon.protocol import (
    ClientConnection,
    DataReceived,
    Event,
    RequestCompleted,
    RequestFailed,
    RequestReceived,
    ResponseDataReceived,
    ResponseError,
    ServerConnection,
    TextOutputReceived,
    response_reader,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import format_message
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.protocol import ObjectReader

LIMITS: Final = Limits(empty_frames=100, decoded_size=50_000)


class Zeros(bytes):
    """Many bytes with a short name, so that hypothesis can show them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Zeros({len(self)})"


STRINGS: Final = st.binary(max_size=20) | st.sampled_from(
    [Zeros(32767), Zeros(20000), Zeros(70000)]
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | STRINGS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
MESSAGES: Final = st.lists(st.sampled_from([b"a", b"%s", b"%%", b"%", b" "])).map(b"".join)


@dataclass(frozen=True)
class Answer:
    """What the server's caller does about one request."""

    said: list[bytes]
    """Texts in front of the objects."""
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
    redirect: Any
    extra: dict[bytes, Any]
    answer: Answer


@dataclass(frozen=True)
class Case:
    """The calls of one connection."""

    dialect: str
    offered: tuple[bytes, ...]
    calls: list[Call]


def answers(dialect: str) -> st.SearchStrategy[Answer]:
    """Make up answers that the dialect has a form for."""
    # Text in CBOR; our servers have none in 0002.
    said = st.just([]) if dialect == "0002" else st.lists(st.just(b"said\n"), max_size=2)

    def objects(least: int, most: int) -> st.SearchStrategy[list[Any]]:
        raw = st.lists(STRINGS.map(RawBytes), min_size=least, max_size=most)
        values = st.lists(VALUES, min_size=least, max_size=most)
        # framing 6.1: raw bytes in 0002, in 0003 raw bytes or CBOR, never both in one response
        return {"0002": raw, "0003": raw | values}.get(dialect, values)

    return (
        st.builds(Answer, said, objects(0, 4), st.just("end"))
        | st.builds(Answer, said, objects(1, 1), st.just("result"))
        | st.builds(
            Answer,
            said,
            st.just([]) | objects(0, 2),
            st.sampled_from(["error", "server error"]),
            MESSAGES,
            st.lists(st.binary(max_size=5), max_size=3),
        )
    )


def calls(dialect: str) -> st.SearchStrategy[Call]:
    """Make up calls that the dialect has a form for."""
    is_0002, is_0006 = dialect == "0002", dialect == "0006"
    strings = STRINGS.filter(lambda value: len(value) < 1 << 16) | st.just(Zeros(65535))
    extra = st.fixed_dictionaries({b"context": VALUES})
    return st.builds(
        Call,
        st.binary(max_size=10),
        st.dictionaries(st.binary(max_size=5), strings if is_0002 else VALUES, max_size=3),
        st.none() | st.lists(st.binary(max_size=10) | st.just(Zeros(40000)), max_size=4),
        st.none() | VALUES if is_0006 else st.none(),
        st.just({}) if is_0002 else st.just({}) | extra,
        answers(dialect),
    )


def cases(dialect: str) -> st.SearchStrategy[Case]:
    offers = st.permutations([b"zstd-8mb", b"zlib", b"identity", b"no"]).flatmap(
        lambda profiles: st.integers(0, 4).map(lambda count: tuple(profiles[:count]))
    )
    offered = offers if dialect == "0006" else st.just(())
    return st.builds(Case, st.just(dialect), offered, st.lists(calls(dialect), max_size=5))


CASES: Final = st.sampled_from(ALL).flatmap(cases)


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
    """Return the steps of sending one command."""
    request_ids: list[int] = []

    def send_command() -> None:
        request_id = client.send_command(
            call.name,
            call.arguments,
            has_data=call.data is not None,
            redirect=call.redirect,
            extra=call.extra,
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
    """Return the steps of answering one command."""
    steps: list[Callable[[], None]] = [
        lambda text=text: connection.send_text(request_id, text)  # type: ignore[misc]
        for text in answer.said
    ]
    if answer.ending == "result":
        return [*steps, lambda: connection.send_result(request_id, answer.objects[0])]
    steps += [
        lambda value=value: connection.send_object(request_id, value)  # type: ignore[misc]
        for value in answer.objects
    ]
    endings: dict[str, Callable[[], None]] = {
        "end": lambda: connection.end_response(request_id),
        "error": lambda: connection.send_error(request_id, answer.message, answer.arguments),
        "server error": lambda: connection.send_server_error(request_id, answer.message),
    }
    return [*steps, endings[answer.ending]]


def received_by(client: ClientConnection, data: bytes, pick: Pick) -> list[Event]:
    """Feed a client in pieces, perhaps further ones while something is pending."""
    events: list[Event] = []
    for piece in pick.cut(data):
        events += receive(client, piece)
        while client.pending and pick.among(2):
            events += receive(client, b"")
    while client.pending:
        events += receive(client, b"")
    return events


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
                    redirect=call.redirect,
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


def check_answered(dialect: str, events: list[Event], ids: dict[int, Call]) -> None:
    """Compare what the client got with what the server's caller sent."""
    readers = {number: response_reader(DIALECTS[dialect], LIMITS) for number in ids}
    objects: dict[int, list[object]] = {number: [] for number in ids}
    said: dict[int, list[bytes]] = {number: [] for number in ids}
    ended: set[int] = set()
    for event in events:
        assert isinstance(event, ResponseDataReceived | RequestFailed | TextOutputReceived)
        number = event.request_id
        answer = ids[number].answer
        assert number not in ended
        match event:
            case TextOutputReceived():
                said[number].append(event.text)
            case RequestFailed():
                assert (event.kind, event.message) == expected_failure(dialect, answer)
                ended.add(number)
            case ResponseDataReceived():
                objects[number] += readers[number].receive_event(event)
                if event.end:
                    ended.add(number)
                    check_end(dialect, readers[number], objects[number], answer)
    assert ended == set(ids)
    assert said == {number: call.answer.said for number, call in ids.items()}


def expected_failure(dialect: str, answer: Answer) -> tuple[bytes, bytes]:
    """Return kind and text of the error frame that tells of an answer's error."""
    formatted = format_message(answer.message, answer.arguments)
    if dialect < "0005":
        # framing 7: text, as it is
        return b"application", formatted if answer.ending == "error" else answer.message
    if answer.ending == "error":
        # sessions 4: behind objects
        assert answer.objects
        return b"command", format_message(formatted, [])
    assert answer.ending == "server error"
    assert dialect == "0006" or answer.objects
    return b"server", format_message(answer.message, [])


def check_end(dialect: str, reader: ObjectReader, objects: list[object], answer: Answer) -> None:
    """Compare a response that was not ended by an error frame."""
    if answer.ending == "server error":
        assert dialect == "0005"  # in front of any object
        escaped = answer.message.replace(b"%", b"%%")
        assert reader.error == ResponseError(message=escaped, arguments=[])
        assert (objects, answer.objects) == ([], [])
    elif answer.ending != "error":
        assert reader.error is None
        assert objects == expected_objects(dialect, answer)
    else:
        assert answer.objects == []
        assert dialect >= "0005"
        assert reader.error == ResponseError(message=answer.message, arguments=answer.arguments)
        assert objects == []


def expected_objects(dialect: str, answer: Answer) -> list[Any]:
    """Return what a reader makes of an answer: one `RawBytes` of all that was sent as such."""
    raw = [one.data for one in answer.objects if isinstance(one, RawBytes)]
    if dialect in {"0002", "0003"} and len(raw) == len(answer.objects):
        return [RawBytes(b"".join(raw))]
    return answer.objects


@given(CASES, PICKS)
def test_in_half_duplex_what_arrives_is_what_was_sent(case: Case, pick: Pick) -> None:
    client = ClientConnection(DIALECTS[case.dialect], content_encodings=case.offered, limits=LIMITS)
    ids: dict[int, Call] = {}
    do([calling(client, call, ids) for call in case.calls], pick, _nothing)

    connection = server(case.dialect, limits=LIMITS)
    received: list[Event] = []
    for piece in pick.cut(joined(client.data_to_send())):
        received += receive(connection, piece)
        assert connection.data_to_send() == []
    assert connection.receive_end() == []
    check_received(received, ids)

    do([answering(connection, number, call.answer) for number, call in ids.items()], pick, _nothing)
    answered = received_by(client, joined(connection.data_to_send()), pick)
    assert client.receive_end() == []
    check_answered(case.dialect, answered, ids)
    assert client.active == frozenset()


@given(CASES, PICKS)
def test_in_full_duplex_what_arrives_is_what_was_sent(case: Case, pick: Pick) -> None:
    client = ClientConnection(DIALECTS[case.dialect], content_encodings=case.offered, limits=LIMITS)
    connection = server(case.dialect, half_duplex=False, limits=LIMITS)
    ids: dict[int, Call] = {}
    received: list[Event] = []
    answered: list[Event] = []
    waiting: list[list[Callable[[], None]]] = []

    def go_on() -> None:
        """Do one step of one answer, and carry what it sends to the client."""
        if waiting:
            chosen = waiting[pick.among(len(waiting))]
            chosen.pop(0)()
            waiting[:] = [sequence for sequence in waiting if sequence]
        answered.extend(received_by(client, joined(connection.data_to_send()), pick))

    def carry_over() -> None:
        for piece in pick.cut(joined(client.data_to_send())):
            for event in receive(connection, piece):
                received.append(event)
                if isinstance(event, RequestReceived):
                    answer = ids[event.request_id].answer
                    waiting.append(answering(connection, event.request_id, answer))
        if pick.among(2):
            go_on()

    do([calling(client, call, ids) for call in case.calls], pick, carry_over)
    while waiting:
        go_on()
    check_received(received, ids)
    check_answered(case.dialect, answered, ids)
    assert client.receive_end() == []
    assert connection.receive_end() == []


def _nothing() -> None:
    """Do nothing between two steps."""


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
