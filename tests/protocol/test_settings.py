"""Sender protocol settings of 0006: server-state-machine 1.5 and 1.6."""

from __future__ import annotations

from typing import Final

import pytest
from support.feeding import ALL, failed, fed, joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    WireFrame,
    frame,
    item,
    parse_frames,
    settings_frames,
)

from wiredaemon.protocol import Event, RequestReceived
from wiredaemon.protocol.requests import RequestsState
from wiredaemon.protocol.states import InputState
from wiredaemon.wire.limits import Limits

CONTINUATION, EOS = 1, 2

SETTINGS: Final = (
    b"\x2a\x00\x00\x01\x00\x01\x01\x82\xa1Pcontentencodings\x83Hzstd-8mbDzlibHidentity"
)
"""framing 10, observed from a 6.0 client."""
REQUEST: Final = frame(1, 1, b"\xa1DnameGcommand")
RECEIVED: Final = RequestReceived(request_id=1, command=b"command", arguments={})
CODINGS: Final = item({b"contentencodings": [b"identity"]}, canonical=False)

SUBJECT: Final = "sender protocol settings frame"


def settings(flags: int, payload: bytes = CODINGS, request_id: int = 1) -> bytes:
    return frame(8, flags, payload, request_id=request_id)


def events_of(*frames: bytes, limits: Limits | None = None) -> list[Event]:
    return fed("0006", *frames, limits=limits).events


def test_the_settings_of_a_real_client_are_accepted() -> None:
    outcome = fed("0006", SETTINGS)
    assert (outcome.events, outcome.state) == ([], RequestsState.IDLE)
    assert events_of(SETTINGS, REQUEST) == [RECEIVED]


def test_a_client_may_send_no_settings() -> None:
    assert server("0006").state is InputState.INITIAL
    outcome = fed("0006", REQUEST)
    assert (outcome.events, outcome.state) == ([RECEIVED], RequestsState.IDLE)


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "0006"])
def test_older_dialects_begin_idle_and_know_no_settings(dialect: str) -> None:
    assert server(dialect).state is RequestsState.IDLE
    subject = "command" if dialect == "0002" else "command request"
    assert fed(dialect, settings(EOS)).events == [failed(f"expected {subject} frame; got 8")]


def test_settings_may_span_frames() -> None:
    for cut in range(len(CODINGS)):
        first, second = settings(CONTINUATION, CODINGS[:cut]), settings(EOS, CODINGS[cut:])
        outcome = fed("0006", first)
        assert (outcome.events, outcome.state) == ([], InputState.SETTINGS)
        assert outcome.state.value == "protocol-settings-receiving"
        assert events_of(first, second, REQUEST) == [RECEIVED]


def test_the_request_id_of_settings_is_ignored() -> None:
    frames = [settings(CONTINUATION, CODINGS[:3], 77), settings(EOS, CODINGS[3:], 0)]
    assert events_of(*frames, REQUEST) == [RECEIVED]


@pytest.mark.parametrize("number", [n for n in range(16) if n not in {1, 8}])
def test_other_frames_cannot_come_first(number: int) -> None:
    # 1.5
    text = f"expected sender protocol settings or command request frame; got {number}"
    assert events_of(frame(number, EOS)) == [failed(text)]


@pytest.mark.parametrize("number", [n for n in range(16) if n != 8])
def test_only_settings_follow_settings_that_go_on(number: int) -> None:
    # 1.6, point 1, before points 2 and 3
    text = f"expected sender protocol settings frame; got {number}"
    assert events_of(settings(CONTINUATION), frame(number, 3)) == [failed(text)]
    assert events_of(settings(CONTINUATION), frame(number, 0)) == [failed(text)]


def test_both_flags_are_refused_before_the_content() -> None:
    # point 2
    text = f"{SUBJECT} cannot have both continuation and end of stream flags set"
    assert events_of(settings(CONTINUATION | EOS)) == [failed(text)]
    assert events_of(settings(CONTINUATION | EOS, b"\xff")) == [failed(text)]
    assert events_of(settings(CONTINUATION, b""), settings(CONTINUATION | EOS)) == [failed(text)]


def test_no_flag_is_refused_before_the_content() -> None:
    # point 3
    text = f"{SUBJECT} must have continuation or end of stream flag set"
    assert events_of(settings(0)) == [failed(text)]
    assert events_of(settings(12, b"\xff")) == [failed(text)]


@pytest.mark.parametrize("flags", [CONTINUATION, EOS])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\x61a", "string major type not supported"),
        (b"\xff", "break outside of an indefinite item"),
        (b"\xf9\x00\x00", "special type 25 not allowed"),
    ],
)
def test_bad_cbor_is_refused_with_its_cause(flags: int, content: bytes, cause: str) -> None:
    # point 4, before points 5 and 6
    text = f"error decoding CBOR from {SUBJECT}: {cause}"
    assert events_of(settings(flags, content)) == [failed(text)]


@pytest.mark.parametrize("content", [b"", b"\xa1", CODINGS[:-1]])
def test_the_end_without_a_whole_item_is_refused(content: bytes) -> None:
    # point 6
    text = f"{SUBJECT} did not contain CBOR data"
    assert events_of(settings(EOS, content)) == [failed(text)]


