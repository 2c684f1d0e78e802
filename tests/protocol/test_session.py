"""Sessions, both sides: sessions 1 and 2."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import failed, feed_every_way, joined, receive, server
from support.peers import (
    BEGIN,
    ENCODED,
    WireFrame,
    frame,
    item,
    parse_frames,
)

from wiredaemon.protocol import (
    ClientConnection,
    ConnectionFailed,
    DataReceived,
    Event,
    GoAwayReceived,
    LocalProtocolError,
    PingReceived,
    PongReceived,
    RequestCancelled,
    RequestCompleted,
    RequestFailed,
    RequestReceived,
    ResponseDataReceived,
    ServerConnection,
    SessionStarted,
)
from wiredaemon.protocol.session import (
    CLIENT_SESSION,
    SERVER_SESSION,
    Session,
    SessionState,
    SessionStep,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HELLO, CANCEL, PING, PONG, GO_AWAY = 1, 2, 3, 4, 5
NEW, MORE, DATA = 1, 4, 8

SETTINGS: Final = frame(8, 2, b"\xa1Gsession\x01")
HELLO_CONTENT: Final = (
    b"\xa3Pcontentencodings\x83Hzstd-8mbDzlibHidentityPrunning_commands\x08Gversion\x01"
)
FIRST: Final = b"\xa1DnameGcommand"
CANCELLED: Final = item(
    {b"type": b"command", b"message": [{b"msg": b"the call was cancelled"}]}, canonical=False
)


def said(number: int, payload: bytes = b"", *, request_id: int = 0, **fields: int) -> bytes:
    """Write a session frame of a client (sessions 2)."""
    return frame(13, number, payload, request_id=request_id, **fields)


def told(number: int, payload: bytes = b"", *, request_id: int = 0) -> bytes:
    """Write a session frame of a server."""
    return frame(13, number, payload, request_id=request_id, stream_id=2)


def request(request_id: int, flags: int = NEW) -> bytes:
    return frame(1, flags, FIRST, request_id=request_id)


def received(request_id: int, *, has_data: bool = False) -> RequestReceived:
    return RequestReceived(request_id, b"command", {}, has_data)


def in_session(limits: Limits | None = None) -> ServerConnection:
    """Return a server's connection with a session, which has said hello."""
    connection = server("0006", half_duplex=False, limits=limits)
    assert receive(connection, SETTINGS) == []
    connection.data_to_send()
    return connection


def sent_by(side: ServerConnection | ClientConnection) -> list[WireFrame]:
    return parse_frames(joined(side.data_to_send()))


def events_of(*frames: bytes, limits: Limits | None = None) -> list[Event]:
    following = request(0x7777)
    return feed_every_way(lambda: in_session(limits), b"".join(frames), following)


# --- the tables ----------------------------------------------------------------------------------

# As words, one row for each state in the order of the steps: sessions 1 and 2.
SERVER: Final[Mapping[str, str]] = {
    #      hello cancel   ping     pong     goaway   offered  started left
    "NONE": "-   -        -        -        -        -        OPEN    -",
    "OFFERED": "- -       -        -        -        -        -       -",
    "OPEN": "-   OPEN     OPEN     OPEN     LEAVING  -        -       LEAVING",
    "LEAVING": "- LEAVING LEAVING  LEAVING  LEAVING  -        -       LEAVING",
}
CLIENT: Final[Mapping[str, str]] = {
    "NONE": "-       - -       -       -       OFFERED - -",
    "OFFERED": "OPEN - -       -       -       -       - -",
    "OPEN": "-       - OPEN    OPEN    LEAVING -       - LEAVING",
    "LEAVING": "-    - LEAVING LEAVING LEAVING -       - LEAVING",
}


