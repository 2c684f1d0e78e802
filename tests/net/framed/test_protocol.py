"""The protocol of raw connections in memory: dialects, order, back-pressure, every way to end."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.logs import observed, texts_of
from support.raw import PEER, Raw, RawTransport, protocol_error, result
from support.responding import make_command
from support.serving import write_certificate
from support.web import FakeHost, dummy_commands
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from wiredaemon.commands import Argument, ArgumentType, TextForm
from wiredaemon.net.repeated_lines import MOST_ALIKE, WINDOW_SECONDS
from wiredaemon.net.tls import over_tls, server_options
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from twisted.logger import LogEvent

    from wiredaemon.commands import Command

DIALECT_NAMES: Final = ("0002", "0003", "0004", "0005", "0006")
every_dialect = pytest.mark.parametrize("dialect", DIALECT_NAMES)
KIB: Final = 1024
OBJECT: Final = bytes(32 * KIB)
TEXT: Final = TextForm(result=lambda value: value)


def plain(_: Any) -> bytes:
    return b"plain"


PLAIN: Final = make_command(plain, text=TEXT)


class Gates:
    """A command that waits until the test lets it go on, and what became of its calls."""

    def __init__(self) -> None:
        self.waits: list[Deferred[bytes]] = []
        self.cancelled: list[int] = []

    @property
    def command(self) -> Command:
        async def gated(_: Any) -> bytes:
            number = len(self.waits)
            self.waits.append(Deferred())
            try:
                return await self.waits[number]
            except CancelledError:
                self.cancelled.append(number)
                raise

        return make_command(gated, text=TEXT)

    def open(self, number: int) -> None:
        self.waits[number].callback(b"gate %d" % number)


# --- the first byte -------------------------------------------------------------------------------


def test_nothing_is_made_for_a_connection_before_its_first_byte() -> None:
    raw = Raw("0003", PLAIN)
    assert not raw.has_producer()
    request = raw.request(1, "plain")
    raw.receive(request[:1])
    assert raw.has_producer()
    assert raw.wire == b""
    raw.receive(request[1:])
    assert raw.contents(1) == [result("0003", b"plain")]
    assert raw.clock.getDelayedCalls() == []


@pytest.mark.parametrize("listener", DIALECT_NAMES)
@pytest.mark.parametrize("chosen", DIALECT_NAMES)
def test_the_dialect_is_the_one_that_alpn_chose_before_the_first_byte(
    listener: str, chosen: str
) -> None:
    raw = Raw(listener, PLAIN, is_tls=True)
    raw.transport.negotiatedProtocol = f"application/mercurial-exp-framing-{chosen}".encode()
    raw.dialect = chosen
    raw.ask(1, "plain")
    assert raw.contents(1) == [result(chosen, b"plain")]


@every_dialect
@pytest.mark.parametrize("chosen", [None, b"", b"http/1.1", b"0003"])
def test_without_a_known_choice_the_dialect_is_the_listeners(
    dialect: str, chosen: bytes | None
) -> None:
    raw = Raw(dialect, PLAIN, is_tls=True)
    raw.transport.negotiatedProtocol = chosen
    raw.ask(1, "plain")
    assert raw.contents(1) == [result(dialect, b"plain")]


@every_dialect
def test_alpn_is_offered_every_dialect_the_listeners_own_first(dialect: str) -> None:
    offered = Raw(dialect).factory.media_types
    assert offered[0] == DIALECTS[dialect].media_type
    assert sorted(offered) == [DIALECTS[name].media_type for name in DIALECT_NAMES]


def test_a_connection_that_ends_before_its_first_byte_is_closed() -> None:
    raw = Raw("0006", PLAIN)
    raw.end()
    assert raw.wire == b""
    assert raw.transport.is_closed()
    raw.lose()


def test_a_connection_that_is_lost_before_its_first_byte_is_forgotten() -> None:
    raw = Raw("0006", PLAIN)
    raw.lose()
    assert raw.wire == b""
    assert raw.clock.getDelayedCalls() == []


# --- answers --------------------------------------------------------------------------------------

# Two requests of one read. Source: framing, sections 6.1 to 6.3, 11 and 13
# (the contents are the seeds').
ANSWERS: Final = {
    "0002": (
        b"\x1d\x00\x00\x01\x00\x02\x01\x42customreadonly bytes response"
        b"\x1e\x00\x00\x03\x00\x02\x01\x42customreadwrite bytes response"
    ),
    "0003": (
        b"\x1d\x00\x00\x01\x00\x02\x01\x42customreadonly bytes response"
        b"\x1e\x00\x00\x03\x00\x02\x00\x42customreadwrite bytes response"
    ),
    "0004": (
        b"\x1f\x00\x00\x01\x00\x02\x01\x42X\x1dcustomreadonly bytes response"
        b"\x20\x00\x00\x03\x00\x02\x00\x42X\x1ecustomreadwrite bytes response"
    ),
    "0005": (
        b"\x2a\x00\x00\x01\x00\x02\x01\x32\xa1FstatusBokX\x1dcustomreadonly bytes response"
        b"\x2b\x00\x00\x03\x00\x02\x00\x32\xa1FstatusBokX\x1ecustomreadwrite bytes response"
    ),
    "0006": (
        b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"
        b"\x0b\x00\x00\x01\x00\x02\x04\x31\xa1FstatusBok"
        b"\x1f\x00\x00\x01\x00\x02\x04\x31X\x1dcustomreadonly bytes response"
        b"\x00\x00\x00\x01\x00\x02\x00\x32"
        b"\x0b\x00\x00\x03\x00\x02\x04\x31\xa1FstatusBok"
        b"\x20\x00\x00\x03\x00\x02\x04\x31X\x1ecustomreadwrite bytes response"
        b"\x00\x00\x00\x03\x00\x02\x00\x32"
    ),
}


@every_dialect
def test_requests_are_answered_in_each_dialect_however_they_are_cut(dialect: str) -> None:
    whole = Raw(dialect, *dummy_commands())
    requests = whole.request(1, "customreadonly") + whole.request(3, "customreadwrite")
    whole.receive(requests)
    assert whole.wire == ANSWERS[dialect]
    single = Raw(dialect, *dummy_commands())
    for byte in requests:
        single.receive(bytes([byte]))
    assert single.wire == ANSWERS[dialect]
    behind = Raw(dialect, *dummy_commands())
    behind.receive(requests, behind.request(5, "customreadonly")[:-1])
    assert behind.wire == ANSWERS[dialect]


def test_settings_that_come_first_choose_the_content_encoding() -> None:
    raw = Raw("0006", PLAIN)
    raw.receive(*peers.settings_frames(b"zlib"), raw.request(1, "plain"))
    assert raw.wire.startswith(b"\x05\x00\x00\x01\x00\x02\x01\x92Dzlib")
    assert raw.contents(1) == [result("0006", b"plain")]


@every_dialect
def test_requests_in_flight_are_answered_as_their_commands_finish(dialect: str) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, PLAIN)
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"))
    raw.receive(raw.request(5, "plain"), raw.request(7, "gated"))
    gates.open(2)
    gates.open(0)
    gates.open(1)
    assert raw.order == [5, 7, 1, 3]
    assert raw.contents(5, 7, 1, 3) == [
        result(dialect, content) for content in (b"plain", b"gate 2", b"gate 0", b"gate 1")
    ]
    assert raw.transport.is_open()


@every_dialect
def test_an_id_is_free_again_once_its_answer_has_left(dialect: str) -> None:
    raw = Raw(dialect, PLAIN)
    for _ in range(3):
        raw.ask(1, "plain")
        assert raw.wire.count(b"plain") == 1
        raw.transport.clear()  # type: ignore[no-untyped-call]
    assert raw.transport.is_open()


@every_dialect
def test_an_id_that_is_used_again_before_its_answer_could_be_seen_is_an_error(
    dialect: str,
) -> None:
    raw = Raw(dialect, PLAIN)
    raw.receive(raw.request(1, "plain"), raw.request(1, "plain"))
    *_, error = peers.parse_frames(raw.wire)
    assert error.payload == protocol_error(dialect, b"request with ID 1 is already active")
    assert raw.wire.count(b"plain") == 1
    assert raw.transport.is_half_closed()


# --- back-pressure: output ------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
@pytest.mark.parametrize("is_async", [False, True], ids=["generator", "async"])
def test_a_paused_transport_pauses_generators_until_it_goes_on(
    dialect: str, *, is_async: bool
) -> None:
    produced: list[int] = []

    def objects(_: Any) -> Iterator[bytes]:
        for number in range(100):
            produced.append(number)
            yield OBJECT

    async def objects_async(_: Any) -> AsyncIterator[bytes]:
        for number in range(100):
            produced.append(number)
            yield OBJECT

    command = make_command(objects_async if is_async else objects)
    raw = Raw(dialect, command, PLAIN)
    raw.ask(1, command.name)
    raw.pause()
    raw.clock.advance(0)
    before, size = len(produced), len(raw.wire)
    assert 0 < before < 100
    raw.clock.advance(60)
    assert (len(produced), len(raw.wire)) == (before, size)
    raw.resume()
    raw.clock.advance(0)
    assert len(produced) == 100
    assert raw.contents(1) == [result(dialect, *[OBJECT] * 100)]


def test_a_paused_transport_starts_no_further_command_and_then_reads_no_more() -> None:
    raw = Raw("0006", PLAIN)
    raw.ask(1, "plain")
    raw.pause()
    raw.receive(raw.request(3, "plain"), raw.request(5, "plain"))
    assert raw.order == [1]
    assert raw.transport.is_paused()
    raw.resume()
    assert raw.order == [1, 3, 5]
    assert not raw.transport.is_paused()


# --- back-pressure: input -------------------------------------------------------------------------


def test_data_that_its_command_does_not_take_pauses_the_transport() -> None:
    gate: Deferred[None] = Deferred()

    async def sizes(context: Any) -> bytes:
        await gate
        return b"%d" % len(await context.data.read())

    raw = Raw("0006", make_command(sizes, has_data=True), limits=Limits(buffered_data=64 * KIB))
    pieces = peers.data_frames("0006", 1, bytes(160 * KIB))
    raw.receive(peers.request_frames("0006", 1, b"sizes", data=b"")[0])
    sent = 0
    while not raw.transport.is_paused():
        raw.receive(pieces[sent])
        sent += 1
    assert sent == 3
    assert raw.wire == b""
    gate.callback(None)
    assert not raw.transport.is_paused()
    raw.receive(*pieces[sent:])
    assert raw.contents(1) == [result("0006", b"%d" % (160 * KIB))]


@every_dialect
@pytest.mark.parametrize("number", [99, 100, 101, 250, 1000])
def test_of_any_number_of_requests_in_one_read_none_is_lost(dialect: str, number: int) -> None:
    raw = Raw(dialect, PLAIN)
    ids = range(1, 2 * number, 2)
    raw.receive(*(raw.request(request_id, "plain") for request_id in ids))
    assert raw.order == list(ids)
    assert raw.contents(*ids) == [result(dialect, b"plain")] * number
    assert not raw.transport.is_paused()
    assert raw.transport.is_open()


@every_dialect
@pytest.mark.parametrize("data", [b"", b"data"], ids=["empty", "some"])
def test_of_any_number_of_requests_with_data_in_one_read_none_is_lost(
    dialect: str, data: bytes
) -> None:
    raw = Raw(dialect, PLAIN)
    ids = range(1, 300, 2)
    raw.receive(*(raw.request(request_id, "plain", data) for request_id in ids))
    assert raw.order == list(ids)
    assert raw.contents(*ids) == [result(dialect, b"plain")] * len(ids)
    assert raw.transport.is_open()


@every_dialect
def test_of_any_number_of_requests_in_several_frames_in_one_read_none_is_lost(
    dialect: str,
) -> None:
    def sized(_: Any, text: bytes, other: bytes) -> bytes:
        return b"%d" % len(text + other)

    argument = Argument(type=ArgumentType.BYTES)
    command = make_command(sized, text=TEXT, arguments={"text": argument, "other": argument})
    raw = Raw(dialect, command)
    arguments: dict[bytes, object] = {b"text": bytes(60), b"other": bytes(60)}
    ids = range(1, 300, 2)
    frames = [
        frame
        for request_id in ids
        for frame in peers.request_frames(dialect, request_id, b"sized", arguments, cut=50)
    ]
    raw.receive(*frames)
    assert raw.order == list(ids)
    assert raw.contents(*ids) == [result(dialect, b"120")] * len(ids)
    assert raw.transport.is_open()


@every_dialect
@pytest.mark.parametrize("ends", [False, True], ids=["open", "ended"])
def test_more_requests_than_may_wait_are_answered_a_few_at_a_time(
    dialect: str, *, ends: bool
) -> None:
    gates = Gates()
    limits = Limits(concurrent_requests=6, running_commands=2)
    raw = Raw(dialect, gates.command, limits=limits)
    ids = list(range(1, 60, 2))
    raw.receive(*(raw.request(request_id, "gated") for request_id in ids))
    if ends:
        raw.end()
    for number, request_id in enumerate(ids):
        assert len(gates.waits) == min(number + 2, len(ids))
        waiting_inside = len(ids) - number > 6
        assert raw.transport.is_paused() is waiting_inside
        assert raw.transport.is_open()
        gates.open(number)
        assert raw.order[-1] == request_id
    assert raw.order == ids
    assert raw.contents(*ids) == [
        result(dialect, b"gate %d" % number) for number in range(len(ids))
    ]
    assert raw.transport.is_closed() is ends
    assert not raw.transport.is_aborted()


@every_dialect
def test_requests_that_wait_inside_go_on_behind_those_answered_out_of_order(dialect: str) -> None:
    gates = Gates()
    limits = Limits(concurrent_requests=2, running_commands=2)
    raw = Raw(dialect, gates.command, PLAIN, limits=limits)
    raw.receive(*(raw.request(number, "gated") for number in (1, 3)))
    raw.receive(*(raw.request(number, "plain") for number in (5, 7, 9)))
    assert raw.transport.is_paused()
    gates.open(1)
    assert raw.order == [3, 5, 7, 9]
    assert not raw.transport.is_paused()
    gates.open(0)
    assert raw.order == [3, 5, 7, 9, 1]


@every_dialect
def test_a_cut_frame_behind_requests_that_wait_inside_goes_on_with_the_next_read(
    dialect: str,
) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, PLAIN, limits=Limits(concurrent_requests=1))
    last = raw.request(7, "plain")
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"), raw.request(5, "plain"), last[:9])
    gates.open(0)
    gates.open(1)
    assert raw.order == [1, 3, 5]
    raw.receive(last[9:])
    assert raw.order == [1, 3, 5, 7]


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
def test_a_connection_lost_with_requests_waiting_inside_runs_none_of_them(dialect: str) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, limits=Limits(concurrent_requests=2, running_commands=1))
    raw.receive(*(raw.request(number, "gated") for number in range(1, 20, 2)))
    raw.lose()
    assert gates.cancelled == [0]
    assert len(gates.waits) == 1
    assert raw.wire == b""


# --- broken input ---------------------------------------------------------------------------------

EXPECTED: Final = dict.fromkeys(("0003", "0004", "0005", "0006"), b"expected command request frame")
EXPECTED["0002"] = b"expected command frame"


def broken(request_id: int = 9) -> bytes:
    """A frame that is wrong in every dialect once a request has come."""
    return peers.frame(15, 0, request_id=request_id)


@every_dialect
@pytest.mark.parametrize("is_together", [True, False], ids=["one read", "two reads"])
def test_broken_input_is_answered_behind_the_requests_in_front_of_it(
    dialect: str, logged: list[LogEvent], *, is_together: bool
) -> None:
    raw = Raw(dialect, PLAIN)
    requests = raw.request(1, "plain") + raw.request(3, "plain")
    if is_together:
        raw.receive(requests + broken())
    else:
        raw.receive(requests)
        raw.receive(broken())
    assert raw.order == [1, 3, 9]
    assert raw.contents(1, 3) == [result(dialect, b"plain")] * 2
    text = EXPECTED[dialect] + b"; got 15"
    assert raw.answers[9] == peers.Answer(b"", (), protocol_error(dialect, text))
    (last,) = [one for one in peers.parse_frames(raw.wire) if one.request_id == 9]
    assert last.type_number == 5
    assert last.flags == (1 if dialect in {"0002", "0003", "0004"} else 0)
    (event,) = [event for event in logged if "error" in event]
    assert (event["peer"], event["error"]) == ("10.0.0.1:99", text.decode())


SETTINGS_OR_REQUEST: Final = b"expected sender protocol settings or command request frame; got 15"


@every_dialect
def test_broken_input_is_answered_where_nothing_is_in_front_of_it(dialect: str) -> None:
    raw = Raw(dialect, PLAIN)
    raw.receive(broken())
    text = SETTINGS_OR_REQUEST if dialect == "0006" else EXPECTED[dialect] + b"; got 15"
    assert raw.answers == {9: peers.Answer(b"", (), protocol_error(dialect, text))}
    assert raw.transport.is_half_closed()


@every_dialect
@pytest.mark.parametrize(
    ("frame", "request_id", "text"),
    [
        (
            peers.frame(1, 1, b"x", stream_id=2, request_id=5),
            5,
            b"received frame with even numbered stream ID: 2",
        ),
        (b"\xff\xff\xff\x05\x00\x01\x01\x11", 0, None),
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", 0, None),
    ],
    ids=["stream", "payload", "http"],
)
def test_what_is_no_framing_at_all_is_answered_with_an_error_frame(
    dialect: str, frame: bytes, request_id: int, text: bytes | None
) -> None:
    raw = Raw(dialect, PLAIN)
    raw.receive(raw.request(1, "plain"), frame)
    assert raw.order == [1, request_id]
    error = raw.answers[request_id].error
    if text is not None:
        assert error == protocol_error(dialect, text)
    else:
        assert error is not None
        assert b"(frame_payload)" in error
    assert raw.transport.is_half_closed()


@every_dialect
def test_broken_input_cancels_what_still_runs(dialect: str) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, PLAIN)
    raw.receive(raw.request(1, "gated"), raw.request(3, "plain"), broken())
    assert raw.order == [3, 9]
    assert gates.cancelled == [0]
    assert raw.transport.is_half_closed()


@every_dialect
def test_broken_input_behind_more_requests_than_may_wait_comes_behind_their_answers(
    dialect: str,
) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, limits=Limits(concurrent_requests=1))
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"), broken())
    assert raw.transport.is_open()
    gates.open(0)
    gates.open(1)
    assert raw.order == [1, 3, 9]
    assert raw.contents(1, 3) == [result(dialect, b"gate 0"), result(dialect, b"gate 1")]
    assert raw.transport.is_half_closed()


def failed(limits: Limits | None = None, *, is_tcp: bool = True) -> Raw:
    """A connection whose input was broken, and that has been told so."""
    raw = Raw("0006", PLAIN, limits=limits, is_tcp=is_tcp)
    raw.receive(broken())
    return raw


def test_behind_broken_input_our_side_is_closed_and_what_comes_is_dropped() -> None:
    raw = failed()
    before = raw.wire
    assert raw.transport.is_half_closed()
    assert not raw.has_producer()
    assert not raw.transport.is_paused()
    raw.protocol.writeConnectionLost()
    raw.receive(raw.request(1, "plain"))
    raw.receive(broken())
    assert raw.wire == before
    assert not raw.transport.is_closed()


def test_behind_broken_input_a_paused_transport_reads_on() -> None:
    gates = Gates()
    raw = Raw("0006", gates.command, limits=Limits(concurrent_requests=1))
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"), broken())
    assert raw.transport.is_paused()
    gates.open(0)
    gates.open(1)
    assert not raw.transport.is_paused()


def test_the_peer_closes_behind_broken_input_and_nothing_is_left() -> None:
    raw = failed()
    raw.protocol.writeConnectionLost()
    raw.end()
    assert raw.transport.is_closed()
    assert not raw.transport.is_aborted()
    raw.lose()
    assert raw.clock.getDelayedCalls() == []


def test_behind_broken_input_no_more_than_drained_body_is_read() -> None:
    raw = failed(Limits(drained_body=1000))
    raw.protocol.writeConnectionLost()
    raw.receive(bytes(600))
    raw.receive(bytes(400))
    assert not raw.transport.is_aborted()
    raw.receive(bytes(1))
    assert raw.transport.is_aborted()
    raw.lose()
    assert raw.clock.getDelayedCalls() == []


def test_behind_broken_input_a_peer_that_stays_is_dropped_after_drain_seconds() -> None:
    raw = failed(Limits(drain_seconds=3))
    raw.clock.advance(10)
    assert not raw.transport.is_aborted(), "the transport may still be sending"
    raw.protocol.writeConnectionLost()
    raw.clock.advance(2)
    raw.receive(bytes(10))
    raw.clock.advance(0.9)
    assert not raw.transport.is_aborted()
    raw.clock.advance(0.2)
    assert raw.transport.is_aborted()


def test_a_transport_that_cannot_be_half_closed_is_closed() -> None:
    raw = failed(is_tcp=False)
    assert not raw.transport.is_half_closed()
    assert raw.transport.is_closed()
    assert raw.answers[9].error == protocol_error("0006", SETTINGS_OR_REQUEST)


def test_broken_input_behind_which_the_peer_has_closed_ends_the_connection() -> None:
    gates = Gates()
    raw = Raw("0006", gates.command, limits=Limits(concurrent_requests=1))
    raw.receive(raw.request(1, "gated"), raw.request(3, "gated"), broken())
    raw.end()
    gates.open(0)
    gates.open(1)
    assert raw.order == [1, 3, 9]
    assert raw.transport.is_closed()
    assert not raw.transport.is_aborted()


# --- the peer closes its side ---------------------------------------------------------------------


@every_dialect
def test_a_peer_that_closes_its_side_is_answered_and_then_closed(dialect: str) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, PLAIN)
    raw.receive(raw.request(1, "gated"), raw.request(3, "plain"), raw.request(5, "gated"))
    raw.end()
    assert raw.transport.is_open()
    gates.open(1)
    assert raw.transport.is_open()
    gates.open(0)
    assert raw.order == [3, 5, 1]
    assert raw.contents(1, 3, 5) == [
        result(dialect, content) for content in (b"gate 0", b"plain", b"gate 1")
    ]
    assert raw.transport.is_closed()
    assert not raw.transport.is_aborted()
    raw.lose()
    assert raw.clock.getDelayedCalls() == []


@every_dialect
def test_a_peer_that_closes_its_side_when_all_is_answered_is_closed(dialect: str) -> None:
    raw = Raw(dialect, PLAIN)
    raw.ask(1, "plain")
    raw.end()
    assert raw.transport.is_closed()
    assert raw.contents(1) == [result(dialect, b"plain")]


def test_a_peer_that_closes_its_side_and_reads_slowly_is_still_sent_all() -> None:
    def objects(_: Any) -> Iterator[bytes]:
        for _number in range(40):
            yield OBJECT

    raw = Raw("0006", make_command(objects))
    raw.ask(1, "objects")
    raw.pause()
    raw.end()
    raw.clock.advance(0)
    assert raw.transport.is_open()
    raw.resume()
    raw.clock.advance(0)
    assert raw.contents(1) == [result("0006", *[OBJECT] * 40)]
    assert raw.transport.is_closed()


@every_dialect
def test_a_request_that_is_cut_off_between_frames_is_answered_behind_the_others(
    dialect: str,
) -> None:
    raw = Raw(dialect, PLAIN)
    (*whole, _last) = peers.request_frames(dialect, 3, b"plain", data=bytes(70 * KIB))
    raw.receive(*whole, raw.request(1, "plain"))
    raw.end()
    assert raw.order == [1, 3]
    assert raw.contents(1) == [result(dialect, b"plain")]
    reason = b"input ended before the command data of request 3"
    assert reason in (raw.answers[3].error or raw.answers[3].content)
    assert raw.transport.is_closed()


@every_dialect
@pytest.mark.parametrize("cut", [1, 7, 8, 9], ids=lambda cut: f"{cut} bytes")
def test_a_frame_that_is_cut_off_is_answered_with_an_error_frame(dialect: str, cut: int) -> None:
    raw = Raw(dialect, PLAIN)
    raw.receive(raw.request(1, "plain"), raw.request(3, "plain")[:cut])
    raw.end()
    assert raw.order == [1, 0]
    assert raw.contents(1) == [result(dialect, b"plain")]
    assert raw.answers[0].error is not None
    assert raw.transport.is_closed()


# --- the connection is lost -----------------------------------------------------------------------


@every_dialect
def test_a_lost_connection_cancels_its_commands_and_nothing_is_sent_any_more(
    dialect: str,
) -> None:
    gates = Gates()
    raw = Raw(dialect, gates.command, PLAIN)
    raw.receive(*(raw.request(number, "gated") for number in range(1, 40, 2)))
    before = raw.wire
    raw.lose()
    assert gates.cancelled == list(range(8))
    assert len(gates.waits) == 8
    assert raw.wire == before == b""
    assert raw.clock.getDelayedCalls() == []


@every_dialect
def test_a_lost_connection_closes_generators(dialect: str) -> None:
    closed: list[str] = []

    def endless(_: Any) -> Iterator[bytes]:
        try:
            while True:
                yield OBJECT
        finally:
            closed.append("closed")

    raw = Raw(dialect, make_command(endless))
    raw.ask(1, "endless")
    if dialect == "0002":
        return  # has one result, which endless objects never become
    raw.pause()
    assert closed == []
    raw.lose()
    assert closed == ["closed"]
    size = len(raw.wire)
    raw.clock.advance(0)  # the turn that it had waited for
    assert len(raw.wire) == size
    assert raw.clock.getDelayedCalls() == []


@every_dialect
def test_each_connection_of_a_listener_is_by_itself(dialect: str) -> None:
    gates = Gates()
    host = FakeHost([gates.command, PLAIN])
    first, second = Raw(dialect, host=host), Raw(dialect, host=host)
    first.ask(1, "gated")
    second.ask(1, "gated")
    first.receive(broken())
    gates.open(1)
    assert gates.cancelled == [0]
    assert second.contents(1) == [result(dialect, b"gate 1")]
    assert second.transport.is_open()


# --- TLS ------------------------------------------------------------------------------------------


class RawTls:
    """A connection over TLS in memory: the peer is Python's own ssl module."""

    def __init__(self, certificate: Path, *commands: Command, limits: Limits | None = None) -> None:
        self.raw = Raw("0006", *commands, limits=limits)
        options = server_options(certificate / "cert.pem", certificate / "key.pem")
        secure: Any = over_tls(self.raw.factory, options)
        secure._clock = self.raw.clock
        self.transport = RawTransport(is_tcp=True, is_tls=False, is_unix=False)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=certificate / "ca.pem")
        self.peer = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._protocol = secure.buildProtocol(PEER)
        self._protocol.makeConnection(self.transport)
        with suppress(ssl.SSLWantReadError):
            self.peer.do_handshake()
        self.move()
        self.peer.do_handshake()
        self.move()

    def move(self) -> None:
        """Let all that was sent arrive."""
        for _ in range(4):
            data = self._outgoing.read()
            if data:
                self._protocol.dataReceived(data)
            self.raw.clock.advance(0)
            self._incoming.write(self.transport.value())  # type: ignore[no-untyped-call]
            self.transport.clear()  # type: ignore[no-untyped-call]

    def send(self, data: bytes) -> None:
        self.peer.write(data)
        self.move()

    def lose(self) -> None:
        self._protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


