"""Requests that are one CBOR map, cut into frames: server-state-machine 1.8 to 1.10."""

from __future__ import annotations

from typing import Final

import pytest
from support.feeding import MAPS, failed, fed, receive, server
from support.peers import NUMBERS, frame, item, map_frames

from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    Event,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
)
from wiredaemon.protocol.requests import RequestsState
from wiredaemon.protocol.states import InputState
from wiredaemon.wire.limits import Limits

NEW, CONTINUED, MORE, DATA = 1, 2, 4, 8
GOES_ON, EOS = 1, 2

CONTENT: Final = b"\xa1DnameGcommand"
RECEIVED: Final = RequestReceived(request_id=1, command=b"command", arguments={})
WITH_DATA: Final = RequestReceived(request_id=1, command=b"command", arguments={}, has_data=True)
DATA_RECEIVED: Final = DataReceived(request_id=1, data=b"data")
COMPLETED: Final = RequestCompleted(request_id=1)

NAMELESS: Final = 'command request missing "name" field'
LENIENT: Final = ("0003", "0004", "0005")


def request(flags: int, payload: bytes = CONTENT, request_id: int = 1) -> bytes:
    return frame(1, flags, payload, request_id=request_id)


def data(dialect: str, flags: int, payload: bytes = b"data", request_id: int = 1) -> bytes:
    return frame(NUMBERS[dialect]["data"], flags, payload, request_id=request_id)


OPEN: Final = request(NEW | MORE, request_id=5)
"""Puts the connection into the state command-receiving."""