@pytest.mark.parametrize(("table", "rows"), [(SERVER_SESSION, SERVER), (CLIENT_SESSION, CLIENT)])
@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize(("column", "step"), list(enumerate(SessionStep)))
def test_every_pair_of_both_tables(
    table: Mapping[tuple[SessionState, SessionStep], SessionState],
    rows: Mapping[str, str],
    state: SessionState,
    column: int,
    step: SessionStep,
) -> None:
    connection = ClientConnection(offers_session=True)
    session = connection._session
    assert isinstance(session, Session)
    session._table, session.state = table, state
    expected = rows[state.name].split()[column]
    if expected == "-":
        with pytest.raises(LocalProtocolError, match=f"{step.name}, which has no place"):
            session.advance(step)
        assert session.state is state
    else:
        session.advance(step)
        assert session.state is SessionState[expected]


# --- negotiation ---------------------------------------------------------------------------------


def test_a_server_answers_at_once_with_hello() -> None:
    connection = server("0006", half_duplex=False)
    assert receive(connection, SETTINGS) == []
    assert connection.has_session
    assert sent_by(connection) == [WireFrame(0, 2, BEGIN, 13, HELLO, HELLO_CONTENT)]


def test_hello_changes_no_byte_of_answers_but_where_the_stream_begins() -> None:
    plain, connection = server("0006", half_duplex=False), in_session()
    settings = frame(8, 2, b"\xa1Pcontentencodings\x81Hidentity")
    for each in (plain, connection):
        receive(each, (settings if each is plain else b"") + request(1))
        each.send_result(1, b"value")
    without, behind = sent_by(plain), sent_by(connection)
    assert behind == [without[0]._replace(stream_flags=0), *without[1:]]


def test_who_offers_none_has_none() -> None:
    plain = frame(8, 2, b"\xa1Pcontentencodings\x81Hidentity")
    for settings in (b"", plain):
        connection = server("0006", half_duplex=False)
        receive(connection, settings + request(1))
        assert not connection.has_session
        assert sent_by(connection) == []
        for subject, send in (
            ("a ping", connection.send_ping),
            ("a goaway", connection.send_go_away),
        ):
            with pytest.raises(LocalProtocolError, match=f"{subject} needs a session"):
                send(b"")


def test_in_half_duplex_the_key_is_ignored() -> None:
    connection = server("0006", half_duplex=True)
    assert receive(connection, SETTINGS + request(1)) == [received(1)]
    assert not connection.has_session
    connection.receive_end()
    connection.send_result(1, b"")
    assert {one.type_number for one in sent_by(connection)} == {3, 9}


@pytest.mark.parametrize("version", [0, -1, True, b"1", None])
def test_a_version_that_is_none_is_refused(version: object) -> None:
    connection = server("0006", half_duplex=False)
    text = "sender protocol settings frame whose session is no version: an integer of at least 1"
    settings = frame(8, 2, item({b"session": version}, canonical=False))
    assert receive(connection, settings) == [failed(text, malformed=True)]


def test_later_versions_of_clients_know_the_first() -> None:
    connection = server("0006", half_duplex=False)
    assert receive(connection, frame(8, 2, b"\xa1Gsession\x18\x20")) == []
    assert connection.has_session


def test_without_negotiation_the_frame_type_has_no_meaning() -> None:
    connection = server("0006", half_duplex=False)
    assert receive(connection, request(1)) == [received(1)]
    assert receive(connection, said(PING)) == [failed("expected command request frame; got 13")]


# --- a client's frames, at a server --------------------------------------------------------------


def test_cancel_tells_of_a_request_once_it_waits_for_an_answer() -> None:
    assert events_of(request(5), said(CANCEL, request_id=5)) == [
        received(5),
        RequestCancelled(request_id=5),
    ]


def test_cancelling_what_is_unknown_or_answered_is_no_error() -> None:
    assert events_of(said(CANCEL, request_id=9)) == []
    connection = in_session()
    receive(connection, request(5))
    connection.send_result(5, b"")
    assert receive(connection, said(CANCEL, request_id=5)) == []


def test_a_cancelled_request_is_ended_by_one_error_frame_and_its_id_is_free() -> None:
    connection = in_session()
    receive(connection, request(5) + said(CANCEL, request_id=5))
    text = "request with ID 5 is already active"
    connection.send_cancelled(5)
    assert sent_by(connection) == [WireFrame(5, 2, 0, 5, 0, CANCELLED)]
    assert receive(connection, request(5)) == [received(5)]
    assert receive(connection, said(CANCEL, request_id=5)) == [RequestCancelled(request_id=5)]
    assert receive(connection, request(5)) == [failed(text)]


