"""The server's side as a whole: half and full duplex, ids, failures, limits, several responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import ALL, MAPS, failed, fed, joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    NUMBERS,
    WireFrame,
    data_frames,
    frame,
    item,
    parse_frames,
    request_frames,
)

from wiredaemon.protocol import (
    DataReceived,
    LocalProtocolError,
    RequestAborted,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.protocol.requests import RequestsState
from wiredaemon.protocol.states import InputState
from wiredaemon.wire.frames import Frame
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Callable

OK: Final = b"\xa1FstatusBok"
RAW: Final = RawBytes(b"raw")
TEXT_ERAS: Final = ("0002", "0003", "0004")


def request(dialect: str, request_id: int = 1) -> bytes:
    return b"".join(request_frames(dialect, request_id, b"command"))


def begun_with_data(dialect: str, request_id: int = 1) -> bytes:
    """Return a request and the first of its data, with more to come."""
    frames = request_frames(dialect, request_id, b"command", None, b"onetwo", cut=3000)
    more = frame(NUMBERS[dialect]["data"], 1, b"one", request_id=request_id)
    return b"".join([*frames[:-1], more])


def received(request_id: int = 1, *, has_data: bool = False) -> RequestReceived:
    return RequestReceived(
        request_id=request_id, command=b"command", arguments={}, has_data=has_data
    )


def sent_by(connection: ServerConnection) -> list[WireFrame]:
    return parse_frames(joined(connection.data_to_send()))


FAILURE: Final = frame(15, 0, request_id=9)
"""Fails any connection that has no half-open request."""


def failure_text(dialect: str) -> str:
    subject = "command" if dialect == "0002" else "command request"
    return f"expected {subject} frame; got 15"


# --- half duplex -------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_half_duplex_output_waits_for_the_end_of_input(dialect: str) -> None:
    # server-state-machine 1.11
    connection = server(dialect)
    receive(connection, request(dialect, 1) + request(dialect, 3))
    connection.send_result(3, RAW)
    connection.send_error(1, b"boom")
    assert connection.data_to_send() == []
    waiting = connection.output_size
    assert waiting > 0
    assert connection.receive_end() == []
    sent = joined(connection.data_to_send())
    assert len(sent) == waiting
    ids = [one.request_id for one in parse_frames(sent)]
    assert ids == sorted(ids, reverse=True)
    assert connection.data_to_send() == []


@pytest.mark.parametrize("dialect", ALL)
def test_half_duplex_output_that_comes_after_the_end_goes_out_at_once(dialect: str) -> None:
    connection = server(dialect)
    receive(connection, request(dialect))
    assert connection.receive_end() == []
    assert connection.data_to_send() == []
    connection.send_result(1, RAW)
    assert sent_by(connection)


@pytest.mark.parametrize("dialect", ALL)
def test_half_duplex_output_is_dropped_when_the_input_fails(dialect: str) -> None:
    # 1.11: "A later protocol error therefore discards the *response*"
    connection = server(dialect)
    receive(connection, request(dialect))
    connection.send_result(1, RAW)
    assert receive(connection, FAILURE) == [failed(failure_text(dialect))]
    assert connection.output_size == 0
    assert connection.data_to_send() == []
    assert connection.receive_end() == []
    assert connection.data_to_send() == []


@pytest.mark.parametrize("dialect", ALL)
def test_in_half_duplex_an_id_is_never_used_again(dialect: str) -> None:
    # the last paragraph but one of 1.11, observed
    connection = server(dialect)
    receive(connection, request(dialect))
    connection.send_result(1, RAW)
    assert receive(connection, request(dialect)) == [failed("request with ID 1 is already active")]


@pytest.mark.parametrize("dialect", ALL)
def test_in_half_duplex_an_id_answered_before_its_data_ended_is_not_used_again(
    dialect: str,
) -> None:
    connection = server(dialect)
    receive(connection, begun_with_data(dialect))
    connection.send_error(1, b"no data wanted")
    last = b"".join(data_frames(dialect, 1, b"two"))
    assert receive(connection, last) == [
        DataReceived(request_id=1, data=b"two"),
        RequestCompleted(request_id=1),
    ]
    assert receive(connection, request(dialect)) == [failed("request with ID 1 is already active")]


# --- full duplex -------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_full_duplex_output_goes_out_at_once(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect))
    connection.send_result(1, RAW)
    assert {one.request_id for one in sent_by(connection)} == {1}


@pytest.mark.parametrize("dialect", ALL)
def test_in_full_duplex_an_id_is_free_after_its_end(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    ends: list[Callable[[], None]] = [
        lambda: connection.end_response(1),
        lambda: connection.send_result(1, RAW),
        lambda: connection.send_error(1, b"boom"),
        lambda: connection.send_server_error(1, b"boom"),
    ]
    for end in ends:
        assert receive(connection, request(dialect)) == [received()]
        end()
    assert receive(connection, request(dialect)) == [received()]


@pytest.mark.parametrize("dialect", ALL)
def test_in_full_duplex_an_id_is_in_use_before_its_end(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect))
    connection.send_object(1, RAW)
    assert receive(connection, request(dialect)) == [failed("request with ID 1 is already active")]


@pytest.mark.parametrize("dialect", ALL)
def test_in_full_duplex_an_answered_id_stays_in_use_while_its_data_comes(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, begun_with_data(dialect))
    connection.send_result(1, RAW)
    last = b"".join(data_frames(dialect, 1, b"two"))
    assert receive(connection, last + request(dialect)) == [
        DataReceived(request_id=1, data=b"two"),
        RequestCompleted(request_id=1),
        received(),
    ]
    other = server(dialect, half_duplex=False)
    receive(other, begun_with_data(dialect))
    other.send_result(1, RAW)
    assert receive(other, request(dialect)) == [failed("request with ID 1 already received")]


def error_frame(dialect: str, request_id: int, text: str) -> WireFrame:
    """Return the dialect's error frame for a broken protocol (framing 7)."""
    message = text.encode()
    atoms = b"Gmessage\x81\xa1Cmsg" + item(message, canonical=True)
    flags, payload = {
        "0002": (1, message),
        "0003": (1, message),
        "0004": (1, message),
        "0005": (0, b"\xa2DtypeHprotocol" + atoms),
        "0006": (0, b"\xa2" + atoms + b"DtypeHprotocol"),
    }[dialect]
    return WireFrame(request_id, 2, BEGIN, 5, flags, payload)