# --- what is accepted --------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", MAPS)
def test_the_request_of_the_seed_is_read(dialect: str) -> None:
    # framing 2, worked example
    outcome = fed(dialect, b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly")
    assert outcome.events == [
        RequestReceived(request_id=1, command=b"customreadonly", arguments={})
    ]
    assert outcome.state is RequestsState.IDLE


@pytest.mark.parametrize("dialect", MAPS)
def test_a_map_may_be_cut_anywhere(dialect: str) -> None:
    content = item({b"name": b"command", b"args": {b"key": [1, b"v"]}}, canonical=True)
    for cut in range(1, len(content) + 1):
        frames = map_frames(dialect, 1, content, cut=cut)
        assert fed(dialect, *frames).events == [
            RequestReceived(request_id=1, command=b"command", arguments={b"key": [1, b"v"]})
        ]


@pytest.mark.parametrize("dialect", MAPS)
def test_a_request_with_more_to_come_waits(dialect: str) -> None:
    outcome = fed(dialect, request(NEW | MORE))
    assert (outcome.events, outcome.state) == ([], RequestsState.RECEIVING)


@pytest.mark.parametrize("dialect", MAPS)
def test_a_request_with_data_is_announced_when_its_request_part_is_complete(dialect: str) -> None:
    outcome = fed(dialect, request(NEW | DATA))
    assert (outcome.events, outcome.state) == ([WITH_DATA], RequestsState.RECEIVING)
    cut = [request(NEW | MORE | DATA, CONTENT[:4]), request(CONTINUED | DATA, CONTENT[4:])]
    outcome = fed(dialect, *cut)
    assert (outcome.events, outcome.state) == ([WITH_DATA], RequestsState.RECEIVING)


@pytest.mark.parametrize("dialect", MAPS)
def test_data_comes_out_as_it_arrives(dialect: str) -> None:
    frames = [
        request(NEW | DATA),
        data(dialect, GOES_ON),
        data(dialect, GOES_ON, b""),
        data(dialect, EOS),
    ]
    outcome = fed(dialect, *frames)
    assert outcome.events == [WITH_DATA, DATA_RECEIVED, DATA_RECEIVED, COMPLETED]
    assert outcome.state is RequestsState.IDLE


@pytest.mark.parametrize("dialect", MAPS)
def test_no_data_is_one_empty_frame(dialect: str) -> None:
    assert fed(dialect, request(NEW | DATA), data(dialect, EOS, b"")).events == [
        WITH_DATA,
        COMPLETED,
    ]


@pytest.mark.parametrize("dialect", MAPS)
def test_data_in_front_of_the_last_request_frame_is_kept(dialect: str) -> None:
    frames = [
        request(NEW | MORE | DATA, CONTENT[:4]),
        data(dialect, GOES_ON),
        request(CONTINUED | DATA, CONTENT[4:]),
        data(dialect, EOS),
    ]
    assert fed(dialect, *frames).events == [WITH_DATA, DATA_RECEIVED, DATA_RECEIVED, COMPLETED]


@pytest.mark.parametrize("dialect", MAPS)
def test_continuation_wins_over_eos_on_data(dialect: str) -> None:
    outcome = fed(dialect, request(NEW | DATA), data(dialect, GOES_ON | EOS))
    assert outcome.events == [WITH_DATA, DATA_RECEIVED]


@pytest.mark.parametrize("dialect", MAPS)
def test_requests_interleave(dialect: str) -> None:
    outcome = fed(
        dialect,
        request(NEW | MORE, CONTENT[:4], request_id=1),
        request(NEW | MORE, CONTENT[:5], request_id=3),
        request(CONTINUED, CONTENT[5:], request_id=3),
        request(CONTINUED, CONTENT[4:], request_id=1),
    )
    assert outcome.events == [
        RequestReceived(request_id=3, command=b"command", arguments={}),
        RECEIVED,
    ]
    assert outcome.state is RequestsState.IDLE


@pytest.mark.parametrize("dialect", MAPS)
def test_the_state_stays_receiving_while_another_request_is_incomplete(dialect: str) -> None:
    outcome = fed(dialect, OPEN, request(NEW))
    assert (outcome.events, outcome.state) == ([RECEIVED], RequestsState.RECEIVING)


# --- what is refused ---------------------------------------------------------------------------

BOTH: Final = "received command request frame with both new and continuation flags set"
NEITHER: Final = "received command request frame with neither new nor continuation flags set"
FIRST: Final = request(NEW | MORE)

REFUSED: Final = [
    # 1.8, in its order; the comments number its points
    ("expected command request frame; got 15", [request(NEW), frame(15, 1)]),  # 1
    (BOTH, [request(NEW | CONTINUED)]),  # 2
    (BOTH, [request(NEW), request(NEW | CONTINUED)]),  # 2 before 5
    (NEITHER, [request(0)]),  # 3
    (NEITHER, [request(MORE | DATA)]),  # 3
    (NEITHER, [request(NEW), request(0)]),  # 3 before 5
    ("request with ID 1 is already active", [request(NEW), request(NEW)]),  # 5
    ("request with ID 1 is already active", [request(NEW), request(CONTINUED)]),  # 5 before 6
    ("received command request frame without new flag set", [request(CONTINUED)]),  # 6
    # 1.9
    (BOTH, [FIRST, request(NEW | CONTINUED)]),  # 1
    ("request with ID 1 already received", [FIRST, request(NEW)]),  # 1
    ("request with ID 1 is already active", [request(NEW), OPEN, request(NEW)]),  # 1
    (NEITHER, [FIRST, request(0)]),  # 2
    (NEITHER, [request(NEW), OPEN, request(0)]),  # 2 before 3
    (NEITHER, [OPEN, request(0)]),  # 2 before 4
    (
        "received frame for request that is still active: 1",
        [request(NEW), OPEN, request(CONTINUED)],
    ),  # 3
    ("received frame for request that is not receiving: 1", [OPEN, request(CONTINUED)]),  # 4
    (
        "received command request frame when request frames were supposedly done",
        [request(NEW | DATA), request(CONTINUED | DATA)],
    ),  # 5
    (
        "received command request frame when request frames were supposedly done",
        [request(NEW | DATA), request(CONTINUED)],
    ),  # 5, before the mismatch
    (
        "mismatch between expect data flag and previous frame",
        [FIRST, request(CONTINUED | DATA)],
    ),  # 5
    (
        "mismatch between expect data flag and previous frame",
        [request(NEW | MORE | DATA), request(CONTINUED)],
    ),  # 5
    ("received unexpected frame type: 15", [FIRST, frame(15, 0)]),  # 7
]


def without_announced(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, RequestReceived)]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize(("text", "frames"), REFUSED)
def test_each_documented_mistake_has_its_text(dialect: str, text: str, frames: list[bytes]) -> None:
    outcome = fed(dialect, *frames)
    assert without_announced(outcome.events) == [failed(text)]
    assert outcome.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", MAPS)