@pytest.mark.parametrize("profiles", [(), (b"zstd-8mb",), (b"zlib",)])
def test_objects_in_front_of_a_cancel_are_decoded_and_so_is_what_follows(
    profiles: tuple[bytes, ...],
) -> None:
    client = ClientConnection(content_encodings=profiles, offers_session=True)
    connection = server("0006", half_duplex=False)
    first, second = client.send_command(b"a", {}), client.send_command(b"b", {})
    receive(connection, joined(client.data_to_send()))
    connection.send_object(first, b"x" * 100_000)
    receive(client, joined(connection.data_to_send()))
    assert client.cancel(first)
    assert receive(connection, joined(client.data_to_send())) == [
        RequestCancelled(request_id=first)
    ]
    connection.send_cancelled(first)
    connection.send_result(second, b"y")
    events = receive(client, joined(connection.data_to_send()))
    assert RequestFailed(request_id=first, kind=b"command", message=b"the call was cancelled") in (
        events
    )
    answer = [one for one in events if isinstance(one, ResponseDataReceived)]
    content = b"".join(one.data for one in answer if one.request_id == second)
    assert content == b"\xa1FstatusBokAy"
    assert client.active == frozenset()


def test_data_behind_a_cancel_is_dropped_to_its_end() -> None:
    assert events_of(
        request(5, NEW | DATA),
        frame(2, 1, b"one", request_id=5),
        said(CANCEL, request_id=5),
        frame(2, 1, b"two", request_id=5),
        frame(2, 2, b"end", request_id=5),
    ) == [received(5, has_data=True), DataReceived(5, b"one"), RequestCancelled(request_id=5)]


def test_the_id_of_a_cancelled_request_is_in_use_until_its_answer_and_the_end_of_its_data() -> None:
    begin = request(5, NEW | DATA) + said(CANCEL, request_id=5)
    answered = in_session()
    receive(answered, begin)
    answered.send_cancelled(5)
    assert receive(answered, request(5)) == [failed("request with ID 5 already received")]
    ended = in_session()
    receive(ended, begin + frame(2, 2, request_id=5))
    assert receive(ended, request(5)) == [failed("request with ID 5 is already active")]
    both = in_session()
    receive(both, begin + frame(2, 2, request_id=5))
    both.send_cancelled(5)
    assert receive(both, request(5)) == [received(5)]
    assert both.incomplete[0] is None


def test_a_request_answered_before_its_data_ended_may_be_cancelled() -> None:
    connection = in_session()
    receive(connection, request(5, NEW | DATA))
    connection.send_result(5, b"")
    assert receive(connection, said(CANCEL, request_id=5)) == []
    assert receive(connection, frame(2, 1, b"x", request_id=5) + frame(2, 2, request_id=5)) == []
    assert receive(connection, request(5)) == [received(5)]


def test_input_that_ends_inside_of_cancelled_data_aborts_no_request() -> None:
    connection = in_session()
    receive(connection, request(5, NEW | DATA) + said(CANCEL, request_id=5))
    assert connection.receive_end() == []
    connection.send_cancelled(5)


def test_a_cancel_inside_of_request_frames_is_refused() -> None:
    text = "request 5 is cancelled inside of its request frames"
    assert events_of(request(5, NEW | MORE), said(CANCEL, request_id=5)) == [
        failed(text, malformed=True)
    ]


def test_a_cancelled_request_that_was_no_request_fails_all_the_same() -> None:
    wrong = frame(1, NEW | DATA, b"\x01", request_id=5)
    assert events_of(wrong, said(CANCEL, request_id=5)) == [
        failed("command request 5 is not a map", malformed=True)
    ]


