"""Requests in a name frame and argument frames: server-state-machine 1.7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import failed, fed, receive, server
from support.peers import frame

from wiredaemon.protocol import (
    DataReceived,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)
from wiredaemon.protocol.requests import RequestsState
from wiredaemon.protocol.states import InputState
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.protocol import Event

EOS, ARGS, DATA = 1, 2, 4
CONTINUATION, EOA = 1, 2
MORE, LAST = 1, 2


def name(flags: int, payload: bytes = b"command", request_id: int = 1) -> bytes:
    return frame(1, flags, payload, request_id=request_id)


def argument(flags: int, key: bytes, value: bytes, request_id: int = 1) -> bytes:
    sizes = len(key).to_bytes(2, "little") + len(value).to_bytes(2, "little")
    return frame(2, flags, sizes + key + value, request_id=request_id)


def data(flags: int, payload: bytes = b"data", request_id: int = 1) -> bytes:
    return frame(3, flags, payload, request_id=request_id)


def received(
    arguments: Mapping[bytes, bytes] | None = None, *, request_id: int = 1, has_data: bool = False
) -> RequestReceived:
    return RequestReceived(
        request_id=request_id, command=b"command", arguments=arguments or {}, has_data=has_data
    )


def events_of(*frames: bytes) -> list[Event]:
    return fed("0002", *frames).events


# --- what is accepted --------------------------------------------------------------------------


def test_a_name_alone_is_a_request() -> None:
    outcome = fed("0002", name(EOS))
    assert outcome.events == [received()]
    assert outcome.state is RequestsState.IDLE


@pytest.mark.parametrize("others", [ARGS, DATA, ARGS | DATA, 8])
def test_eos_wins_over_the_other_flags_of_a_name(others: int) -> None:
    # framing 5.1 (observed)
    assert events_of(name(EOS | others)) == [received()]


def test_the_arguments_of_the_seed_are_read() -> None:
    # framing 5.1, the example of the second seed, to the byte
    outcome = fed(
        "0002",
        b"\x08\x00\x00\x01\x00\x01\x01\x12command1",
        b"\x0b\x00\x00\x01\x00\x01\x00 \x03\x00\x04\x00fooval1",
        b'\x0b\x00\x00\x01\x00\x01\x00"\x04\x00\x03\x00bar1val',
    )
    assert outcome.events == [
        RequestReceived(
            request_id=1, command=b"command1", arguments={b"foo": b"val1", b"bar1": b"val"}
        )
    ]


def test_a_request_with_arguments_waits_for_the_last() -> None:
    outcome = fed("0002", name(ARGS), argument(0, b"a", b"1"))
    assert (outcome.events, outcome.state) == ([], RequestsState.RECEIVING)


def test_of_an_argument_given_twice_the_last_value_counts() -> None:
    frames = [
        name(ARGS),
        argument(0, b"a", b"1"),
        argument(0, b"b", b"2"),
        argument(EOA, b"a", b"3"),
    ]
    assert events_of(*frames) == [received({b"a": b"3", b"b": b"2"})]


@pytest.mark.parametrize(
    ("key", "value"), [(b"", b""), (b"a", b""), (b"", b"v"), (b"k" * 300, b"v")]
)
def test_names_and_values_may_have_any_size(key: bytes, value: bytes) -> None:
    assert events_of(name(ARGS), argument(EOA, key, value)) == [received({key: value})]


def test_a_value_may_go_on_in_further_frames() -> None:
    # framing 5.1, "Multi-frame argument values": the original said HTTP 500
    frames = [
        name(ARGS),
        frame(2, CONTINUATION, b"\x03\x00\x06\x00keyva"),
        frame(2, CONTINUATION, b"l"),
        frame(2, EOA, b"ue!"),
    ]
    assert events_of(*frames) == [received({b"key": b"value!"})]


def test_after_a_value_that_went_on_comes_a_new_argument() -> None:
    frames = [
        name(ARGS),
        frame(2, CONTINUATION, b"\x01\x00\x02\x00ax"),
        frame(2, 0, b"y"),
        argument(EOA, b"b", b"z"),
    ]
    assert events_of(*frames) == [received({b"a": b"xy", b"b": b"z"})]


def test_a_whole_value_that_goes_on_may_end_with_an_empty_frame() -> None:
    frames = [name(ARGS), frame(2, CONTINUATION, b"\x01\x00\x01\x00ax"), frame(2, EOA)]
    assert events_of(*frames) == [received({b"a": b"x"})]


def test_data_comes_out_as_it_arrives() -> None:
    frames = [name(DATA), data(MORE, b"one"), data(MORE, b"two"), data(LAST, b"end")]
    assert events_of(*frames) == [
        received(has_data=True),
        DataReceived(request_id=1, data=b"one"),
        DataReceived(request_id=1, data=b"two"),
        DataReceived(request_id=1, data=b"end"),
        RequestCompleted(request_id=1),
    ]


def test_arguments_and_then_data_are_a_request() -> None:
    frames = [name(ARGS | DATA), argument(EOA, b"a", b"1"), data(LAST)]
    assert events_of(*frames) == [
        received({b"a": b"1"}, has_data=True),
        DataReceived(request_id=1, data=b"data"),
        RequestCompleted(request_id=1),
    ]


def test_data_is_accepted_before_the_arguments_have_ended() -> None:
    # point 5
    frames = [name(ARGS | DATA), data(MORE, b"one"), argument(EOA, b"a", b"1"), data(LAST, b"two")]
    assert events_of(*frames) == [
        received({b"a": b"1"}, has_data=True),
        DataReceived(request_id=1, data=b"one"),
        DataReceived(request_id=1, data=b"two"),
        RequestCompleted(request_id=1),
    ]


def test_the_end_of_data_ends_the_arguments_too() -> None:
    frames = [name(ARGS | DATA), argument(0, b"a", b"1"), data(LAST)]
    assert events_of(*frames) == [
        received({b"a": b"1"}, has_data=True),
        DataReceived(request_id=1, data=b"data"),
        RequestCompleted(request_id=1),
    ]


def test_continuation_wins_over_eos_on_data() -> None:
    # point 5 (observed)
    assert events_of(name(DATA), data(MORE | LAST)) == [
        received(has_data=True),
        DataReceived(request_id=1, data=b"data"),
    ]


def test_requests_interleave() -> None:
    # both seeds: request 3 completes first
    outcome = fed(
        "0002",
        name(ARGS, request_id=1),
        name(ARGS, request_id=3),
        argument(EOA, b"b", b"2", request_id=3),
        argument(EOA, b"a", b"1", request_id=1),
    )
    assert outcome.events == [
        received({b"b": b"2"}, request_id=3),
        received({b"a": b"1"}, request_id=1),
    ]
    assert outcome.state is RequestsState.IDLE


def test_the_state_stays_receiving_while_another_request_is_incomplete() -> None:
    outcome = fed("0002", name(ARGS), name(EOS, request_id=3))
    assert outcome.events == [received(request_id=3)]
    assert outcome.state is RequestsState.RECEIVING


# --- what is refused ---------------------------------------------------------------------------

WITH_ARGUMENTS: Final = name(ARGS, request_id=5)
"""Puts the connection into the state command-receiving."""

REFUSED: Final = [
    # idle
    ("expected command frame; got 2", [argument(EOA, b"a", b"1")]),
    ("request with ID 1 is already active", [name(EOS), name(EOS)]),
    ("request with ID 1 is already active", [name(EOS), name(0)]),
    ("missing frame flags on command frame", [name(0)]),
    ("missing frame flags on command frame", [name(8)]),
    # command-receiving
    ("request with ID 5 already received", [WITH_ARGUMENTS, name(EOS, request_id=5)]),
    ("request with ID 5 already received", [WITH_ARGUMENTS, name(0, request_id=5)]),
    ("request with ID 1 is already active", [name(EOS), WITH_ARGUMENTS, name(EOS)]),
    ("missing frame flags on command frame", [WITH_ARGUMENTS, name(0)]),
    (
        "received frame for request that is still active: 1",
        [name(EOS), WITH_ARGUMENTS, argument(EOA, b"a", b"1")],
    ),
    ("received frame for request that is still active: 1", [name(EOS), WITH_ARGUMENTS, data(LAST)]),
    (
        "received frame for request that is not receiving: 1",
        [WITH_ARGUMENTS, argument(EOA, b"a", b"1")],
    ),
    ("received frame for request that is not receiving: 1", [WITH_ARGUMENTS, data(LAST)]),
    (
        "received command argument frame for request that is not expecting arguments: 1",
        [name(DATA), argument(EOA, b"a", b"1")],
    ),
    (
        "received command argument frame for request that is not expecting arguments: 1",
        [name(DATA), frame(2, 0, b"abc")],
    ),
    ("malformed argument frame: partial argument name", [name(ARGS), frame(2, 2, b"\2\0\0\0a")]),
    (
        "malformed argument frame: partial argument name",
        [name(ARGS), frame(2, CONTINUATION, b"\2\0\0\0a")],
    ),
    ("malformed argument frame: partial argument value", [name(ARGS), frame(2, 2, b"\1\0\2\0ax")]),
    ("malformed argument frame: partial argument value", [name(ARGS), frame(2, 2, b"\1\0\1\0axy")]),
    (
        "received command data frame for request that is not expecting data: 5",
        [WITH_ARGUMENTS, data(LAST, request_id=5)],
    ),
    ("command data frame without flags", [name(DATA), data(0)]),
    ("command data frame without flags", [name(ARGS | DATA), data(12)]),
]


@pytest.mark.parametrize(("text", "frames"), REFUSED)
def test_each_documented_mistake_has_its_text(text: str, frames: list[bytes]) -> None:
    outcome = fed("0002", *frames)
    assert outcome.events[-1] == failed(text)
    assert all(isinstance(event, RequestReceived) for event in outcome.events[:-1])
    assert outcome.state is InputState.ERRORED


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        (
            "malformed argument frame: partial argument header",
            [name(ARGS), frame(2, EOA, b"\1\0\1")],
        ),
        ("malformed argument frame: partial argument header", [name(ARGS), frame(2, EOA)]),
        ("received unexpected frame type: 4", [name(ARGS), frame(4, 0)]),
        (
            "command data of request 1 ended inside an argument value",
            [name(ARGS | DATA), frame(2, CONTINUATION, b"\1\0\2\0ax"), data(LAST)],
        ),
        (
            "command argument of request 1 follows the last argument",
            [
                name(ARGS | DATA),
                argument(EOA, b"a", b"1"),
                data(MORE, b""),
                argument(EOA, b"b", b"2"),
            ],
        ),
    ],
)
def test_what_was_http_500_is_malformed(text: str, frames: list[bytes]) -> None:
    # points 4 and 6
    assert events_of(*frames)[-1] == failed(text, malformed=True)


def test_a_value_that_goes_on_must_have_its_announced_size() -> None:
    text = "malformed argument frame: partial argument value"
    begun = [name(ARGS), frame(2, CONTINUATION, b"\1\0\3\0ax")]
    assert events_of(*begun, frame(2, CONTINUATION, b"yzz")) == [failed(text)]
    assert events_of(*begun, frame(2, EOA, b"y")) == [failed(text)]
    assert events_of(name(ARGS), frame(2, CONTINUATION, b"\1\0\1\0axy")) == [failed(text)]


def test_an_argument_after_the_last_is_accepted_until_data_begins() -> None:
    # the original stored it: only a request that was passed on cannot change any more
    frames = [name(ARGS | DATA), argument(EOA, b"a", b"1"), argument(0, b"b", b"2"), data(LAST)]
    assert events_of(*frames)[0] == received({b"a": b"1", b"b": b"2"}, has_data=True)
    # and the arguments have still ended, so data is handed on as it comes
    assert events_of(*frames[:3], data(MORE)) == [
        received({b"a": b"1", b"b": b"2"}, has_data=True),
        DataReceived(request_id=1, data=b"data"),
    ]


# --- every state and frame type ----------------------------------------------------------------

UNEXPECTED: Final = "received unexpected frame type: %d"


def expected_in(state: RequestsState, number: int) -> list[Event]:
    """Return what a frame of any type, flags 2, for request 1 brings (points of 1.7).

    In command-receiving, request 1 expects arguments and data; the payload is one argument.
    """
    match state, number:
        case RequestsState.IDLE, 1:
            return []
        case RequestsState.IDLE, _:
            return [failed(f"expected command frame; got {number}")]
        case RequestsState.RECEIVING, 1:
            return [failed("request with ID 1 already received")]
        case RequestsState.RECEIVING, 2:
            return []
        case RequestsState.RECEIVING, 3:
            return [
                received(has_data=True),
                DataReceived(request_id=1, data=b"\1\0\1\0ax"),
                RequestCompleted(request_id=1),
            ]
        case _:
            return [failed(UNEXPECTED % number, malformed=True)]


@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("state", [RequestsState.IDLE, RequestsState.RECEIVING])
def test_each_frame_type_in_each_state(state: RequestsState, number: int) -> None:
    before = [name(ARGS | DATA)] if state is RequestsState.RECEIVING else []
    outcome = fed("0002", *before, frame(number, 2, b"\1\0\1\0ax"))
    assert outcome.events == expected_in(state, number)


@pytest.mark.parametrize("number", [0, 2, 3, 4, 5, 6, 7, 8, 15])
def test_in_receiving_ids_are_checked_before_the_type(number: int) -> None:
    # points 2 and 3
    frames = [name(EOS), WITH_ARGUMENTS, frame(number, 2, b"x")]
    assert events_of(*frames)[1:] == [failed("received frame for request that is still active: 1")]
    frames = [WITH_ARGUMENTS, frame(number, 2, b"x")]
    assert events_of(*frames) == [failed("received frame for request that is not receiving: 1")]


# --- limits and the end of input ---------------------------------------------------------------


def test_name_and_arguments_together_have_a_size_limit() -> None:
    limits = Limits(request_size=20)
    at_limit = [name(ARGS), argument(EOA, b"a", b"12345678")]
    assert fed("0002", *at_limit, limits=limits).events == [received({b"a": b"12345678"})]
    over = [name(ARGS), argument(EOA, b"a", b"123456789")]
    text = "request 1 exceeds the limit of 20 bytes (request_size)"
    assert fed("0002", *over, limits=limits).events == [failed(text, malformed=True)]


def test_a_name_alone_may_cross_the_size_limit() -> None:
    text = "request 1 exceeds the limit of 6 bytes (request_size)"
    outcome = fed("0002", name(EOS), limits=Limits(request_size=6))
    assert outcome.events == [failed(text, malformed=True)]


def test_the_frames_of_a_request_are_counted() -> None:
    limits = Limits(request_frames=3)
    last = argument(EOA, b"a", b"1")
    two = [name(ARGS), argument(0, b"a", b"1")]
    assert fed("0002", *two, last, limits=limits).events == [received({b"a": b"1"})]
    text = "request 1 exceeds the limit of 3 frames (request_frames)"
    outcome = fed("0002", *two, argument(0, b"a", b"1"), last, limits=limits)
    assert outcome.events == [failed(text, malformed=True)]


def test_data_in_front_of_the_arguments_has_a_limit() -> None:
    limits = Limits(undeclared_data=6)
    begun = [name(ARGS | DATA), data(MORE, b"abc"), data(MORE, b"def")]
    assert fed("0002", *begun, limits=limits).events == []
    text = "command data in front of request 1 exceeds the limit of 6 bytes (undeclared_data)"
    outcome = fed("0002", *begun, data(MORE, b"g"), limits=limits)
    assert outcome.events == [failed(text, malformed=True)]


def test_input_that_ends_inside_a_request_aborts_it() -> None:
    connection = server("0002")
    assert receive(connection, name(ARGS) + name(DATA, request_id=3)) == []
    assert connection.receive_end() == [
        RequestAborted(request_id=1, reason="input ended before the request frames of request 1"),
        RequestAborted(request_id=3, reason="input ended before the command data of request 3"),
    ]