def test_each_documented_mistake_with_data_has_its_text(dialect: str) -> None:
    # 1.9, points 3, 4 and 6
    last = data(dialect, EOS)
    cases = [
        ("received frame for request that is still active: 1", [request(NEW), OPEN, last]),
        ("received frame for request that is not receiving: 1", [OPEN, last]),
        (
            "received command data frame for request that is not expecting data: 1",
            [FIRST, last],
        ),
        ("command data frame without flags", [request(NEW | DATA), data(dialect, 0)]),
        ("command data frame without flags", [request(NEW | DATA), data(dialect, 12)]),
        ("command data frame without flags", [request(NEW | MORE | DATA), data(dialect, 0)]),
    ]
    for text, frames in cases:
        assert without_announced(fed(dialect, *frames).events) == [failed(text)]


@pytest.mark.parametrize("dialect", MAPS)
def test_data_that_ends_before_its_request_is_malformed(dialect: str) -> None:
    # 1.9, point 6: HTTP 500 in the original
    outcome = fed(dialect, request(NEW | MORE | DATA), data(dialect, EOS))
    text = "command data of request 1 ended before its request frames"
    assert outcome.events == [failed(text, malformed=True)]


# --- every state and frame type ----------------------------------------------------------------


EXPECTED: Final = {
    (InputState.INITIAL, "request"): "received command request frame without new flag set",
    (InputState.INITIAL, "data"): (
        "expected sender protocol settings or command request frame; got %d"
    ),
    (InputState.INITIAL, "other"): (
        "expected sender protocol settings or command request frame; got %d"
    ),
    (RequestsState.IDLE, "request"): "received command request frame without new flag set",
    (RequestsState.IDLE, "data"): "expected command request frame; got %d",
    (RequestsState.IDLE, "other"): "expected command request frame; got %d",
    (RequestsState.RECEIVING, "request"): "mismatch between expect data flag and previous frame",
    (RequestsState.RECEIVING, "data"): "command data of request 1 ended before its request frames",
    (RequestsState.RECEIVING, "other"): "received unexpected frame type: %d",
}
"""What a frame with flags 2 (`continuation`, or `eos`) for request 1 brings.

In idle, another request came before. In command-receiving, request 1 has begun and expects data.
"""


def expected_in(state: InputState | RequestsState, number: int, dialect: str) -> list[Event]:
    kinds = {1: "request", NUMBERS[dialect]["data"]: "data"}
    kind = kinds.get(number, "other")
    text = EXPECTED[state, kind].replace("%d", str(number))
    return [failed(text, malformed=(state, kind) == (RequestsState.RECEIVING, "data"))]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("state", [InputState.INITIAL, RequestsState.IDLE, RequestsState.RECEIVING])
def test_each_frame_type_in_each_state(
    dialect: str, number: int, state: InputState | RequestsState
) -> None:
    if state is InputState.INITIAL:
        if dialect != "0006":
            state = RequestsState.IDLE
        elif number == 8:
            return  # settings: see test_settings
        before = []
    elif state is RequestsState.IDLE:
        before = [request(NEW, request_id=9)]
    else:
        before = [request(NEW | MORE | DATA, CONTENT[:4])]
    outcome = fed(dialect, *before, frame(number, 2, CONTENT[4:]))
    assert without_announced(outcome.events) == expected_in(state, number, dialect)
    assert outcome.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize("number", [0, *range(2, 16)])