@pytest.mark.parametrize("content", [b"\xa0\xa0", b"\x01\x02\x03"])
def test_more_than_one_item_is_refused(content: bytes) -> None:
    # point 7, before point 8
    text = f"{SUBJECT} contained multiple CBOR values"
    assert events_of(settings(EOS, content)) == [failed(text)]
    assert events_of(settings(CONTINUATION, content[:1]), settings(EOS, content[1:])) == [
        failed(text)
    ]


def test_an_incomplete_item_behind_the_first_is_no_item() -> None:
    # point 7 counts complete items; the original looked no further
    assert events_of(settings(EOS, b"\xa0\xa1"), REQUEST) == [RECEIVED]


@pytest.mark.parametrize(
    "content",
    [
        b"\xa0",
        b"\xa1Eother\x01",
        b"\x80",
        b"\x81Aa",
        b"@",
        b"Eother",
        b"\xf6",
        b"\xf5",
        b"\xd9\x01\x02\x81Aa",
    ],
)
def test_settings_that_say_nothing_are_accepted(content: bytes) -> None:
    # point 8
    assert events_of(settings(EOS, content), REQUEST) == [RECEIVED]


@pytest.mark.parametrize(
    "content",
    [
        item(1, canonical=False),
        item(-1, canonical=False),
        item([b"contentencodings"], canonical=False),
        item(b"my contentencodings", canonical=False),
        item({b"contentencodings": None}, canonical=False),
        item({b"contentencodings": 1}, canonical=False),
        item({b"contentencodings": True}, canonical=False),
    ],
)
def test_settings_that_were_http_500_are_malformed(content: bytes) -> None:
    # point 8
    text = f"{SUBJECT} without an array of contentencodings"
    assert events_of(settings(EOS, content)) == [failed(text, malformed=True)]


@pytest.mark.parametrize("before", [SETTINGS, REQUEST])
def test_settings_come_once_and_first(before: bytes) -> None:
    # the last paragraph of 1.6
    outcome = fed("0006", before, settings(EOS))
    assert outcome.events[-1] == failed("expected command request frame; got 8")


def test_settings_inside_a_request_are_an_unexpected_frame() -> None:
    text = "received unexpected frame type: 8"
    assert events_of(frame(1, 5, b"\xa1"), settings(EOS)) == [failed(text)]


def test_settings_have_a_size_limit_over_all_their_frames() -> None:
    limits = Limits(settings_size=len(CODINGS))
    cut = [settings(CONTINUATION, CODINGS[:9]), settings(EOS, CODINGS[9:])]
    assert events_of(*cut, REQUEST, limits=limits) == [RECEIVED]
    over = [settings(CONTINUATION, CODINGS[:9]), settings(CONTINUATION, CODINGS[8:])]
    text = f"{SUBJECT} exceeds the limit of {len(CODINGS)} bytes (settings_size)"
    assert events_of(*over, limits=limits) == [failed(text, malformed=True)]


ENCODED_ANSWER: Final = [
    WireFrame(1, 2, BEGIN, 9, EOS, b"Hidentity"),
    WireFrame(1, 2, ENCODED, 3, CONTINUATION, b"\xa1FstatusBok"),
    WireFrame(1, 2, ENCODED, 3, CONTINUATION, b"Fanswer"),
    WireFrame(1, 2, 0, 3, EOS, b""),
]
PLAIN_ANSWER: Final = [
    WireFrame(1, 2, BEGIN, 3, CONTINUATION, b"\xa1FstatusBok"),
    WireFrame(1, 2, 0, 3, CONTINUATION, b"Fanswer"),
    WireFrame(1, 2, 0, 3, EOS, b""),
]


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        ([b"identity"], ENCODED_ANSWER),
        ([b"unknown", b"identity"], ENCODED_ANSWER),
        (b"any identity", ENCODED_ANSWER),  # "only tested for membership"
        ({b"identity": 1}, ENCODED_ANSWER),
        ({b"identity"}, ENCODED_ANSWER),
        ([b"unknown"], PLAIN_ANSWER),
        ([], PLAIN_ANSWER),
        (b"", PLAIN_ANSWER),
    ],
)
def test_the_answer_is_in_an_encoding_that_the_client_offered(
    offered: object, answer: list[WireFrame]
) -> None:
    # point 8; framing 12: a client that offers nothing known gets frames without settings
    connection = server("0006")
    content = item({b"contentencodings": offered}, canonical=False)
    assert receive(connection, settings(EOS, content) + REQUEST) == [RECEIVED]
    assert connection.receive_end() == []
    connection.send_result(1, b"answer")
    assert parse_frames(joined(connection.data_to_send())) == answer


def test_settings_that_leave_the_encodings_out_mean_identity() -> None:
    connection = server("0006")
    assert receive(connection, settings(EOS, b"\xa0") + REQUEST) == [RECEIVED]
    assert connection.receive_end() == []
    connection.send_result(1, b"")
    # framing 11: identity, with stream-begin
    assert joined(connection.data_to_send()).startswith(
        b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"
    )


def test_settings_frames_of_a_peer_are_those_of_the_specification() -> None:
    assert b"".join(settings_frames(b"zstd-8mb", b"zlib", b"identity")) == SETTINGS