def test_session_frames_may_come_on_any_stream_of_the_client() -> None:
    connection = in_session()
    data = said(PING, b"here", stream_id=3, stream_flags=BEGIN) + said(PING, b"there")
    assert receive(connection, data) == [PingReceived(), PingReceived()]
    # and are answered on the server's
    pongs = [
        frame(13, PONG, payload, request_id=0, stream_id=2, stream_flags=0)
        for payload in (b"here", b"there")
    ]
    assert joined(connection.data_to_send()) == b"".join(pongs)
    refused = receive(in_session(), said(PING, stream_id=2, stream_flags=BEGIN))
    assert [type(event) for event in refused] == [ConnectionFailed]


def test_any_number_of_cancels_in_a_row_are_no_empty_frames() -> None:
    cancels = [said(CANCEL, request_id=number) for number in range(1, 401, 2)]
    assert events_of(*cancels) == []


def test_a_cancel_is_read_where_no_request_has_room() -> None:
    limits = Limits(concurrent_requests=2)
    connection = in_session(limits)
    data = request(1) + request(3) + said(CANCEL, request_id=3) + request(5)
    assert connection.receive_data(data) == [
        received(1),
        received(3),
        RequestCancelled(request_id=3),
    ]
    assert (connection.pending, connection.may_read_on) == (True, False)
    connection.send_cancelled(3)
    assert connection.receive_data(b"") == [received(5)]


def test_more_session_frames_than_one_call_reads_are_pending_and_may_be_read() -> None:
    connection = in_session(Limits(concurrent_requests=1))
    count = 150
    events = connection.receive_data(request(1) + said(PING) * count)
    while connection.pending:
        assert connection.may_read_on
        events += connection.receive_data(b"")
    assert events == [received(1), *[PingReceived()] * count]


def test_a_ping_is_answered_behind_what_was_sent() -> None:
    connection = in_session()
    receive(connection, request(1))
    connection.send_result(1, b"")
    assert receive(connection, said(PING, b"p" * 64)) == [PingReceived()]
    assert sent_by(connection)[-1] == WireFrame(0, 2, 0, 13, PONG, b"p" * 64)


def test_pings_beside_much_output_are_not_answered() -> None:
    connection = in_session(Limits(output_high=10))
    receive(connection, request(1))
    connection.send_result(1, b"longer than that")
    assert receive(connection, said(PING)) == [PingReceived()]
    assert PONG not in {one.flags for one in sent_by(connection) if one.type_number == 13}
    receive(connection, said(PING))
    assert sent_by(connection) == [WireFrame(0, 2, 0, 13, PONG, b"")]


def test_a_server_pings_and_goes_away() -> None:
    connection = in_session()
    connection.send_ping(b"p")
    connection.send_go_away(b"r" * 2000)
    assert sent_by(connection) == [
        WireFrame(0, 2, 0, 13, PING, b"p"),
        WireFrame(0, 2, 0, 13, GO_AWAY, item({b"reason": b"r" * 1024}, canonical=False)),
    ]
    assert receive(connection, said(PONG, b"p")) == [PongReceived(payload=b"p")]
    # What was on its way is still read.
    assert receive(connection, request(1) + said(CANCEL, request_id=1)) == [
        received(1),
        RequestCancelled(request_id=1),
    ]
    with pytest.raises(LocalProtocolError, match="a ping of 65 bytes: it has at most 64"):
        connection.send_ping(b"p" * 65)


def test_a_client_goes_away() -> None:
    content = item({b"reason": b"done", b"other": 1}, canonical=False)
    assert events_of(said(GO_AWAY, content)) == [GoAwayReceived(reason=b"done")]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (said(0), "session frame with flags 0, which have no meaning"),
        (said(6), "session frame with flags 6, which have no meaning"),
        (said(15), "session frame with flags 15, which have no meaning"),
        (said(HELLO, HELLO_CONTENT), "session frame hello has no place here"),
        (said(PING, request_id=1), "session frame ping with request id 1, not 0"),
        (said(PING, b"p" * 65), "session frame ping with a payload of 65 bytes, over 64"),
        (said(PONG, b"p" * 65), "session frame pong with a payload of 65 bytes, over 64"),
        (said(CANCEL, b"x"), "session frame cancel with a payload of 1 bytes, over 0"),
        (
            said(GO_AWAY, b"x" * 4097),
            "session frame goaway with a payload of 4097 bytes, over 4096",
        ),
        (said(GO_AWAY, b"\xa0"), "session frame goaway without a reason"),
        (said(GO_AWAY, b"\x01"), "session frame goaway without a reason"),
        (
            said(GO_AWAY, b"\xff"),
            "error decoding CBOR from session frame goaway: break outside of an indefinite item",
        ),
    ],
)
def test_other_session_frames_are_refused(wrong: bytes, text: str) -> None:
    assert events_of(wrong) == [failed(text, malformed=True)]


