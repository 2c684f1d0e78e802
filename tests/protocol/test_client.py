"""The client's side as 0006 has it: server-state-machine 2."""

from __future__ import annotations

import zlib
from typing import Final

import pytest
from support.feeding import failed, fed_to_client, joined, receive
from support.peers import BEGIN, ENCODED, END, WireFrame, frame, item, parse_frames

from wiredaemon.protocol import (
    ClientConnection,
    Event,
    LocalProtocolError,
    ProgressReceived,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import UnencodableError

CONTINUATION, EOS = 1, 2
NEW, CONTINUED, MORE, DATA = 1, 2, 4, 8


def client(limits: Limits | None = None) -> ClientConnection:
    """Return a connection that waits for the answer to request 1."""
    connection = ClientConnection(limits=limits or Limits())
    assert connection.send_command(b"command", {}) == 1
    connection.data_to_send()
    return connection


def events_of(*frames: bytes, limits: Limits | None = None) -> list[Event]:
    return fed_to_client(lambda: client(limits), *frames)


def answer(flags: int, payload: bytes = b"data", **fields: int) -> bytes:
    return frame(3, flags, payload, **{"stream_id": 2, **fields})


def settings(flags: int, payload: bytes = b"Hidentity", **fields: int) -> bytes:
    return frame(9, flags, payload, **{"stream_id": 2, **fields})


def got(payload: bytes = b"data", *, end: bool = False) -> ResponseDataReceived:
    return ResponseDataReceived(request_id=1, data=payload, end=end)


def sent_by(connection: ClientConnection) -> list[WireFrame]:
    return parse_frames(joined(connection.data_to_send()))


# --- sending -----------------------------------------------------------------------------------


def test_a_command_without_arguments_is_the_request_of_the_seed() -> None:
    # framing 2, worked example
    connection = ClientConnection()
    assert connection.send_command(b"customreadonly", {}) == 1
    assert joined(connection.data_to_send()) == (
        b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly"
    )
    assert connection.data_to_send() == []


def test_offered_encodings_are_sent_once_in_front_with_the_id_of_the_first_command() -> None:
    # framing 10, observed from a 6.0 client
    connection = ClientConnection(content_encodings=[b"zstd-8mb", b"zlib", b"identity"])
    assert connection.send_command(b"heads", {}) == 1
    assert connection.send_command(b"heads", {}) == 3
    assert joined(connection.data_to_send()) == (
        b"\x2a\x00\x00\x01\x00\x01\x01\x82"
        b"\xa1Pcontentencodings\x83Hzstd-8mbDzlibHidentity"
        b"\x0c\x00\x00\x01\x00\x01\x00\x11\xa1DnameEheads"
        b"\x0c\x00\x00\x03\x00\x01\x00\x11\xa1DnameEheads"
    )


def test_arguments_redirect_and_more_are_keys_of_the_request() -> None:
    # framing 5.2 and 5.3
    connection = ClientConnection()
    redirect = {b"targets": [], b"hashes": [b"sha256"]}
    connection.send_command(
        b"command", {b"key": [1]}, redirect=redirect, extra={b"context": {b"user": b"me"}}
    )
    content = {
        b"name": b"command",
        b"args": {b"key": [1]},
        b"redirect": redirect,
        b"context": {b"user": b"me"},
    }
    assert [one.payload for one in sent_by(connection)] == [item(content, canonical=False)]


def test_a_large_request_is_cut_at_32768_bytes() -> None:
    # framing 5.2, "Frame flags"
    connection = ClientConnection()
    connection.send_command(b"command", {b"key": bytes(70000)}, has_data=True)
    frames = sent_by(connection)
    assert [(one.flags, len(one.payload)) for one in frames] == [
        (NEW | MORE | DATA, 32768),
        (CONTINUED | MORE | DATA, 32768),
        (CONTINUED | DATA, 70029 - 65536),
    ]
    assert [one.stream_flags for one in frames] == [BEGIN, 0, 0]


def test_data_is_cut_and_its_last_frame_ends_it() -> None:
    connection = ClientConnection()
    request_id = connection.send_command(b"command", {}, has_data=True)
    connection.data_to_send()
    connection.send_data(request_id, bytes(32769))
    connection.send_data(request_id, b"")
    connection.send_data(request_id, bytes(32768), end=True)
    assert [(one.type_number, one.flags, len(one.payload)) for one in sent_by(connection)] == [
        (2, CONTINUATION, 32768),
        (2, CONTINUATION, 1),
        (2, EOS, 32768),
    ]


def test_data_may_end_with_nothing() -> None:
    connection = ClientConnection()
    connection.send_command(b"command", {}, has_data=True)
    connection.data_to_send()
    connection.send_data(1, b"", end=True)
    assert sent_by(connection) == [WireFrame(1, 1, 0, 2, EOS, b"")]


def test_only_a_request_with_data_sends_data_and_only_to_its_end() -> None:
    connection = ClientConnection()
    connection.send_command(b"command", {})
    connection.send_command(b"command", {}, has_data=True)
    connection.send_data(3, b"x", end=True)
    for request_id in (1, 3, 5):
        with pytest.raises(LocalProtocolError, match=f"request {request_id} does not send data"):
            connection.send_data(request_id, b"x")


def test_a_refused_command_leaves_no_trace() -> None:
    connection = ClientConnection(content_encodings=[b"identity"])
    with pytest.raises(UnencodableError):
        connection.send_command(b"command", {b"key": object()})  # type: ignore[dict-item]
    assert (connection.data_to_send(), connection.active) == ([], frozenset())
    assert connection.send_command(b"command", {}) == 1


def test_after_a_failure_no_command_can_be_sent() -> None:
    connection = client()
    receive(connection, answer(EOS, stream_id=1))
    with pytest.raises(LocalProtocolError, match="cannot issue new commands"):
        connection.send_command(b"command", {})


def test_ids_are_used_again_when_they_are_free() -> None:
    # framing 14; known-gaps: "Request ids never wrap in the client"
    connection = ClientConnection()
    connection.send_command(b"waits", {})
    for expected in range(3, 1 << 16, 2):
        assert connection.send_command(b"c", {}) == expected
    with pytest.raises(LocalProtocolError, match="all request ids are in use"):
        connection.send_command(b"c", {})
    assert len(connection.active) == 1 << 15
    receive(connection, answer(EOS, request_id=7))
    receive(connection, answer(EOS, request_id=65535))
    assert connection.send_command(b"c", {}) == 7
    assert connection.send_command(b"c", {}) == 65535


def test_an_id_whose_data_is_not_sent_to_its_end_is_in_use() -> None:
    connection = ClientConnection()
    connection.send_command(b"c", {}, has_data=True)
    receive(connection, answer(EOS, request_id=1))
    for expected in range(3, 1 << 16, 2):
        assert connection.send_command(b"c", {}) == expected
        receive(connection, answer(EOS, request_id=expected))
    assert connection.send_command(b"c", {}) == 3
    connection.send_data(1, b"", end=True)


# --- receiving ---------------------------------------------------------------------------------


def test_a_response_is_handed_on_as_it_arrives() -> None:
    frames = [answer(CONTINUATION, b"one"), answer(CONTINUATION, b""), answer(EOS, b"two")]
    assert events_of(*frames)[:3] == [got(b"one"), got(b""), got(b"two", end=True)]


@pytest.mark.parametrize(("flags", "end"), [(0, False), (CONTINUATION | EOS, True), (12, False)])
def test_neither_flag_is_required_and_both_end(flags: int, end: bool) -> None:  # noqa: FBT001 a column
    # server-state-machine 2.3, the last paragraph
    assert events_of(answer(flags)) == [got(end=end)]


def test_responses_may_interleave_on_one_stream_or_several() -> None:
    connection = client()
    connection.send_command(b"command", {})
    data = (
        answer(CONTINUATION, b"1a")
        + answer(CONTINUATION, b"3a", request_id=3)
        + answer(EOS, b"1b", stream_id=4)
        + answer(EOS, b"3b", request_id=3)
    )
    assert receive(connection, data) == [
        got(b"1a"),
        ResponseDataReceived(request_id=3, data=b"3a", end=False),
        got(b"1b", end=True),
        ResponseDataReceived(request_id=3, data=b"3b", end=True),
    ]
    assert connection.active == frozenset()
    assert connection.receive_end() == []


def test_an_odd_stream_is_refused() -> None:
    # 2.3, point 1, before point 2
    text = "received frame with odd numbered stream ID: 1"
    assert events_of(answer(EOS, stream_id=1, stream_flags=0)) == [failed(text)]


def test_a_stream_that_was_not_begun_is_refused_with_the_clients_text() -> None:
    # point 2: "text differs from the server's"
    text = "received frame on unknown stream without beginning of stream flag set"
    assert events_of(answer(EOS, stream_flags=0)) == [failed(text)]
    assert events_of(answer(EOS, stream_flags=ENCODED)) == [failed(text)]


def test_stream_0_is_even() -> None:
    assert events_of(answer(CONTINUATION, stream_id=0)) == [got()]


def test_encoded_frames_are_identity_without_settings() -> None:
    # point 3
    assert events_of(answer(CONTINUATION, stream_flags=BEGIN | ENCODED)) == [got()]


def test_encoded_frames_behind_settings_of_another_encoding_are_decoded() -> None:
    encoded = zlib.compress(b"data")
    events = events_of(
        settings(EOS, b"Hidentity", stream_flags=BEGIN),
        answer(CONTINUATION, stream_flags=ENCODED),
        settings(EOS, b"Dzlib"),
        answer(CONTINUATION, encoded, stream_flags=ENCODED),
    )
    contents = [each.data for each in events if isinstance(each, ResponseDataReceived)]
    assert b"".join(contents) == b"datadata"


def test_after_its_end_a_stream_must_be_begun_again() -> None:
    # point 4
    ended = answer(CONTINUATION, stream_flags=BEGIN | END)
    text = "received frame on unknown stream without beginning of stream flag set"
    assert events_of(ended, answer(EOS, stream_flags=0)) == [got(), failed(text)]
    assert events_of(ended, answer(CONTINUATION)) == [got(), got()]


def test_settings_come_before_the_request_id_is_looked_at() -> None:
    # point 5, observed with id 0
    assert events_of(settings(EOS, request_id=0)) == []


@pytest.mark.parametrize("request_id", [0, 2, 3, 65535])
def test_a_frame_for_an_unknown_request_is_refused(request_id: int) -> None:
    # point 6, before point 7
    text = f"received frame for inactive request ID: {request_id}"
    assert events_of(answer(EOS, request_id=request_id)) == [failed(text)]
    assert events_of(frame(15, 0, request_id=request_id, stream_id=2)) == [failed(text)]


def test_a_frame_behind_the_end_of_its_request_is_refused() -> None:
    text = "received frame for inactive request ID: 1"
    assert events_of(answer(EOS), answer(EOS))[:2] == [got(end=True), failed(text)]


KNOWN: Final = {3: "command-response", 5: "error", 6: "text", 7: "progress", 9: "settings"}


@pytest.mark.parametrize("number", [n for n in range(16) if n not in KNOWN])
def test_any_other_frame_type_is_unhandled(number: int) -> None:
    # point 7
    text = f"unhandled frame type: {number}"
    assert events_of(frame(number, EOS, stream_id=2)) == [failed(text)]


def error(payload: bytes) -> bytes:
    return frame(5, 0, payload, stream_id=2)


def atoms(kind: bytes, *messages: object) -> bytes:
    return error(item({b"type": kind, b"message": list(messages)}, canonical=False))


@pytest.mark.parametrize("kind", [b"protocol", b"server", b"command"])
def test_an_error_frame_ends_its_request(kind: bytes) -> None:
    # framing 7
    sent = atoms(kind, {b"msg": b"boom"})
    assert events_of(sent) == [RequestFailed(request_id=1, kind=kind, message=b"boom")]
    text = "received frame for inactive request ID: 1"
    assert events_of(sent, answer(EOS))[1:] == [failed(text)]


def test_the_error_frame_of_the_specification_is_read() -> None:
    # framing 7, wire example
    payload = b"\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    assert events_of(error(payload)) == [
        RequestFailed(request_id=1, kind=b"server", message=b"boom")
    ]