@pytest.mark.parametrize("dialect", ALL)
def test_a_full_duplex_failure_is_told_in_an_error_frame(dialect: str) -> None:
    outcome = fed(dialect, request(dialect), FAILURE, half_duplex=False)
    assert outcome.events == [received(), failed(failure_text(dialect))]
    assert parse_frames(outcome.sent) == [error_frame(dialect, 9, failure_text(dialect))]


@pytest.mark.parametrize("dialect", ALL)
def test_a_failure_between_frames_is_told_under_request_0(dialect: str) -> None:
    limits = Limits(frame_payload=10)
    too_large = frame(1, 1, bytes(11), request_id=7)
    outcome = fed(dialect, too_large, half_duplex=False, limits=limits)
    text = "frame payload of 11 bytes exceeds the limit of 10 bytes (frame_payload)"
    assert outcome.events == [failed(text, malformed=True)]
    assert parse_frames(outcome.sent) == [error_frame(dialect, 0, text)]


@pytest.mark.parametrize("dialect", ALL)
def test_a_full_duplex_failure_goes_behind_what_was_sent_and_beside_what_is_open(
    dialect: str,
) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect, 1) + request(dialect, 3))
    connection.send_result(1, RAW)
    connection.send_object(3, RawBytes(bytes(40000)))
    receive(connection, FAILURE)
    frames = sent_by(connection)
    assert frames[-1][:4] == (9, 4, BEGIN, 5)
    assert {one.stream_id for one in frames[:-1]} == {2}