def test_in_receiving_ids_are_checked_before_the_type(dialect: str, number: int) -> None:
    # 1.9, points 3 and 4
    outcome = fed(dialect, request(NEW), OPEN, frame(number, 2))
    assert outcome.events[1:] == [failed("received frame for request that is still active: 1")]
    outcome = fed(dialect, OPEN, frame(number, 2))
    assert outcome.events == [failed("received frame for request that is not receiving: 1")]


# --- the content of a request ------------------------------------------------------------------


@pytest.mark.parametrize("dialect", MAPS)
def test_arguments_and_unknown_keys_are_handed_on(dialect: str) -> None:
    content = item({b"name": b"command", b"args": {b"a": 1}, b"context": [2]}, canonical=True)
    assert fed(dialect, request(NEW, content)).events == [
        RequestReceived(
            request_id=1, command=b"command", arguments={b"a": 1}, extra={b"context": [2]}
        )
    ]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize("arguments", [None, 1, [b"a"], b"", True])
def test_arguments_that_are_no_map_are_handed_on(dialect: str, arguments: object) -> None:
    # 1.10, point 3: "An explicit null `args` reaches the command layer"
    content = item({b"name": b"command", b"args": arguments}, canonical=True)
    assert fed(dialect, request(NEW, content)).events == [
        RequestReceived(request_id=1, command=b"command", arguments=arguments)
    ]


def test_the_redirect_of_0006_is_handed_on() -> None:
    # framing 5.3
    redirect = {b"targets": [], b"hashes": [b"sha256", b"sha1"]}
    content = item({b"name": b"command", b"redirect": redirect}, canonical=False)
    assert fed("0006", request(NEW, content)).events == [
        RequestReceived(request_id=1, command=b"command", arguments={}, redirect=redirect)
    ]


@pytest.mark.parametrize("dialect", MAPS)
def test_of_a_key_given_twice_the_last_value_counts(dialect: str) -> None:
    # framing 5.2
    content = b"\xa3DnameAxDargs\xa2Aa\x01Aa\x02DnameGcommand"
    assert fed(dialect, request(NEW, content)).events == [
        RequestReceived(request_id=1, command=b"command", arguments={b"a": 2})
    ]


@pytest.mark.parametrize("dialect", LENIENT)
def test_text_counts_as_its_bytes_before_0006(dialect: str) -> None:
    # docs/decisions.md, "CBOR"
    content = b"\xa2\x64name\x67command\x64args\xa1\x61a\x62\xc3\xa9"
    assert fed(dialect, request(NEW, content)).events == [
        RequestReceived(request_id=1, command=b"command", arguments={b"a": b"\xc3\xa9"})
    ]


def test_text_is_malformed_in_0006() -> None:
    text = "error decoding CBOR from command request 1: string major type not supported"
    outcome = fed("0006", request(NEW, b"\xa1\x64name\x67command"))
    assert outcome.events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize(
    "content",
    [
        b"\xa0",
        b"\xa1Dargs\xa0",
        b"\x80",
        b"\x81Aa",
        b"\xd9\x01\x02\x80",
        b"\xd9\x01\x02\x81Aa",
        b"@",
        b"Eother",
    ],
)
def test_a_container_without_a_name_is_no_request(dialect: str, content: bytes) -> None:
    # 1.10, point 2
    assert fed(dialect, request(NEW, content)).events == [failed(NAMELESS)]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize(
    "content",
    [b"\x01", b"\x20", b"\xf4", b"\xf6", b"\x81Dname", b"\xd9\x01\x02\x81Dname", b"Gmy name"],
)
def test_any_other_value_is_malformed(dialect: str, content: bytes) -> None:
    # 1.10, point 2: HTTP 500 in the original
    text = "command request 1 is not a map"
    assert fed(dialect, request(NEW, content)).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", LENIENT)