def test_the_atoms_of_an_error_are_formatted_and_joined() -> None:
    # framing 8
    sent = atoms(
        b"server",
        {b"msg": b"%s of %s, ", b"args": [b"1", b"2"], b"labels": [b"x"]},
        {b"other": 1},
        7,
        {b"msg": b"100%%"},
    )
    assert events_of(sent) == [RequestFailed(request_id=1, kind=b"server", message=b"1 of 2, 100%")]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "error decoding CBOR from error-response frame: the CBOR item is missing"),
        (
            b"\x61a",
            "error decoding CBOR from error-response frame: string major type not supported",
        ),
        (b"\x01", "error-response frame without a type"),
        (b"\xa0", "error-response frame without a type"),
        (b"\xa1Dtype\x01", "error-response frame without a type"),
    ],
)
def test_a_malformed_error_frame_fails_the_connection(payload: bytes, text: str) -> None:
    assert events_of(error(payload)) == [failed(text, malformed=True)]


def test_text_output_is_handed_on() -> None:
    # framing 8; Mercurial's clients could not
    payload = item([{b"msg": b"%s!\n", b"args": [b"hello"]}], canonical=False)
    assert events_of(frame(6, 0, payload, stream_id=2)) == [
        TextOutputReceived(request_id=1, text=b"hello!\n")
    ]


