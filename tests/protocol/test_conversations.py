"""Both connections as state machines: any order of calls, small limits, and a wire in between.

A model of lists says what each side must have been told. Calls that the contract forbids come too:
they raise, and nothing that follows may differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.feeding import joined

from wiredaemon.protocol import (
    ClientConnection,
    DataReceived,
    LocalProtocolError,
    RequestCompleted,
    RequestReceived,
    ResponseDataReceived,
    ServerConnection,
    response_reader,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.protocol import ObjectReader

LIMITS: Final = Limits(concurrent_requests=3, half_open_requests=3, empty_frames=1000)
PIECES: Final = st.binary(max_size=40)
ERAS: Final = ("0004", "0005", "0006")
"""Dialects whose objects tell where one ends and the next begins."""


@dataclass
class Call:
    """A request as both sides must have seen it."""

    data: list[bytes] | None
    """What the client has sent as command data; None where it declared none."""
    sending: bool
    reader: ObjectReader
    received: bytes = b""
    complete: bool = False
    objects: list[Any] = field(default_factory=list)
    """What the server has answered so far."""
    answered: bool = False
    arrived: list[Any] = field(default_factory=list)
    ended: bool = False


class Conversation(RuleBasedStateMachine):
    """A client, a server and the bytes on their way; requests are numbered as they were begun."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[int, Call] = {}
        self.known: set[int] = set()
        """Requests that the server was told of."""
        self.to_server = b""
        self.to_client = b""

    @initialize(era=st.sampled_from(ERAS))
    def connect(self, era: str) -> None:
        self.dialect = DIALECTS[era]
        self.client = ClientConnection(self.dialect, limits=LIMITS)
        self.server = ServerConnection(self.dialect, half_duplex=False, limits=LIMITS)

    def pick(self, number: int, **state: bool) -> int | None:
        """Return one of the requests in a state, by number; None if there is none."""
        found = [
            request_id
            for request_id, call in self.calls.items()
            if all(getattr(call, name) == value for name, value in state.items())
        ]
        return found[number % len(found)] if found else None

    # --- the client's caller -----------------------------------------------------------------

    # Half-open requests are refused by the server, by a limit that other tests are for.
    @precondition(lambda self: sum(call.sending for call in self.calls.values()) < 3)
    @rule(name=st.sampled_from([b"a", b"command"]), has_data=st.booleans())
    def send_command(self, name: bytes, *, has_data: bool) -> None:
        request_id = self.client.send_command(name, {b"key": name}, has_data=has_data)
        assert request_id not in self.calls
        reader = response_reader(self.dialect, LIMITS)
        self.calls[request_id] = Call([] if has_data else None, has_data, reader)

    @rule(number=st.integers(0, 9), piece=PIECES, end=st.booleans())
    def send_data(self, number: int, piece: bytes, *, end: bool) -> None:
        request_id = self.pick(number, sending=True)
        if request_id is None:
            return
        call = self.calls[request_id]
        assert call.data is not None
        self.client.send_data(request_id, piece, end=end)
        call.data.append(piece)
        call.sending = not end

    @rule(number=st.integers(0, 9))
    def send_data_that_was_not_declared(self, number: int) -> None:
        request_id = self.pick(number, sending=False)
        if request_id is not None:
            with pytest.raises(LocalProtocolError):
                self.client.send_data(request_id, b"late")

    # --- the server's caller -----------------------------------------------------------------

    @rule(number=st.integers(0, 9), value=PIECES | st.integers(-9, 9), end=st.booleans())
    def send_object(self, number: int, value: bytes | int, *, end: bool) -> None:
        request_id = self.pick(number, complete=True, answered=False)
        if request_id is None:
            return
        call = self.calls[request_id]
        self.server.send_object(request_id, value)
        call.objects.append(value)
        if end:
            self.server.end_response(request_id)
            call.answered = True

    @rule(number=st.integers(0, 9), value=PIECES)
    def send_result(self, number: int, value: bytes) -> None:
        request_id = self.pick(number, complete=True, answered=False)
        if request_id is None or self.calls[request_id].objects:
            return
        self.server.send_result(request_id, value)
        self.calls[request_id].objects.append(value)
        self.calls[request_id].answered = True

    @rule(number=st.integers(0, 9))
    def answer_twice(self, number: int) -> None:
        request_id = self.pick(number, answered=True)
        if request_id is not None:
            with pytest.raises(LocalProtocolError):
                self.server.send_result(request_id, b"again")

    # --- the wire ----------------------------------------------------------------------------

    @rule(most=st.integers(1, 300))
    def deliver_to_server(self, most: int) -> None:
        self.to_server += joined(self.client.data_to_send())
        data, self.to_server = self.to_server[:most], self.to_server[most:]
        for event in self.server.receive_data(data):
            self.tell_server(event)

    def tell_server(self, event: object) -> None:
        match event:
            case RequestReceived(request_id=number, has_data=has_data):
                call = self.calls[number]
                assert number not in self.known
                assert has_data == (call.data is not None)
                self.known.add(number)
                call.complete = not has_data
            case DataReceived(request_id=number, data=data):
                assert not self.calls[number].complete
                self.calls[number].received += data
            case RequestCompleted(request_id=number):
                call = self.calls[number]
                assert not call.complete
                assert not call.sending
                assert call.received == b"".join(call.data or [])
                call.complete = True
            case _:
                raise AssertionError(event)

    @rule(most=st.integers(1, 300))
    def deliver_to_client(self, most: int) -> None:
        self.to_client += joined(self.server.data_to_send())
        data, self.to_client = self.to_client[:most], self.to_client[most:]
        for event in self.client.receive_data(data):
            assert isinstance(event, ResponseDataReceived)
            call = self.calls[event.request_id]
            assert not call.ended
            call.arrived += call.reader.receive_event(event)
            call.ended = event.end

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def nothing_arrives_that_was_not_sent(self) -> None:
        for call in self.calls.values():
            assert call.arrived == call.objects[: len(call.arrived)]
            assert call.answered or not call.ended
            assert b"".join(call.data or []).startswith(call.received)

    @invariant()
    def requests_beyond_the_limit_wait(self) -> None:
        waiting = [call for call in self.calls.values() if call.complete and not call.answered]
        assert len(waiting) <= LIMITS.concurrent_requests

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        # A data frame's sender may be the only one that keeps the others waiting.
        for number, call in self.calls.items():
            if call.sending:
                self.client.send_data(number, b"", end=True)
                call.sending = False
        while not all(call.ended for call in self.calls.values()):
            before = sum(call.ended for call in self.calls.values())
            self.deliver_to_server(1 << 20)
            for number, call in self.calls.items():
                if call.complete and not call.answered:
                    self.server.end_response(number)
                    call.answered = True
            self.deliver_to_client(1 << 20)
            assert sum(call.ended for call in self.calls.values()) > before or self.server.pending
        for call in self.calls.values():
            assert call.arrived == call.objects
        assert not self.client.active


TestConversation = Conversation.TestCase