@pytest.mark.parametrize("content", [b"\xf9\x3c\x00", b"\xf7", b"\xf8\xff"])
def test_other_values_of_any_cbor_are_malformed_too(dialect: str, content: bytes) -> None:
    text = "command request 1 is not a map"
    assert fed(dialect, request(NEW, content)).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the CBOR item is missing"),
        (b"\xa1", "the CBOR item is incomplete"),
        (b"\xa1Dname", "the CBOR item is incomplete"),
        (b"\xa1DnameGcomman", "the CBOR item is incomplete"),
        (b"\xff", "break outside of an indefinite item"),
        (b"\xa1Dname\x1c", "additional information 28 is reserved"),
    ],
)
def test_content_that_is_no_cbor_is_malformed(dialect: str, content: bytes, cause: str) -> None:
    # 1.10, point 2: HTTP 500 in the original
    text = f"error decoding CBOR from command request 1: {cause}"
    assert fed(dialect, request(NEW, content)).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", LENIENT)
@pytest.mark.parametrize("behind", [b"\x01", b"\xa1", b"\xff", b"garbage"])
def test_whatever_follows_the_map_is_ignored_before_0006(dialect: str, behind: bytes) -> None:
    # framing 5.2
    assert fed(dialect, request(NEW, CONTENT + behind)).events == [RECEIVED]


def test_complete_items_behind_the_map_are_ignored_in_0006() -> None:
    # framing 5.2
    assert fed("0006", request(NEW, CONTENT + b"\x01\xa0Aa\x5f\xff")).events == [RECEIVED]


@pytest.mark.parametrize(
    ("behind", "cause"),
    [
        (b"\xa1", "the CBOR item is incomplete"),
        (b"\x01Bx", "the CBOR item is incomplete"),
        (b"\xff", "break outside of an indefinite item"),
    ],
)
def test_an_incomplete_item_behind_the_map_is_malformed_in_0006(behind: bytes, cause: str) -> None:
    text = f"error decoding CBOR from command request 1: {cause}"
    outcome = fed("0006", request(NEW, CONTENT + behind))
    assert outcome.events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_the_content_of_a_request_with_data_fails_when_its_data_is_complete(dialect: str) -> None:
    # 1.10: a request is decoded when it is complete
    begun = [request(NEW | DATA, b"\xa0"), data(dialect, GOES_ON)]
    outcome = fed(dialect, *begun)
    assert (outcome.events, outcome.state) == ([], RequestsState.RECEIVING)
    assert fed(dialect, *begun, data(dialect, EOS)).events == [failed(NAMELESS)]
    # its data is for nobody and not kept
    none_kept = Limits(undeclared_data=0)
    outcome = fed(dialect, *begun, data(dialect, EOS), limits=none_kept)
    assert outcome.events == [failed(NAMELESS)]
    # so another mistake comes first
    assert fed(dialect, *begun, data(dialect, 0)).events == [
        failed("command data frame without flags")
    ]


@pytest.mark.parametrize("dialect", MAPS)
@pytest.mark.parametrize("name", [None, 1, [], {}])
def test_a_name_that_is_no_string_is_for_dispatch_to_refuse(dialect: str, name: object) -> None:
    content = item({b"name": name}, canonical=True)
    assert fed(dialect, request(NEW, content)).events == [
        RequestReceived(request_id=1, command=name, arguments={})
    ]


# --- limits and the end of input ---------------------------------------------------------------