# --- a server's frames, at a client --------------------------------------------------------------


def asked() -> ClientConnection:
    """Return a client's connection that waits for hello, and for the answer to request 1."""
    connection = ClientConnection(offers_session=True)
    connection.send_command(b"command", {})
    connection.data_to_send()
    return connection


def greeted() -> ClientConnection:
    connection = asked()
    assert receive(connection, told(HELLO, HELLO_CONTENT)) == [
        SessionStarted(content_encodings=(b"zstd-8mb", b"zlib", b"identity"), running_commands=8)
    ]
    return connection


def test_a_client_offers_a_session_in_front_of_its_first_request() -> None:
    connection = ClientConnection(offers_session=True)
    connection.send_command(b"command", {})
    connection.send_command(b"command", {})
    assert sent_by(connection) == [
        WireFrame(1, 1, BEGIN, 8, 2, b"\xa2ElinesD\r\n\r\nGsession\x01"),
        WireFrame(1, 1, 0, 1, 1, FIRST),
        WireFrame(3, 1, 0, 1, 1, FIRST),
    ]
    both = ClientConnection(offers_session=True, content_encodings=[b"zlib"])
    both.send_command(b"command", {})
    settings = {b"session": 1, b"contentencodings": [b"zlib"], b"lines": b"\r\n\r\n"}
    content = item(settings, canonical=False)
    assert sent_by(both)[0] == WireFrame(1, 1, BEGIN, 8, 2, content)


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005"])
def test_older_dialects_have_no_sessions(dialect: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"dialect {dialect} has no sessions"):
        ClientConnection(DIALECTS[dialect], offers_session=True)


def test_a_session_begins_with_hello() -> None:
    connection = asked()
    assert not connection.has_session
    assert not connection.cancel(1)
    with pytest.raises(LocalProtocolError, match="a ping needs a session"):
        connection.send_ping(b"")
    with pytest.raises(LocalProtocolError, match="a goaway needs a session"):
        connection.send_go_away(b"")
    assert sent_by(connection) == []
    content = item(
        {b"version": 1, b"contentencodings": [b"zlib", b"zstd-8mb"], b"x": 1}, canonical=False
    )
    events = feed_every_way(asked, told(HELLO, content), told(PONG))
    assert events == [SessionStarted(content_encodings=(b"zlib", b"zstd-8mb"))]


def test_a_cancelled_request_is_active_until_its_last_frame() -> None:
    connection = greeted()
    assert connection.cancel(1)
    assert connection.active == {1}
    assert sent_by(connection) == [WireFrame(1, 1, 0, 13, CANCEL, b"")]
    assert receive(connection, frame(5, 0, CANCELLED, stream_id=2)) == [
        RequestFailed(request_id=1, kind=b"command", message=b"the call was cancelled")
    ]
    assert connection.active == frozenset()
    assert not connection.cancel(1)
    assert sent_by(connection) == []


def test_the_data_of_a_cancelled_request_ends_behind_the_cancel() -> None:
    connection = greeted()
    number = connection.send_command(b"command", {}, has_data=True)
    connection.send_data(number, b"some")
    connection.data_to_send()
    assert connection.cancel(number)
    assert sent_by(connection) == [
        WireFrame(number, 1, 0, 13, CANCEL, b""),
        WireFrame(number, 1, 0, 2, 2, b""),
    ]
    with pytest.raises(LocalProtocolError, match=f"request {number} does not send data"):
        connection.send_data(number, b"more")


