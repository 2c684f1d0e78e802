"""Redirects and recorded responses of 0006: framing 6.3 and 13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    END,
    WireFrame,
    item,
    parse_frames,
    request_frames,
    settings_frames,
)

from wiredaemon.protocol import ClientConnection, LocalProtocolError, ResponseDataReceived
from wiredaemon.protocol.errors import MisplacedError
from wiredaemon.protocol.objects import response_reader
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.encodings import ENCODERS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import Encoded, Recorded, Redirect, UnencodableError

if TYPE_CHECKING:
    from wiredaemon.protocol import ServerConnection

CONTINUATION, EOS = 1, 2
RESPONSE, ERROR, TEXT, SETTINGS = 3, 5, 6, 9
OK: Final = b"\xa1FstatusBok"
SLICE: Final = 32768
REDIRECT_MAP: Final = (
    b"\xa2Hlocation\xa2ImediatypeX\x1aapplication/mercurial-cborCurlLhttp://x/keyFstatusHredirect"
)


def waiting(*profiles: bytes, requests: int = 3, limits: Limits | None = None) -> ServerConnection:
    """Return a connection that has received requests 1, 3, ... and waits for answers."""
    connection = server("0006", half_duplex=False, limits=limits)
    data = b"".join(settings_frames(*profiles)) if profiles else b""
    for number in range(requests):
        data += b"".join(request_frames("0006", 2 * number + 1, b"command"))
    assert len(receive(connection, data)) == requests
    return connection


def sent(connection: ServerConnection) -> list[WireFrame]:
    return parse_frames(joined(connection.data_to_send()))


def encoded(profile: bytes, *objects: object) -> bytes:
    """Return a whole response as a fresh encoder has it."""
    encoder = ENCODERS[profile]()
    content = OK + b"".join(item(one, canonical=False) for one in objects)
    return encoder.encode(content) + encoder.flush()


# --- redirects -----------------------------------------------------------------------------------


def test_a_redirect_is_a_status_map_behind_the_settings_and_an_empty_end() -> None:
    connection = waiting()
    connection.send_result(1, Redirect(url=b"http://x/key"))
    assert sent(connection) == [
        WireFrame(1, 2, BEGIN, SETTINGS, EOS, b"Hidentity"),
        WireFrame(1, 2, ENCODED, RESPONSE, CONTINUATION, REDIRECT_MAP),
        WireFrame(1, 2, 0, RESPONSE, EOS, b""),
    ]


def test_a_redirect_as_the_first_of_objects_is_the_same() -> None:
    connection = waiting()
    connection.send_object(1, Redirect(url=b"http://x/key"))
    connection.end_response(1)
    other = waiting()
    other.send_result(1, Redirect(url=b"http://x/key"))
    assert sent(connection) == sent(other)


def test_a_redirect_goes_through_the_content_encoding() -> None:
    connection = waiting(b"zlib")
    connection.send_result(1, Redirect(url=b"http://x/key"))
    frames = sent(connection)
    encoder = ENCODERS[b"zlib"]()
    content = encoder.encode(REDIRECT_MAP) + encoder.flush()
    assert frames[0] == WireFrame(1, 2, BEGIN, SETTINGS, EOS, b"Dzlib")
    assert b"".join(one.payload for one in frames[1:]) == content
    assert frames[-1][2:5] == (ENCODED, RESPONSE, EOS)


def test_a_redirect_says_all_that_is_known_of_its_target() -> None:
    connection = waiting()
    redirect = Redirect(
        url=b"u",
        media_type=b"m",
        size=3,
        full_hashes=[(b"sha256", b"\1"), (b"sha1", b"\2")],
    )
    connection.send_result(1, redirect)
    location = {
        b"url": b"u",
        b"mediatype": b"m",
        b"size": 3,
        b"fullhashes": [[b"sha256", b"\1"], [b"sha1", b"\2"]],
    }
    expected = item({b"status": b"redirect", b"location": location}, canonical=False)
    assert sent(connection)[1].payload == expected


def test_nothing_follows_a_redirect() -> None:
    connection = waiting()
    connection.send_object(1, Redirect(url=b"http://x/key"))
    for value in (b"object", Encoded([b"\x01"]), Redirect(url=b"u")):
        with pytest.raises(MisplacedError, match=r"^object follows alternatelocationresponse$"):
            connection.send_object(1, value)
    connection.end_response(1)
    assert len(sent(connection)) == 3


def test_a_redirect_follows_no_object() -> None:
    connection = waiting()
    connection.send_object(1, b"object")
    text = r"^alternatelocationresponse seen after initial output object$"
    with pytest.raises(MisplacedError, match=text):
        connection.send_object(1, Redirect(url=b"u"))


def test_an_error_behind_a_redirect_is_an_error_frame() -> None:
    connection = waiting()
    connection.send_object(1, Redirect(url=b"http://x/key"))
    connection.send_error(1, b"late")
    assert sent(connection)[-1][3] == ERROR


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005"])
@pytest.mark.parametrize("value", [Redirect(url=b"u"), Recorded(b"zlib", [b"x"])])
def test_earlier_dialects_have_neither_redirects_nor_recorded_responses(
    dialect: str, value: Redirect | Recorded
) -> None:
    connection = server(dialect)
    receive(connection, b"".join(request_frames(dialect, 1, b"command")))
    with pytest.raises(UnencodableError):
        connection.send_result(1, value)


# --- recorded responses --------------------------------------------------------------------------


def test_a_recorded_response_is_a_stream_of_its_own_that_ends_with_it() -> None:
    content = bytes(range(256)) * 300
    connection = waiting(b"zlib")
    connection.send_object(1, Recorded(b"zlib", [content]))
    connection.end_response(1)
    assert sent(connection) == [
        WireFrame(1, 2, BEGIN, SETTINGS, EOS, b"Dzlib"),
        WireFrame(1, 2, ENCODED, RESPONSE, CONTINUATION, content[:SLICE]),
        WireFrame(1, 2, ENCODED, RESPONSE, CONTINUATION, content[SLICE : 2 * SLICE]),
        WireFrame(1, 2, ENCODED | END, RESPONSE, EOS, content[2 * SLICE :]),
    ]


@pytest.mark.parametrize("size", [SLICE, 2 * SLICE])
def test_a_last_payload_that_is_full_is_the_end(size: int) -> None:
    connection = waiting(b"zlib")
    connection.send_object(1, Recorded(b"zlib", [bytes(size // 2)]))
    connection.send_object(1, Recorded(b"zlib", [bytes(size - size // 2)]))
    connection.end_response(1)
    frames = sent(connection)
    assert [one.flags for one in frames[1:]] == [CONTINUATION] * (len(frames) - 2) + [EOS]
    assert sum(len(one.payload) for one in frames[1:]) == size
    assert all(one.payload for one in frames)


def test_other_responses_keep_their_stream_and_context() -> None:
    first = encoded(b"zlib", b"recorded")
    connection = waiting(b"zlib")
    connection.send_result(1, b"one")
    connection.send_result(3, Recorded(b"zlib", [first]))
    connection.send_result(5, b"two")
    frames = sent(connection)
    assert [one.payload for one in frames if one.type_number == SETTINGS] == [b"Dzlib", b"Dzlib"]
    assert [one.stream_id for one in frames if one.request_id == 3] == [4, 4]
    others = [one for one in frames if one.request_id != 3]
    assert {one.stream_id for one in others} == {2}
    plain = waiting(b"zlib")
    plain.send_result(1, b"one")
    plain.send_result(5, b"two")
    assert others == sent(plain)


def test_recorded_responses_take_no_encoder_from_others() -> None:
    connection = waiting(b"zlib", requests=4, limits=Limits(encoding_streams=1))
    for request_id in (1, 3):
        connection.send_object(request_id, Recorded(b"zlib", [b"x" * 10]))
    connection.send_object(5, b"object")
    connection.send_object(7, b"object")
    settings = [one for one in sent(connection) if one.type_number == SETTINGS]
    assert [(one.request_id, one.payload) for one in settings] == [
        (1, b"Dzlib"),
        (3, b"Dzlib"),
        (5, b"Dzlib"),
    ]


def test_ids_of_streams_that_have_ended_are_used_again_when_all_others_are() -> None:
    connection = waiting(b"zlib", requests=1)
    ids = []
    for number in range(130):
        request_id = 2 * number + 1
        connection.send_result(request_id, Recorded(b"zlib", [b"x"]))
        frames = sent(connection)
        assert frames[0].stream_flags == BEGIN
        ids.append(frames[0].stream_id)
        receive(connection, b"".join(request_frames("0006", request_id + 2, b"command")))
    assert ids == [*range(2, 256, 2), 2, 4, 6]


def test_text_in_front_of_a_recorded_response_is_no_mistake() -> None:
    connection = waiting(b"zlib")
    connection.send_text(1, b"wait")
    connection.send_result(1, Recorded(b"zlib", [b"x"]))
    assert [(one.stream_id, one.type_number) for one in sent(connection)] == [
        (2, TEXT),
        (4, SETTINGS),
        (4, RESPONSE),
    ]
    connection.send_result(3, b"next")
    assert {one.stream_id for one in sent(connection)} == {2}


def test_text_inside_of_a_recorded_response_is_on_its_stream() -> None:
    connection = waiting(b"zlib")
    connection.send_object(1, Recorded(b"zlib", [b"x" * 10]))
    connection.send_text(1, b"wait")
    connection.end_response(1)
    assert {one.stream_id for one in sent(connection)} == {2}


@pytest.mark.parametrize("is_command_error", [True, False])
def test_an_error_inside_of_a_recorded_response_ends_its_stream(*, is_command_error: bool) -> None:
    connection = waiting(b"zlib")
    connection.send_object(1, Recorded(b"zlib", [bytes(SLICE + 1)]))
    if is_command_error:
        connection.send_error(1, b"%s", [b"broken"])
    else:
        connection.send_server_error(1, b"broken")
    last = sent(connection)[-1]
    assert last[:5] == (1, 2, END, ERROR, 0)
    assert b"broken" in last.payload


def test_recorded_responses_and_objects_do_not_mix() -> None:
    connection = waiting(b"zlib")
    connection.send_object(1, Recorded(b"zlib", [b"x"]))
    with pytest.raises(MisplacedError, match="an object follows a recorded response"):
        connection.send_object(1, b"object")
    connection.send_object(3, b"object")
    with pytest.raises(MisplacedError, match="a recorded response follows an object"):
        connection.send_object(3, Recorded(b"zlib", [b"x"]))


def test_a_request_that_is_not_waiting_gets_no_recorded_response() -> None:
    connection = waiting(b"zlib")
    with pytest.raises(LocalProtocolError):
        connection.send_object(7, Recorded(b"zlib", [b"x"]))
    connection.send_result(1, b"one")
    assert {one.stream_id for one in sent(connection)} == {2}


def test_recorded_content_needs_no_thread() -> None:
    connection = waiting(b"zlib")
    assert connection.encoding_work(1, Recorded(b"zlib", [bytes(1 << 20)])) is None
    connection.send_object(1, Recorded(b"zlib", [b"x"]))
    assert len(sent(connection)) == 1


def test_the_encoding_is_the_one_that_streams_get() -> None:
    assert waiting().content_encoding == b"identity"
    assert waiting(b"zlib", b"zstd-8mb").content_encoding == b"zstd-8mb"
    assert waiting(b"other").content_encoding is None


# --- our own client ------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [b"zlib", b"zstd-8mb"])
def test_our_client_reads_one_recorded_response_after_another(profile: bytes) -> None:
    client = ClientConnection(content_encodings=[profile])
    side = server("0006", half_duplex=False)
    objects = [b"a" * 100_000, {b"key": [1, 2, 3]}]
    for number in range(140):  # more than there are stream ids
        request_id = client.send_command(b"command", {})
        receive(side, joined(client.data_to_send()))
        value = [*objects, number]
        side.send_result(request_id, Recorded(profile, [encoded(profile, *value)]))
        reader = response_reader(DIALECTS["0006"], Limits())
        got: list[object] = []
        for event in receive(client, joined(side.data_to_send())):
            assert isinstance(event, ResponseDataReceived)
            got += reader.receive_event(event)
        assert got == value
    assert client.active == frozenset()


def test_our_client_reads_it_in_any_cuts() -> None:
    connection = waiting(b"zlib", requests=1)
    connection.send_result(1, Recorded(b"zlib", [encoded(b"zlib", b"object")]))
    wire = joined(connection.data_to_send())

    def make() -> ClientConnection:
        client = ClientConnection(content_encodings=[b"zlib"])
        client.send_command(b"command", {})
        client.send_command(b"other", {})
        client.data_to_send()
        return client

    whole = make()
    events = receive(whole, wire)
    single = make()
    parts = [event for byte in wire for event in receive(single, bytes([byte]))]
    contents = [
        b"".join(one.data for one in each if isinstance(one, ResponseDataReceived))
        for each in (events, parts)
    ]
    assert contents == [OK + item(b"object", canonical=False)] * 2