@pytest.mark.parametrize("dialect", MAPS)
def test_a_request_has_a_size_limit(dialect: str) -> None:
    limits = Limits(request_size=len(CONTENT))
    cut = [request(NEW | MORE, CONTENT[:4]), request(CONTINUED, CONTENT[4:])]
    assert fed(dialect, *cut, limits=limits).events == [RECEIVED]
    over = [request(NEW | MORE, CONTENT), request(CONTINUED | MORE, b"x")]
    text = f"request 1 exceeds the limit of {len(CONTENT)} bytes (request_size)"
    assert fed(dialect, *over, limits=limits).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_the_frames_of_a_request_are_counted(dialect: str) -> None:
    limits = Limits(request_frames=3)
    three = map_frames(dialect, 1, CONTENT, cut=5)
    assert fed(dialect, *three, limits=limits).events == [RECEIVED]
    four = map_frames(dialect, 1, CONTENT, cut=4)
    text = "request 1 exceeds the limit of 3 frames (request_frames)"
    assert fed(dialect, *four, limits=limits).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_data_in_front_of_the_last_request_frame_has_a_limit(dialect: str) -> None:
    limits = Limits(undeclared_data=8)
    begun = [request(NEW | MORE | DATA), data(dialect, GOES_ON), data(dialect, GOES_ON)]
    assert fed(dialect, *begun, limits=limits).events == []
    text = "command data in front of request 1 exceeds the limit of 8 bytes (undeclared_data)"
    outcome = fed(dialect, *begun, data(dialect, GOES_ON, b"x"), limits=limits)
    assert outcome.events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_data_that_is_handed_on_has_no_limit_here(dialect: str) -> None:
    frames = [request(NEW | DATA), data(dialect, GOES_ON), data(dialect, EOS)]
    outcome = fed(dialect, *frames, limits=Limits(undeclared_data=1))
    assert outcome.events == [WITH_DATA, DATA_RECEIVED, DATA_RECEIVED, COMPLETED]


@pytest.mark.parametrize("dialect", MAPS)
def test_depth_and_elements_of_a_request_have_limits(dialect: str) -> None:
    deep = item({b"name": b"command", b"args": {b"a": [[]]}}, canonical=True)
    text = (
        "error decoding CBOR from command request 1: "
        "containers inside each other exceed the limit of 3 (cbor_depth)"
    )
    assert fed(dialect, request(NEW, deep), limits=Limits(cbor_depth=4)).events == [
        RequestReceived(request_id=1, command=b"command", arguments={b"a": [[]]})
    ]
    outcome = fed(dialect, request(NEW, deep), limits=Limits(cbor_depth=3))
    assert outcome.events == [failed(text, malformed=True)]
    assert fed(dialect, request(NEW), limits=Limits(cbor_elements=3)).events == [RECEIVED]
    text = "error decoding CBOR from command request 1: items exceed the limit of 2 (cbor_elements)"
    outcome = fed(dialect, request(NEW), limits=Limits(cbor_elements=2))
    assert outcome.events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_input_that_ends_inside_requests_aborts_them_in_the_order_they_began(dialect: str) -> None:
    connection = server(dialect)
    receive(connection, OPEN + request(NEW | DATA) + request(NEW | DATA, b"\xa0", request_id=3))
    assert connection.receive_end() == [
        RequestAborted(request_id=5, reason="input ended before the request frames of request 5"),
        RequestAborted(request_id=1, reason="input ended before the command data of request 1"),
        RequestAborted(request_id=3, reason="input ended before the command data of request 3"),
    ]
    assert connection.state is RequestsState.IDLE


@pytest.mark.parametrize("dialect", MAPS)
def test_a_large_request_is_the_same_in_frames_of_any_size(dialect: str) -> None:
    nodes = [b"%020d" % number for number in range(5000)]
    content = item({b"name": b"known", b"args": {b"nodes": nodes}}, canonical=True)
    for size in (65_535, 30_000, 1000):
        frames = map_frames(dialect, 1, content, cut=size)
        connection = server(dialect, limits=Limits(request_frames=1000))
        assert [event for one in frames for event in receive(connection, one)] == [
            RequestReceived(request_id=1, command=b"known", arguments={b"nodes": nodes})
        ]


@pytest.mark.parametrize("dialect", MAPS)
def test_a_large_request_that_is_wrong_at_its_start_fails_at_its_end(dialect: str) -> None:
    *first, last = map_frames(dialect, 1, b"\xff" + bytes(100_000), cut=30_000)
    connection = server(dialect)
    assert [event for one in first for event in receive(connection, one)] == []
    [event] = receive(connection, last)
    assert isinstance(event, ConnectionFailed)
    assert "break outside of an indefinite item" in event.error.message
