"""The server of every dialect against an independent peer: what arrives equals what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import ALL, joined, receive, server
from support.peers import (
    Answer,
    interleave,
    item,
    parse_frames,
    read_answers,
    request_frames,
    settings_frames,
)

from wiredaemon.protocol import (
    DataReceived,
    Event,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.peers import WireFrame

OK: Final = b"\xa1FstatusBok"
TEXT_ERAS: Final = ("0002", "0003", "0004")


@dataclass(frozen=True)
class Call:
    """One command, how it is cut, and its answer: raw bytes of these sizes, or an error."""

    name: bytes
    arguments: dict[bytes, bytes]
    data: bytes | None
    cut: int
    stream_id: int
    sizes: list[int]
    ending: str
    message: bytes


CALLS: Final = st.builds(
    Call,
    st.binary(max_size=10),
    st.dictionaries(st.binary(max_size=5), st.binary(max_size=30), max_size=3),
    st.none() | st.binary(max_size=40),
    st.integers(5, 60),
    st.sampled_from([1, 3, 5]),
    st.lists(st.sampled_from([0, 1, 10000, 20000, 32767, 32768, 65536]), max_size=4),
    st.sampled_from(["end", "result", "error", "server error"]),
    st.binary(min_size=1, max_size=20).filter(lambda text: b"%" not in text),
)
NUMBERS: Final = st.lists(st.integers(0, 1000), max_size=60)
CUTS: Final = st.lists(st.integers(0, 4000), max_size=10)


def check_received(events: list[Event], calls: dict[int, Call]) -> None:
    begun: dict[int, bytes] = {}
    completed = []
    for event in events:
        match event:
            case RequestReceived():
                call = calls[event.request_id]
                assert event == RequestReceived(
                    request_id=event.request_id,
                    command=call.name,
                    arguments=call.arguments,
                    has_data=call.data is not None,
                )
                begun[event.request_id] = b""
                if call.data is None:
                    completed.append(event.request_id)
            case DataReceived():
                assert event.request_id not in completed
                begun[event.request_id] += event.data
            case RequestCompleted():
                completed.append(event.request_id)
            case _:
                raise AssertionError(event)
    assert sorted(completed) == sorted(calls)
    assert begun == {request_id: call.data or b"" for request_id, call in calls.items()}


def answering(
    connection: ServerConnection, request_id: int, call: Call
) -> list[Callable[[], None]]:
    """Return the steps of answering."""
    match call.ending:
        case "result":
            value = RawBytes(bytes(sum(call.sizes)))
            return [lambda: connection.send_result(request_id, value)]
        case "error":
            return [lambda: connection.send_error(request_id, b"%s", [call.message])]
        case "server error":
            return [lambda: connection.send_server_error(request_id, call.message)]
        case _:
            sending: list[Callable[[], None]] = [
                lambda size=size: connection.send_object(request_id, RawBytes(bytes(size)))  # type: ignore[misc]
                for size in call.sizes
            ]
            return [*sending, lambda: connection.end_response(request_id)]


def error_map(dialect: str, error: dict[bytes, object]) -> bytes:
    return item({b"status": b"error", b"error": error}, canonical=dialect != "0006")


def expected_answer(dialect: str, call: Call) -> tuple[bytes, bytes | None]:
    """Return the content of all response frames and the payload of the error frame."""
    match call.ending:
        case "error" | "server error" if dialect in TEXT_ERAS:
            return b"", call.message
        case "error":
            error: dict[bytes, object] = {b"message": b"%s", b"args": [call.message]}
            return error_map(dialect, error), None
        case "server error" if dialect == "0005":
            return error_map(dialect, {b"message": call.message}), None
        case "server error":
            atoms = [{b"msg": call.message}]
            return b"", item({b"type": b"server", b"message": atoms}, canonical=False)
        case ending:
            sizes = [sum(call.sizes)] if ending == "result" else call.sizes
            strings = [bytes(size) for size in sizes]
            if dialect in {"0002", "0003"}:
                return b"".join(strings), None
            content = b"".join(item(string, canonical=True) for string in strings)
            return (content if dialect == "0004" else OK + content), None


def check_flags(dialect: str, call: Call, answer: Answer) -> None:
    """Check the flags of one response (framing 6.1 to 6.3)."""
    if answer.error is not None:
        assert answer.flags == ()
        return
    *before, last = answer.flags
    if dialect == "0005" and call.ending == "end":
        # flags 0 on the first data frame; flags 3 at the end if there was none
        between = [1] * (len(before) - 2)
        assert answer.flags == ((1, 0, *between, 2) if call.sizes else (1, 3))
        return
    assert last == 2
    assert set(before) <= {1}


def check_answers(dialect: str, frames: list[WireFrame], calls: dict[int, Call]) -> None:
    answers = read_answers(dialect, frames)
    assert set(answers) == set(calls)
    for request_id, call in calls.items():
        answer = answers[request_id]
        assert (answer.content, answer.error) == expected_answer(dialect, call)
        check_flags(dialect, call, answer)


# Not parametrized: pytest-twisted runs hypothesis tests with the parameters of the first.
@given(
    dialect=st.sampled_from(ALL),
    half_duplex=st.booleans(),
    made=st.lists(CALLS, max_size=4),
    picks=NUMBERS,
    more_picks=NUMBERS,
    cuts=CUTS,
)
def test_what_arrives_is_what_was_sent(
    *,
    dialect: str,
    half_duplex: bool,
    made: list[Call],
    picks: list[int],
    more_picks: list[int],
    cuts: list[int],
) -> None:
    calls = {number * 2 + 1: call for number, call in enumerate(made)}
    requests = [
        request_frames(
            dialect,
            request_id,
            call.name,
            dict(call.arguments),
            call.data,
            cut=call.cut,
            stream_id=call.stream_id,
        )
        for request_id, call in calls.items()
    ]
    frames = interleave(requests, picks)
    if dialect == "0006" and picks[:1] > [500]:
        frames = [*settings_frames(b"zlib", b"identity"), *frames]
    data = b"".join(frames)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    connection = server(dialect, half_duplex=half_duplex)
    received = [
        event for start, end in pairwise(places) for event in receive(connection, data[start:end])
    ]
    assert connection.receive_end() == []
    check_received(received, calls)

    waiting = [answering(connection, number, call) for number, call in calls.items()]
    while waiting:
        chosen = waiting[(more_picks.pop() if more_picks else 0) % len(waiting)]
        chosen.pop(0)()
        waiting = [steps for steps in waiting if steps]
    check_answers(dialect, parse_frames(joined(connection.data_to_send())), calls)


@pytest.mark.parametrize("dialect", ALL)
def test_the_peer_sees_data_while_the_answer_goes_out(dialect: str) -> None:
    # full duplex: three pieces of data, each answered before the next is sent
    connection = server(dialect, half_duplex=False)
    *first, last = request_frames(dialect, 1, b"echo", None, b"onetwo", cut=3)
    echoed: list[Any] = []
    for part in [*first, last]:
        for event in receive(connection, part):
            if isinstance(event, DataReceived):
                connection.send_object(1, RawBytes(event.data))
                echoed.append(event.data)
    connection.end_response(1)
    answer = read_answers(dialect, parse_frames(joined(connection.data_to_send())))[1]
    assert b"".join(echoed) == b"onetwo"
    expected = {
        "0002": b"onetwo",
        "0003": b"onetwo",
        "0004": b"ConeCtwo",
        "0005": OK + b"ConeCtwo",
        "0006": OK + b"ConeCtwo",
    }
    assert (answer.content, answer.error) == (expected[dialect], None)