def test_data_that_goes_on_behind_the_answer_is_ended_without_a_cancel() -> None:
    connection = greeted()
    number = connection.send_command(b"command", {}, has_data=True)
    connection.data_to_send()
    receive(connection, frame(3, 2, request_id=number, stream_id=2))
    assert not connection.cancel(number)
    assert sent_by(connection) == [WireFrame(number, 1, 0, 2, 2, b"")]


def test_a_client_answers_pings_and_sends_its_own() -> None:
    connection = greeted()
    assert receive(connection, told(PING, b"a")) == []
    connection.send_ping(b"b")
    assert sent_by(connection) == [
        WireFrame(0, 1, 0, 13, PONG, b"a"),
        WireFrame(0, 1, 0, 13, PING, b"b"),
    ]
    assert receive(connection, told(PONG, b"b")) == [PongReceived(payload=b"b")]


@pytest.mark.parametrize("who", ["server", "client"])
def test_behind_a_goaway_of_either_side_there_is_no_further_request(who: str) -> None:
    connection = greeted()
    if who == "server":
        content = item({b"reason": b"stopping"}, canonical=False)
        assert receive(connection, told(GO_AWAY, content)) == [GoAwayReceived(reason=b"stopping")]
    else:
        connection.send_go_away(b"done")
        content = item({b"reason": b"done"}, canonical=False)
        assert sent_by(connection) == [WireFrame(0, 1, 0, 13, GO_AWAY, content)]
    with pytest.raises(LocalProtocolError, match="the connection is going away"):
        connection.send_command(b"command", {})
    assert connection.cancel(1)


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (told(PING), "session frame ping has no place here"),
        (told(HELLO, HELLO_CONTENT) * 2, "session frame hello has no place here"),
        (
            told(HELLO, HELLO_CONTENT) + told(CANCEL, request_id=1),
            "session frame cancel has no place here",
        ),
        (
            told(HELLO, item({b"version": 2, b"contentencodings": []}, canonical=False)),
            "session frame hello without version 1 and contentencodings",
        ),
        (
            told(HELLO, item({b"version": 1, b"contentencodings": [1]}, canonical=False)),
            "session frame hello without version 1 and contentencodings",
        ),
        (
            frame(
                13, HELLO, HELLO_CONTENT, request_id=0, stream_id=2, stream_flags=BEGIN | ENCODED
            ),
            "session frame hello is content encoded",
        ),
    ],
)
def test_other_session_frames_of_a_server_are_refused(frames: bytes, text: str) -> None:
    assert receive(asked(), frames)[-1] == failed(text, malformed=True)


def test_without_an_offer_a_client_knows_no_session_frames() -> None:
    connection = ClientConnection()
    connection.send_command(b"command", {})
    text = "received frame for inactive request ID: 0"
    assert receive(connection, told(HELLO, HELLO_CONTENT)) == [failed(text)]


# --- both against each other ---------------------------------------------------------------------

_ACTS: Final = (
    "call",
    "upload",
    "data",
    "end",
    "cancel",
    "ping",
    "answer",
    "object",
    "server ping",
)