def test_progress_is_handed_on() -> None:
    # framing 9
    short = {b"topic": b"files", b"pos": -1}
    full = {b"topic": b"files", b"pos": 3, b"total": 9, b"label": b"l", b"item": b"i"}
    frames = [frame(7, 0, item(one, canonical=False), stream_id=2) for one in (full, short)]
    assert events_of(*frames) == [
        ProgressReceived(request_id=1, topic=b"files", position=3, total=9, label=b"l", item=b"i"),
        ProgressReceived(request_id=1, topic=b"files", position=-1, total=None),
    ]


@pytest.mark.parametrize("payload", [b"\xa0", b"\x01", b"\xa1EtopicAa"])
def test_progress_without_topic_and_position_fails_the_connection(payload: bytes) -> None:
    assert events_of(frame(7, 0, payload, stream_id=2)) == [
        failed("progress frame without topic and pos", malformed=True)
    ]


# --- stream settings ---------------------------------------------------------------------------

SUBJECT: Final = "stream encoding settings frame"
UNSET: Final = "error setting stream decoder"


def test_the_settings_of_the_specification_are_accepted() -> None:
    # framing 11
    sent = b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"
    assert events_of(sent) == []
    assert events_of(sent, answer(CONTINUATION, stream_flags=ENCODED)) == [got()]