def test_over_tls_broken_input_is_answered_and_our_side_closed(certificate: Path) -> None:
    tls = RawTls(certificate, PLAIN)
    tls.send(tls.raw.request(1, "plain") + broken())
    answers = peers.read_answers("0006", peers.parse_frames(tls.peer.read(65536)))
    assert answers[1].content == result("0006", b"plain")
    assert answers[9].error == protocol_error("0006", b"expected command request frame; got 15")
    assert tls.peer.read(1) == b""
    assert not tls.transport.is_half_closed(), "TLS is closed by TLS"
    assert not tls.transport.is_closed()
    with suppress(ssl.SSLWantReadError):
        tls.peer.unwrap()
    tls.move()
    assert tls.transport.is_closed()
    tls.lose()
    assert tls.raw.clock.getDelayedCalls() == []


def test_over_tls_no_more_than_drained_body_is_read_behind_broken_input(certificate: Path) -> None:
    tls = RawTls(certificate, PLAIN, limits=Limits(drained_body=1000))
    tls.send(broken())
    tls.send(bytes(1000))
    assert not tls.transport.is_aborted()
    tls.send(bytes(1))
    assert tls.transport.is_aborted()
    tls.lose()
    assert tls.raw.clock.getDelayedCalls() == []


def test_over_tls_a_peer_that_stays_behind_broken_input_is_dropped_after_drain_seconds(
    certificate: Path,
) -> None:
    tls = RawTls(certificate, PLAIN, limits=Limits(drain_seconds=3))
    tls.send(broken())
    tls.raw.clock.advance(2.9)
    assert not tls.transport.is_aborted()
    tls.raw.clock.advance(0.2)
    assert tls.transport.is_aborted()


def test_over_tls_a_peer_that_leaves_cancels_its_commands(certificate: Path) -> None:
    gates = Gates()
    tls = RawTls(certificate, gates.command)
    tls.send(tls.raw.request(1, "gated"))
    with suppress(ssl.SSLWantReadError):
        tls.peer.unwrap()
    tls.move()
    assert tls.transport.is_closed()
    tls.lose()
    assert gates.cancelled == [0]


def test_connections_that_fail_alike_are_counted_in_the_log() -> None:
    first = Raw("0006", PLAIN)
    with observed("wiredaemon.net") as events:
        for _ in range(20):
            Raw(factory=first.factory).receive(b"GET / HTTP/1.1\r\n\r\n")
        # The guard counts them, for all connections.
        first.guard_clock.advance(WINDOW_SECONDS)
    texts = texts_of(events)
    assert len([text for text in texts if text.startswith("connection of ")]) == MOST_ALIKE
    said = [text for text in texts if text.startswith("connections failed: ")]
    assert [line.startswith("connections failed: repeated 15 times: ") for line in said] == [True]