class Talk:
    """A client and a server, whose bytes are cut anywhere, and what each knows of requests."""

    def __init__(self, cuts: list[int], profiles: tuple[bytes, ...]) -> None:
        self.client = ClientConnection(offers_session=True, content_encodings=profiles)
        self.server = server("0006", half_duplex=False)
        self.cuts = cycle(cuts)
        self.sent: list[int] = []
        self.uploading: list[int] = []
        self.waiting: list[int] = []
        """Requests that the server's caller knows and has not answered."""
        self.ended: list[int] = []

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = next(self.cuts)
            yield data[:size]
            data = data[size:]

    def carry(self) -> None:
        for piece in self.pieces(joined(self.client.data_to_send())):
            for event in receive(self.server, piece):
                self.at_server(event)
        for piece in self.pieces(joined(self.server.data_to_send())):
            for event in receive(self.client, piece):
                self.at_client(event)

    def at_server(self, event: Event) -> None:
        assert not isinstance(event, ConnectionFailed)
        if isinstance(event, RequestReceived):
            self.waiting.append(event.request_id)
        elif isinstance(event, RequestCancelled):
            self.waiting.remove(event.request_id)
            self.server.send_cancelled(event.request_id)

    def at_client(self, event: Event) -> None:
        assert not isinstance(event, ConnectionFailed)
        if isinstance(event, RequestFailed) or (
            isinstance(event, ResponseDataReceived) and event.end
        ):
            self.ended.append(event.request_id)

    def client_does(self, act: str, number: int) -> None:
        client = self.client
        if act in {"call", "upload"}:
            request_id = client.send_command(b"command", {}, has_data=act == "upload")
            self.sent.append(request_id)
            self.uploading += [request_id] if act == "upload" else []
        elif act in {"data", "end"} and self.uploading:
            request_id = self.uploading[number % len(self.uploading)]
            client.send_data(request_id, b"d" * number, end=act == "end")
            if act == "end":
                self.uploading.remove(request_id)
        elif act == "cancel" and self.sent and client.has_session:
            request_id = self.sent[number % len(self.sent)]
            client.cancel(request_id)
            self.uploading = [one for one in self.uploading if one != request_id]
        elif act == "ping" and client.has_session:
            client.send_ping(b"p" * number)

    def server_does(self, act: str, number: int) -> None:
        if act == "server ping" and self.server.has_session:
            self.server.send_ping(b"p" * number)
        elif act == "object" and self.waiting:
            chosen = self.waiting[number % len(self.waiting)]
            self.server.send_object(chosen, b"o" * (number * 20_000))
        elif act == "answer" and self.waiting:
            self.server.end_response(self.waiting.pop(number % len(self.waiting)))


@given(
    st.lists(st.tuples(st.sampled_from(_ACTS), st.integers(0, 5)), max_size=60),
    st.lists(st.integers(1, 40).map(lambda size: size**3), min_size=1, max_size=20),
    st.sampled_from([(), (b"zlib",), (b"zstd-8mb",)]),
)
def test_whatever_is_cancelled_both_sides_agree_in_the_end(
    acts: list[tuple[str, int]], cuts: list[int], profiles: tuple[bytes, ...]
) -> None:
    talk = Talk(cuts, profiles)
    for act, number in acts:
        talk.client_does(act, number)
        talk.server_does(act, number)
        talk.carry()
    for _ in range(len(talk.uploading)):
        talk.client_does("end", 0)
    talk.carry()
    for _ in range(len(talk.waiting)):
        talk.server_does("answer", 0)
    talk.carry()
    assert sorted(talk.ended) == talk.sent
    assert talk.client.active == frozenset()
    assert talk.client.receive_end() == []
    assert talk.server.receive_end() == []


def test_completed_events_of_others_are_not_touched_by_a_cancel() -> None:
    both = request(1, NEW | DATA) + request(3, NEW | DATA) + said(CANCEL, request_id=1)
    ends = frame(2, 2, b"a", request_id=1) + frame(2, 2, b"b", request_id=3)
    assert events_of(both, ends) == [
        received(1, has_data=True),
        received(3, has_data=True),
        RequestCancelled(request_id=1),
        DataReceived(3, b"b"),
        RequestCompleted(request_id=3),
    ]


def test_a_large_cancelled_upload_leaves_nothing_held() -> None:
    connection = in_session()
    content = b"\xa2Dargs\xa1AaY\x27\x10" + b"x" * 10_000 + b"DnameGcommand"
    receive(connection, frame(1, NEW | DATA, content, request_id=5))
    receive(connection, said(CANCEL, request_id=5))
    connection.send_cancelled(5)
    receive(connection, frame(2, 1, b"d" * 30_000, request_id=5))
    assert connection.held_input == (0, 0)
    receive(connection, frame(2, 2, request_id=5))
    assert connection.held_input == (0, 0)
    assert not connection.is_receiving