@pytest.mark.parametrize("dialect", ALL)
def test_a_failure_is_told_once(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, FAILURE)
    assert len(sent_by(connection)) == 1
    assert receive(connection, FAILURE) == []
    again = Frame(9, 1, BEGIN, 15, 0, b"")
    assert connection.receive_frame(again) == [failed("server already errored")]
    assert connection.data_to_send() == []


# --- what the caller may do --------------------------------------------------------------------


@pytest.mark.parametrize("half_duplex", [True, False])
@pytest.mark.parametrize("dialect", ALL)
def test_only_requests_that_wait_can_be_answered_and_only_once(
    dialect: str,
    half_duplex: bool,  # noqa: FBT001 both ways
) -> None:
    connection = server(dialect, half_duplex=half_duplex)
    receive(connection, request(dialect))
    text = "request 3 is not waiting for an answer"
    with pytest.raises(LocalProtocolError, match=text):
        connection.send_object(3, RAW)
    with pytest.raises(LocalProtocolError, match=text):
        connection.send_result(3, RAW)
    with pytest.raises(LocalProtocolError, match=text):
        connection.end_response(3)
    with pytest.raises(LocalProtocolError, match=text):
        connection.send_error(3, b"boom")
    with pytest.raises(LocalProtocolError, match=text):
        connection.send_server_error(3, b"boom")
    assert connection.output_size == 0
    connection.send_result(1, RAW)
    with pytest.raises(LocalProtocolError, match="request 1 is not waiting for an answer"):
        connection.send_result(1, RAW)


@pytest.mark.parametrize("dialect", ALL)
def test_nothing_can_be_sent_after_a_failure(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect) + FAILURE)
    connection.data_to_send()
    assert connection.output_ended
    with pytest.raises(LocalProtocolError, match="nothing can be sent after the connection"):
        connection.send_result(1, RAW)


@pytest.mark.parametrize("dialect", ALL)
def test_in_full_duplex_a_request_in_front_of_a_failure_is_answered_in_front_of_it(
    dialect: str,
) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect) + FAILURE)
    assert connection.failed
    assert not connection.output_ended
    connection.send_result(1, RAW)
    frames = parse_frames(joined(connection.data_to_send()))
    assert [one.request_id for one in frames] == [1] * (len(frames) - 1) + [frames[-1].request_id]
    assert frames[-1].type_number == NUMBERS[dialect]["error"]
    assert connection.data_to_send() == []


@pytest.mark.parametrize("dialect", ALL)
def test_in_half_duplex_nothing_in_front_of_a_failure_is_answered(dialect: str) -> None:
    connection = server(dialect)
    receive(connection, request(dialect) + FAILURE)
    assert connection.output_ended
    with pytest.raises(LocalProtocolError, match="nothing can be sent after the connection"):
        connection.send_result(1, RAW)