def test_settings_may_span_frames_and_come_late_and_again() -> None:
    frames = [answer(CONTINUATION), settings(CONTINUATION, b"Hid"), settings(EOS, b"entity")]
    assert events_of(*frames, settings(EOS)) == [got()]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        # 2.4, in its order
        (
            settings(3, b"\xff"),
            f"{SUBJECT} cannot have both continuation and end of stream flags set",
        ),
        (settings(0, b"\xff"), f"{SUBJECT} must have continuation or end of stream flag set"),
        (settings(12), f"{SUBJECT} must have continuation or end of stream flag set"),
        (
            settings(CONTINUATION, b"\x61a"),
            f"error decoding CBOR from {SUBJECT}: string major type not supported",
        ),
        (
            settings(EOS, b"\xff"),
            f"error decoding CBOR from {SUBJECT}: break outside of an indefinite item",
        ),
        (settings(EOS, b""), f"{SUBJECT} did not contain CBOR data"),
        (settings(EOS, b"Hident"), f"{SUBJECT} did not contain CBOR data"),
        (settings(EOS, b"Cfoo"), f"{UNSET}: unknown stream decoder: foo"),
        (settings(EOS, b"\x01"), f"{UNSET}: unknown stream decoder: 1"),
        (
            settings(EOS, b"Hidentity\x01"),
            f"{UNSET}: identity decoder received unexpected additional values",
        ),
        (settings(EOS, stream_flags=BEGIN | END), f"{UNSET}: 2"),
        (
            settings(EOS, b"", stream_flags=BEGIN | END),
            f"{SUBJECT} did not contain CBOR data",
        ),
    ],
)
def test_each_mistake_in_settings_has_its_text(sent: bytes, text: str) -> None:
    assert events_of(sent) == [failed(text)]


def test_settings_have_a_size_limit_over_all_their_frames() -> None:
    limits = Limits(settings_size=9)
    cut = [settings(CONTINUATION, b"Hid"), settings(EOS, b"entity")]
    assert events_of(*cut, limits=limits) == []
    text = f"{SUBJECT} exceeds the limit of 9 bytes (settings_size)"
    over = [settings(CONTINUATION, b"Hid"), settings(EOS, b"entity\x01")]
    assert events_of(*over, limits=limits) == [failed(text, malformed=True)]


