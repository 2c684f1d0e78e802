"""The calls of a connection, with frames written from the specification and slow callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.responding import ensure_deferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.client.call import Call
from wiredaemon.client.calls import ClientCalls
from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectionLostError,
    NotOfferedError,
    SilentError,
)
from wiredaemon.client.options import ClientOptions
from wiredaemon.client.requests import Request
from wiredaemon.client.twisted_runtime import TwistedRuntime
from wiredaemon.commands import CommandError, RawBytes, ServerError
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.protocol import ProgressReceived

CONTINUATION, EOS = 1, 2


class Wire:
    """Remembers what the calls of a connection do."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.did: list[str] = []
        self.is_connected = True

    def write(self, parts: Sequence[bytes]) -> None:
        self.sent += b"".join(parts)

    def take(self) -> bytes:
        sent = bytes(self.sent)
        self.sent.clear()
        return sent

    def pause_input(self) -> None:
        self.did.append("pause")

    def resume_input(self) -> None:
        self.did.append("resume")

    def abort(self) -> None:
        self.did.append("abort")


class Watching:
    """Remembers what a command says beside its result."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.progress: list[ProgressReceived] = []

    def receive_text(self, text: bytes) -> None:
        self.text.append(text)

    def receive_progress(self, progress: ProgressReceived) -> None:
        self.progress.append(progress)


class Talk:
    """The calls of one connection, their transport and their clock."""

    def __init__(self, dialect: str = "0006", *, is_shared: bool = False, **options: Any) -> None:
        self.dialect = dialect
        self.wire = Wire()
        self.clock = Clock()
        self.runtime = TwistedRuntime(self.clock)
        self.calls = ClientCalls(
            self.wire,
            DIALECTS[dialect],
            ClientOptions(**options),
            self.runtime,
            is_shared=is_shared,
        )

    def start(
        self, command: bytes = b"heads", observer: Watching | None = None, data: Data | None = None
    ) -> Call:
        call = Call(self.runtime, observer)
        self.calls.start(call, Request(command, {}, data))
        self.clock.advance(0)
        return call

    def answer(
        self, *values: object, request_id: int = 1, end: bool = False, begin: bool = False
    ) -> None:
        """Receive a frame with these objects."""
        items = [{b"status": b"ok"}, *values] if begin else values
        content = b"".join(peers.item(value, canonical=False) for value in items)
        self.frame(3, EOS if end else CONTINUATION, content, request_id=request_id)

    def frame(self, kind: int, flags: int, content: bytes, *, request_id: int = 1) -> None:
        self.calls.receive_data(
            peers.frame(kind, flags, content, request_id=request_id, stream_id=2)
        )


def item(value: object) -> bytes:
    return peers.item(value, canonical=False)


async def collect(call: Call) -> list[object]:
    return [value async for value in call]


# --- requests and their answers ------------------------------------------------------------------


@ensure_deferred
async def test_a_call_sends_its_request_and_gives_the_objects_of_its_response() -> None:
    talk = Talk()
    call = talk.start()
    assert talk.wire.take() == b"".join(peers.request_frames("0006", 1, b"heads"))
    talk.answer(1, b"two", begin=True)
    talk.answer([3], end=True)
    assert await collect(call) == [1, b"two", [3]]


@ensure_deferred
async def test_calls_side_by_side_get_their_own_answers() -> None:
    talk = Talk()
    one, other = talk.start(), talk.start()
    talk.answer(b"other", request_id=3, begin=True, end=True)
    talk.answer(b"one", request_id=1, begin=True, end=True)
    assert await one.result() == b"one"
    assert await other.result() == b"other"


@ensure_deferred
async def test_raw_bytes_of_older_dialects_stay_raw() -> None:
    talk = Talk("0002")
    call = talk.start()
    assert talk.wire.take() == b"".join(peers.request_frames("0002", 1, b"heads"))
    talk.frame(4, EOS, b"0000\n")
    assert await call.result() == RawBytes(b"0000\n")


@pytest.mark.parametrize(
    ("dialect", "kind", "flags", "content", "expected"),
    [
        (
            "0006",
            3,
            EOS,
            item({b"status": b"error", b"error": {b"message": b"no %s", b"args": [b"way"]}}),
            CommandError(b"no %s", [b"way"]),
        ),
        (
            "0006",
            5,
            0,
            item({b"type": b"server", b"message": [{b"msg": b"broken at 5%"}]}),
            ServerError(b"broken at 5%"),
        ),
        (
            "0006",
            5,
            0,
            item({b"type": b"command", b"message": [{b"msg": b"%s", b"args": [b"50%"]}]}),
            CommandError(b"50%%"),
        ),
        (
            "0006",
            5,
            0,
            item({b"type": b"protocol", b"message": [{b"msg": b"what?"}]}),
            BrokenProtocolError("the server refused what was sent: what?"),
        ),
        (
            "0006",
            3,
            EOS,
            item({b"status": b"redirect", b"location": {b"url": b"x"}}),
            NotOfferedError("the server redirects elsewhere, which this client does not follow"),
        ),
        ("0003", 5, 2, b"100% wrong", CommandError(b"100%% wrong")),
        ("0003", 5, 1, b"what?", BrokenProtocolError("the server refused what was sent: what?")),
    ],
)
@ensure_deferred
async def test_a_failure_of_the_command_is_raised_as_what_it_is(
    dialect: str, kind: int, flags: int, content: bytes, expected: Exception
) -> None:
    talk = Talk(dialect)
    call, other = talk.start(), talk.start()
    talk.frame(kind, flags, content)
    with pytest.raises(type(expected)) as raised:
        await collect(call)
    assert str(raised.value) == str(expected)
    assert not other.is_over


@ensure_deferred
async def test_text_and_progress_are_asked_for_and_reach_the_observer() -> None:
    talk, watching = Talk(), Watching()
    talk.start(observer=watching)
    request = item({b"name": b"heads", b"accepts": [b"text-output", b"progress"]})
    assert talk.wire.take() == b"".join(peers.map_frames("0006", 1, request))
    talk.frame(6, 0, item([{b"msg": b"%s files\n", b"args": [b"3"]}]))
    talk.frame(7, 0, item({b"topic": b"files", b"pos": 2, b"total": 3}))
    assert watching.text == [b"3 files\n"]
    assert [(one.topic, one.position, one.total) for one in watching.progress] == [(b"files", 2, 3)]


@pytest.mark.parametrize("values", [(7,), (7, 8)])
@ensure_deferred
async def test_all_may_be_closed_in_the_turn_in_which_the_last_object_comes(
    values: tuple[int, ...],
) -> None:
    talk = Talk()
    call = talk.start()

    async def close_at_once() -> object:
        value = await anext(call)
        talk.calls.fail(ConnectionLostError("the connection was closed"))
        return value

    closing = Deferred.fromCoroutine(close_at_once())
    talk.answer(*values, begin=True, end=True)
    assert await closing == 7
    assert talk.calls.is_idle


def test_a_dialect_without_a_request_map_is_asked_for_nothing_more() -> None:
    talk = Talk("0002")
    talk.start(observer=Watching())
    assert talk.wire.take() == b"".join(peers.request_frames("0002", 1, b"heads"))


def test_text_that_nobody_watches_is_dropped() -> None:
    talk = Talk()
    call = talk.start()
    talk.frame(6, 0, item([{b"msg": b"hello"}]))
    talk.frame(7, 0, item({b"topic": b"files", b"pos": 2}))
    assert not call.is_over


def test_what_has_no_form_on_the_wire_is_refused_and_other_calls_go_on() -> None:
    talk = Talk()
    with pytest.raises(ClientError, match="the request cannot be sent: a value of type float"):
        # The wrong type is the subject of this test.
        talk.calls.start(Call(talk.runtime), Request(b"a", {b"b": 1.5}))  # type: ignore[dict-item]
    talk.start()
    assert talk.wire.take() == b"".join(peers.request_frames("0006", 1, b"heads"))


def test_encodings_that_a_dialect_does_not_have_are_refused() -> None:
    with pytest.raises(NotOfferedError, match="dialect 0003 has no content encodings"):
        Talk("0003", content_encodings=[b"zlib"])


# --- back-pressure -------------------------------------------------------------------------------


@ensure_deferred
async def test_reading_is_paused_while_objects_wait_to_be_taken() -> None:
    talk = Talk()
    iterator = aiter(talk.start())
    first = Deferred.fromCoroutine(anext(iterator))
    talk.answer(1, 2, 3, begin=True)
    assert await first == 1
    assert talk.wire.did == ["pause"]
    assert await anext(iterator) == 2
    assert talk.wire.did == ["pause"]
    assert await anext(iterator) == 3
    assert talk.wire.did == ["pause", "resume"]


@ensure_deferred
async def test_reading_is_not_paused_for_a_caller_that_takes_everything() -> None:
    talk = Talk()
    collecting = Deferred.fromCoroutine(collect(talk.start()))
    talk.answer(begin=True)
    for number in range(100):
        talk.answer(number)
    talk.answer(end=True)
    assert await collecting == list(range(100))
    assert talk.wire.did == []


@ensure_deferred
async def test_what_comes_while_paused_is_not_decoded_before_it_is_asked_for() -> None:
    talk = Talk()
    call = talk.start()
    talk.answer(1, begin=True)
    talk.frame(3, EOS, b"\xff")  # no CBOR; a transport may deliver what it had read already
    assert (talk.wire.did, call.is_over) == (["pause"], False)
    assert await anext(aiter(call)) == 1
    assert call.is_over
    with pytest.raises(BrokenProtocolError, match="error decoding CBOR"):
        await anext(aiter(call))


@ensure_deferred
async def test_a_caller_may_wait_for_one_call_while_objects_of_another_wait() -> None:
    talk = Talk()
    one, other = talk.start(), talk.start()
    talk.answer(1, 2, begin=True)
    assert talk.wire.did == ["pause"]
    waiting = Deferred.fromCoroutine(other.result())
    assert talk.wire.did == ["pause", "resume"]
    talk.answer(3, end=True)
    talk.answer(b"other", request_id=3, begin=True, end=True)
    assert await waiting == b"other"
    assert talk.wire.did == ["pause", "resume", "pause"]
    assert await collect(one) == [1, 2, 3]
    assert talk.wire.did == ["pause", "resume", "pause", "resume"]


@ensure_deferred
async def test_what_waits_meanwhile_is_bounded() -> None:
    talk = Talk(untaken_bytes=1000)
    one, other = talk.start(), talk.start()
    waiting = Deferred.fromCoroutine(collect(other))
    talk.answer(bytes(600), begin=True)
    talk.answer(bytes(600))
    with pytest.raises(ClientError, match="more than 1000 bytes of responses wait to be taken"):
        await waiting
    with pytest.raises(ClientError, match="more than 1000 bytes"):
        await collect(one)
    assert talk.wire.did == ["abort"]


@ensure_deferred
async def test_many_small_objects_count_for_the_memory_that_they_take() -> None:
    talk = Talk(untaken_bytes=60_000)
    talk.start()
    waiting = Deferred.fromCoroutine(collect(talk.start()))
    talk.answer(*[{}] * 1000, begin=True)
    with pytest.raises(ClientError, match="more than 60000 bytes of responses wait to be taken"):
        await waiting


@ensure_deferred
async def test_a_failure_with_an_object_behind_it_stays_a_failure() -> None:
    talk = Talk()
    waiting = Deferred.fromCoroutine(talk.start().result())
    error = {b"status": b"error", b"error": {b"message": b"no way"}}
    talk.frame(3, EOS, item(error) + item(1))
    with pytest.raises(CommandError, match=r"^no way$"):
        await waiting


@ensure_deferred
async def test_the_size_of_one_object_is_bounded() -> None:
    talk = Talk(largest_object=1000)
    collecting = Deferred.fromCoroutine(collect(talk.start()))
    talk.answer(bytes(900), bytes(900), begin=True)
    talk.frame(3, CONTINUATION, b"\x5a\x00\x01\x00\x00")
    talk.frame(3, CONTINUATION, bytes(900))
    talk.frame(3, CONTINUATION, bytes(900))
    with pytest.raises(ClientError, match="exceeds the limit of 1000 bytes"):
        await collecting
    assert talk.wire.did == ["abort"]


@ensure_deferred
async def test_a_closed_call_is_read_to_its_end_and_holds_up_nobody() -> None:
    talk = Talk(is_shared=True)
    one, other = talk.start(), talk.start()
    talk.answer(1, 2, begin=True)
    one.close()
    assert talk.wire.did == ["pause", "resume"]
    waiting = Deferred.fromCoroutine(other.result())
    talk.frame(3, CONTINUATION, b"\xff is not looked at")
    talk.answer(request_id=3, begin=True)
    talk.answer(end=True)
    talk.answer(b"other", request_id=3, end=True)
    assert await waiting == b"other"
    assert talk.wire.did == ["pause", "resume"]


# --- data ----------------------------------------------------------------------------------------


def test_data_follows_its_request_while_the_transport_takes_it() -> None:
    talk = Talk()
    talk.calls.flow_control.pause()
    talk.start(b"count", data=[b"first", b"second"])
    frames = peers.request_frames("0006", 1, b"count", data=b"")
    first = peers.frame(2, CONTINUATION, b"first")
    assert talk.wire.take() == b"".join(frames[:-1]) + first[:6] + b"\x00" + first[7:]
    talk.calls.flow_control.resume()
    talk.clock.advance(0)
    rest = peers.parse_frames(talk.wire.take())
    assert [(one.flags, one.payload) for one in rest] == [(CONTINUATION, b"second"), (EOS, b"")]


def test_data_ends_when_the_answer_comes_first() -> None:
    talk = Talk()
    ended: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await Deferred()
        finally:
            ended.append("ended")

    call = talk.start(b"count", data=endless())
    talk.wire.take()
    talk.answer(5, begin=True, end=True)
    assert (ended, call.is_over) == (["ended"], True)
    assert [one.flags for one in peers.parse_frames(talk.wire.take())] == [EOS]
    assert talk.wire.did == ["pause"]


@ensure_deferred
async def test_data_that_cannot_be_read_fails_the_calls_and_is_never_taken_for_complete() -> None:
    talk = Talk()

    def broken() -> Any:
        yield b"first"
        raise OSError(5, "Input/output error")

    call = talk.start(b"count", data=broken())
    flags = [one.flags for one in peers.parse_frames(talk.wire.take())]
    assert EOS not in flags[1:]
    assert talk.wire.did == ["abort"]
    with pytest.raises(OSError, match="Input/output error"):
        await call.result()


# --- the end -------------------------------------------------------------------------------------


@ensure_deferred
async def test_the_end_of_input_fails_what_is_not_answered() -> None:
    talk = Talk()
    one, other = talk.start(), talk.start()
    talk.answer(1, begin=True, end=True)
    talk.calls.receive_end(ConnectionLostError("closed"))
    assert await one.result() == 1
    text = "^closed: input ended before the response to request 3$"
    with pytest.raises(ConnectionLostError, match=text):
        await other.result()
    with pytest.raises(ConnectionLostError, match="the connection is gone: closed"):
        talk.start()


@ensure_deferred
async def test_what_was_received_before_the_end_is_given_first() -> None:
    talk = Talk()
    call = talk.start()
    talk.answer(1, begin=True)
    talk.answer(2)
    talk.calls.receive_end(ConnectionLostError("closed"))
    iterator = aiter(call)
    assert [await anext(iterator), await anext(iterator)] == [1, 2]
    with pytest.raises(ConnectionLostError, match="closed"):
        await anext(iterator)


@ensure_deferred
async def test_a_server_that_breaks_the_protocol_fails_everything() -> None:
    talk = Talk()
    one, other = talk.start(), talk.start()
    talk.frame(3, CONTINUATION, b"", request_id=99)
    for call in (one, other):
        with pytest.raises(BrokenProtocolError, match="frame for inactive request ID: 99"):
            await call.result()
    assert talk.wire.did == ["abort"]


@ensure_deferred
async def test_a_response_without_a_status_breaks_the_protocol() -> None:
    talk = Talk()
    call = talk.start()
    talk.answer(1)
    with pytest.raises(BrokenProtocolError, match="does not begin with a status map"):
        await call.result()


@ensure_deferred
async def test_a_silent_server_fails_the_calls_after_the_time_that_was_given() -> None:
    talk = Talk(silent_seconds=10)
    call = talk.start()
    talk.clock.advance(9)
    talk.answer(begin=True)
    talk.clock.advance(9)
    assert not call.is_over
    talk.clock.advance(1)
    with pytest.raises(SilentError, match="the server was silent for 10 s"):
        await call.result()
    assert talk.wire.did == ["abort"]
    assert talk.clock.getDelayedCalls() == []


def test_silence_is_not_the_servers_before_there_is_a_connection() -> None:
    talk = Talk(silent_seconds=10)
    talk.wire.is_connected = False
    call = talk.start()
    talk.clock.advance(100)
    assert not call.is_over
    talk.wire.is_connected = True
    talk.calls.watch()
    talk.clock.advance(9)
    assert not call.is_over
    talk.clock.advance(1)
    assert call.is_over


def test_silence_is_not_the_servers_while_nothing_is_asked_or_taken() -> None:
    talk = Talk(silent_seconds=10)
    assert talk.clock.getDelayedCalls() == []
    call = talk.start()
    talk.answer(1, begin=True)
    assert talk.clock.getDelayedCalls() == []
    talk.answer(2, end=True)
    talk.clock.advance(100)
    call.close()
    assert talk.clock.getDelayedCalls() == []