@pytest.mark.parametrize("dialect", ALL)
def test_a_request_that_still_sends_data_can_be_answered(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    assert receive(connection, begun_with_data(dialect)) == [
        received(has_data=True),
        DataReceived(request_id=1, data=b"one"),
    ]
    connection.send_result(1, RAW)
    assert {one.request_id for one in sent_by(connection)} == {1}


# --- the end of input --------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_a_clean_end_says_nothing(dialect: str) -> None:
    connection = server(dialect)
    assert connection.receive_end() == []
    assert connection.receive_end() == []
    assert receive(connection, request(dialect)) == []


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("held", [1, 7, 8, 12])
def test_an_end_inside_a_frame_is_malformed(dialect: str, held: int) -> None:
    # framing 2: "Truncated frames ... become HTTP 500"
    whole = frame(1, 1, b"payload")
    connection = server(dialect)
    assert receive(connection, whole[:held]) == []
    shown = whole[:held].ljust(8, b"\0")
    text = (
        f"received incomplete frame: got {held} bytes: {shown!r}"
        if held < 8
        else f"frame length error: expected 7; got {held - 8}"
    )
    assert connection.receive_end() == [failed(text, malformed=True)]
    assert connection.state is InputState.ERRORED


@pytest.mark.parametrize("dialect", ALL)
def test_an_aborted_request_is_answered_all_the_same(dialect: str) -> None:
    connection = server(dialect)
    receive(connection, request(dialect, 3) + begun_with_data(dialect))
    connection.send_result(3, RAW)
    reason = "input ended before the command data of request 1"
    assert connection.receive_end() == [RequestAborted(request_id=1, reason=reason)]
    connection.send_error(1, reason.encode())
    assert [one.request_id for one in sent_by(connection)][-1] == 1
    assert connection.state is RequestsState.IDLE


@pytest.mark.parametrize("half_duplex", [True, False])
@pytest.mark.parametrize("dialect", ALL)
def test_a_request_that_was_answered_is_not_aborted(
    dialect: str,
    half_duplex: bool,  # noqa: FBT001 both ways
) -> None:
    connection = server(dialect, half_duplex=half_duplex)
    receive(connection, begun_with_data(dialect))
    connection.send_error(1, b"no data wanted")
    assert connection.receive_end() == []
    with pytest.raises(LocalProtocolError):
        connection.send_result(1, RAW)


# --- streams of responses ----------------------------------------------------------------------


def test_0002_begins_stream_2_again_for_each_response() -> None:
    # framing 13; second seed
    connection = server("0002")
    receive(connection, request("0002", 3) + request("0002", 1))
    connection.send_result(3, RawBytes(b"three"))
    connection.send_result(1, RawBytes(b"one"))
    connection.receive_end()
    assert joined(connection.data_to_send()) == (
        b"\x05\x00\x00\x03\x00\x02\x01Bthree\x03\x00\x00\x01\x00\x02\x01Bone"
    )


@pytest.mark.parametrize("dialect", MAPS)
def test_later_dialects_begin_stream_2_once(dialect: str) -> None:
    # framing 13; first seed
    connection = server(dialect)
    receive(connection, request(dialect, 3) + request(dialect, 1))
    connection.send_result(3, RAW)
    connection.send_result(1, RAW)
    connection.receive_end()
    frames = sent_by(connection)
    assert {one.stream_id for one in frames} == {2}
    assert [one.stream_flags & BEGIN for one in frames] == [1] + [0] * (len(frames) - 1)


@pytest.mark.parametrize("dialect", ALL)
def test_responses_side_by_side_have_streams_of_their_own(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, b"".join(request(dialect, number) for number in (1, 3, 5, 7)))
    large = RawBytes(bytes(40000))
    connection.send_object(1, large)
    connection.send_object(3, large)
    connection.send_object(5, large)
    connection.end_response(3)
    connection.end_response(1)
    connection.send_result(7, RAW)  # takes the lowest stream that is free
    connection.end_response(5)
    frames = sent_by(connection)
    streams = {one.request_id: one.stream_id for one in frames}
    assert streams == {1: 2, 3: 4, 5: 6, 7: 2}
    begins = [(one.request_id, one.stream_id) for one in frames if one.stream_flags & BEGIN]
    again = [(7, 2)] if dialect == "0002" else []
    assert begins == [(1, 2), (3, 4), (5, 6), *again]


def test_each_stream_of_0006_has_its_settings() -> None:
    connection = server("0006", half_duplex=False)
    receive(connection, request("0006", 1) + request("0006", 3))
    connection.send_object(1, 1)
    connection.send_object(3, 3)
    connection.end_response(1)
    connection.end_response(3)
    assert sent_by(connection) == [
        WireFrame(1, 2, BEGIN, 9, 2, b"Hidentity"),
        WireFrame(1, 2, ENCODED, 3, 1, OK),
        WireFrame(3, 4, BEGIN, 9, 2, b"Hidentity"),
        WireFrame(3, 4, ENCODED, 3, 1, OK),
        WireFrame(1, 2, ENCODED, 3, 1, b"\x01"),
        WireFrame(1, 2, 0, 3, 2, b""),
        WireFrame(3, 4, ENCODED, 3, 1, b"\x03"),
        WireFrame(3, 4, 0, 3, 2, b""),
    ]


def test_there_are_127_streams_side_by_side_and_no_more() -> None:
    connection = server("0006", half_duplex=False, limits=Limits(concurrent_requests=200))
    for number in range(128):
        receive(connection, request("0006", number))
    for number in range(127):
        connection.send_object(number, 1)
    assert {one.stream_id for one in sent_by(connection)} == set(range(2, 256, 2))
    with pytest.raises(LocalProtocolError, match="every stream is held"):
        connection.send_object(127, 1)
    connection.end_response(5)
    connection.send_object(127, 1)
    assert {one.stream_id for one in sent_by(connection)} == {12}


# --- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_payloads_have_a_limit(dialect: str) -> None:
    size = len(parse_frames(request(dialect))[0].payload)
    assert fed(dialect, request(dialect), limits=Limits(frame_payload=size)).events == [received()]
    limits = Limits(frame_payload=size - 1)
    text = f"frame payload of {size} bytes exceeds the limit of {size - 1} bytes (frame_payload)"
    assert fed(dialect, request(dialect), limits=limits).events == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", ALL)
def test_the_default_limit_refuses_the_largest_payload_at_its_header(dialect: str) -> None:
    connection = server(dialect)
    text = "frame payload of 16777215 bytes exceeds the limit of 65536 bytes (frame_payload)"
    header = frame(1, 1, bytes((1 << 24) - 1))[:8]
    assert receive(connection, header) == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", ALL)
def test_a_payload_of_65536_bytes_is_read_whole(dialect: str) -> None:
    # known-gaps, "Framing": the original misread it
    begun = request_frames(dialect, 1, b"command", None, bytes(65536), cut=65536)
    assert fed(dialect, *begun).events == [
        received(has_data=True),
        DataReceived(request_id=1, data=bytes(65536)),
        RequestCompleted(request_id=1),
    ]


@pytest.mark.parametrize("dialect", ALL)
def test_empty_frames_in_a_row_have_a_limit(dialect: str) -> None:
    limits = Limits(empty_frames=2)
    begun = begun_with_data(dialect)
    empty = frame(NUMBERS[dialect]["data"], 1)
    full = frame(NUMBERS[dialect]["data"], 1, b"x")
    some = DataReceived(request_id=1, data=b"x")
    accepted = fed(dialect, begun, empty, empty, full, empty, empty, full, limits=limits)
    assert accepted.events[2:] == [some, some]
    text = "empty frames in a row exceed the limit of 2 (empty_frames)"
    refused = fed(dialect, begun, empty, empty, empty, limits=limits)
    assert refused.events[2:] == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", ALL)
def test_any_number_of_uploads_may_end_at_once_with_empty_frames(dialect: str) -> None:
    limits, ids = Limits(empty_frames=2), range(1, 19, 2)
    begun = [begun_with_data(dialect, request_id) for request_id in ids]
    data = NUMBERS[dialect]["data"]
    ends = [frame(data, 2, request_id=request_id) for request_id in ids]
    outcome = fed(dialect, *begun, *ends, limits=limits)
    assert outcome.events[-9:] == [RequestCompleted(request_id=number) for number in ids]
    # both flags together go on: such a frame ends nothing, and counts
    goes_on = [frame(data, 3)] * 3
    text = "empty frames in a row exceed the limit of 2 (empty_frames)"
    refused = fed(dialect, *begun[:1], *goes_on, limits=limits)
    assert refused.events[-1] == failed(text, malformed=True)


@pytest.mark.parametrize("dialect", ALL)
def test_half_open_requests_have_a_limit(dialect: str) -> None:
    limits = Limits(half_open_requests=2)
    begun = [begun_with_data(dialect, request_id) for request_id in (1, 3)]
    whole = request(dialect, 5)
    assert fed(dialect, *begun, whole, limits=limits).events[-1] == received(5)
    text = "requests begun and not complete exceed the limit of 2 (half_open_requests)"
    outcome = fed(dialect, *begun, begun_with_data(dialect, 5), limits=limits)
    assert outcome.events[-1] == failed(text, malformed=True)


@pytest.mark.parametrize("dialect", ALL)
def test_requests_that_wait_for_an_answer_have_a_limit_in_half_duplex(dialect: str) -> None:
    limits = Limits(concurrent_requests=2)
    two = [request(dialect, 1), request(dialect, 3)]
    assert fed(dialect, *two, limits=limits).events == [received(1), received(3)]
    text = "requests not answered exceed the limit of 2 (concurrent_requests)"
    third = fed(dialect, *two, request(dialect, 5), limits=limits)
    assert third.events == [received(1), received(3), failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", ALL)
def test_in_full_duplex_a_request_too_many_waits_until_one_is_answered(dialect: str) -> None:
    connection = server(dialect, half_duplex=False, limits=Limits(concurrent_requests=2))
    many = b"".join(request(dialect, request_id) for request_id in (1, 3, 5, 7))
    assert receive(connection, many) == [received(1), received(3)]
    assert receive(connection, request(dialect, 9)) == []
    assert connection.pending
    connection.send_result(3, RAW)
    assert receive(connection, b"") == [received(5)]
    connection.send_result(1, RAW)
    connection.send_result(5, RAW)
    assert receive(connection, b"") == [received(7), received(9)]
    assert not connection.pending


@pytest.mark.parametrize("dialect", ALL)
def test_beyond_the_limit_data_is_given_but_one_more_request_is_an_error(dialect: str) -> None:
    connection = server(dialect, half_duplex=False, limits=Limits(concurrent_requests=1))
    more = frame(NUMBERS[dialect]["data"], 1, b"two", request_id=1)
    receive(connection, begun_with_data(dialect))
    events = receive(connection, request(dialect, 3) + more + request(dialect, 5))
    assert events == [received(3)]
    assert connection.pending
    text = "requests not answered exceed the limit of 1 (concurrent_requests)"
    assert connection.receive_data(b"", beyond=True) == [
        DataReceived(request_id=1, data=b"two"),
        failed(text, malformed=True),
    ]


@pytest.mark.parametrize("dialect", ALL)
def test_an_answer_makes_room_for_one_more_request_in_full_duplex(dialect: str) -> None:
    connection = server(dialect, half_duplex=False, limits=Limits(concurrent_requests=1))
    for request_id in (1, 3, 5):
        assert receive(connection, request(dialect, request_id)) == [received(request_id)]
        connection.send_result(request_id, RAW)


# --- the states that debugreflect shows --------------------------------------------------------


def test_states_have_the_names_of_the_specification() -> None:
    # server-state-machine 1.2
    assert [InputState.INITIAL.value, InputState.SETTINGS.value, InputState.ERRORED.value] == [
        "initial",
        "protocol-settings-receiving",
        "errored",
    ]
    assert [state.value for state in RequestsState] == ["idle", "command-receiving"]


# --- an object in steps ------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_steps_are_refused_at_once_where_no_answer_is_awaited(dialect: str) -> None:
    connection = server(dialect, half_duplex=False)
    receive(connection, request(dialect))
    with pytest.raises(LocalProtocolError, match="request 3 is not waiting for an answer"):
        connection.send_in_steps(3, b"value")
    connection.send_error(1, b"boom")
    with pytest.raises(LocalProtocolError, match="request 1 is not waiting for an answer"):
        connection.send_in_steps(1, b"value")


def test_two_objects_in_steps_side_by_side_are_both_whole() -> None:
    connection = server("0006", half_duplex=False)
    receive(connection, request("0006", 1) + request("0006", 3))
    values = {1: bytes(100_000), 3: b"x" * 100_000}
    steps = [connection.send_in_steps(each, value) for each, value in values.items()]
    while steps:
        steps = [each for each in steps if next(each, "ended") != "ended"]
    for each in values:
        connection.end_response(each)
    frames = [one for one in sent_by(connection) if one.type_number == NUMBERS["0006"]["response"]]
    ids = [one.request_id for one in frames]
    assert ids != sorted(ids)
    for request_id, value in values.items():
        content = b"".join(one.payload for one in frames if one.request_id == request_id)
        assert content == OK + item(value, canonical=False)