def test_half_settings_do_not_leak_into_the_next_stream_of_the_same_id() -> None:
    # known-gaps: "settings decoder state is per id and could leak across reopen"
    half = settings(CONTINUATION, b"Hid", stream_flags=BEGIN | END)
    text = "error setting stream decoder: unknown stream decoder: entity"
    assert events_of(half, settings(EOS, b"Fentity")) == [failed(text)]
    assert events_of(half, settings(EOS)) == []


def test_settings_of_streams_do_not_mix() -> None:
    frames = [
        settings(CONTINUATION, b"Hid"),
        settings(CONTINUATION, b"Hide", stream_id=4),
        settings(EOS, b"entity"),
        settings(EOS, b"ntity", stream_id=4),
    ]
    assert events_of(*frames) == []


# --- failures and the end ----------------------------------------------------------------------


def test_bytes_after_a_failure_are_not_looked_at() -> None:
    connection = client()
    assert len(receive(connection, answer(EOS, stream_id=1))) == 1
    assert receive(connection, answer(EOS)) == []
    assert connection.receive_end() == []


def test_events_in_front_of_a_failure_are_kept() -> None:
    text = "received frame with odd numbered stream ID: 3"
    assert events_of(answer(CONTINUATION), answer(EOS, stream_id=3)) == [got(), failed(text)]


def test_plain_frames_around_another_one_are_handed_on_in_their_order() -> None:
    # The second is the only one that is not a plain part of the response.
    progress = frame(7, 0, item({b"topic": b"t", b"pos": 1}, canonical=False), stream_id=2)
    first, rest = answer(CONTINUATION, b"one"), [answer(CONTINUATION, b"two"), answer(EOS, b"end")]
    connection = client()
    begun = receive(connection, answer(CONTINUATION, b"", stream_flags=BEGIN))
    assert begun == [got(b"")]
    events = receive(connection, first + progress + b"".join(rest))
    assert [type(event).__name__ for event in events] == [
        "ResponseDataReceived",
        "ProgressReceived",
        "ResponseDataReceived",
        "ResponseDataReceived",
    ]
    assert [events[0], *events[2:]] == [got(b"one"), got(b"two"), got(b"end", end=True)]
    assert connection.active == frozenset()


def test_a_payload_over_the_limit_behind_plain_frames_leaves_their_events() -> None:
    connection = client(Limits(frame_payload=10))
    receive(connection, answer(CONTINUATION, b"", stream_flags=BEGIN))
    text = "frame payload of 11 bytes exceeds the limit of 10 bytes (frame_payload)"
    events = receive(connection, answer(CONTINUATION, b"one") + answer(EOS, bytes(11)))
    assert events == [got(b"one"), failed(text, malformed=True)]


def test_parts_to_send_are_the_frames_to_send() -> None:
    connections = [ClientConnection(), ClientConnection()]
    for connection in connections:
        connection.send_command(b"command", {b"key": bytes(40_000)})
    parts, frames = connections[0].parts_to_send(), connections[1].data_to_send()
    assert len(frames) == 2
    assert parts == [part for encoded in frames for part in encoded]
    assert connections[0].parts_to_send() == []


def test_a_payload_over_the_limit_fails_the_connection() -> None:
    text = "frame payload of 11 bytes exceeds the limit of 10 bytes (frame_payload)"
    limits = Limits(frame_payload=10)
    assert events_of(answer(EOS, bytes(11)), limits=limits) == [failed(text, malformed=True)]


def test_the_end_with_nothing_open_says_nothing() -> None:
    assert ClientConnection().receive_end() == []
    connection = client()
    receive(connection, answer(EOS))
    assert connection.receive_end() == []


def test_the_end_without_an_answer_fails_the_connection() -> None:
    # known-gaps: Mercurial's client hangs
    connection = client()
    receive(connection, answer(CONTINUATION))
    text = "input ended before the response to request 1"
    assert connection.receive_end() == [failed(text, malformed=True)]


def test_the_end_inside_a_frame_fails_the_connection() -> None:
    connection = client()
    receive(connection, answer(EOS)[:10])
    assert connection.receive_end() == [
        failed("frame length error: expected 4; got 2", malformed=True)
    ]
