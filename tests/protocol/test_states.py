"""Both tables of a server's connection, pair by pair, and the connection that obeys them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import failed, joined, receive, server
from support.peers import frame, parse_frames, request_frames, settings_frames

from wiredaemon.protocol import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.requests import RequestsState
from wiredaemon.protocol.states import (
    InputEvent,
    InputState,
    OutputEvent,
    OutputState,
    advance_input,
    advance_output,
    frame_event,
    refused_frame,
)
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.protocol import ServerConnection

REQUEST: Final = request_frames("0006", 1, b"command")[0]
SETTINGS: Final = settings_frames(b"identity")[0]
OTHER: Final = frame(2, 1, b"data")

FRAMES: Final = {
    InputEvent.SETTINGS_FRAME: "settings",
    InputEvent.REQUEST_FRAME: "request",
    InputEvent.OTHER_FRAME: "other",
}

# As words, one row for each state in the order of the events: server-state-machine 1.4 to 1.11.
INPUTS: Final[Mapping[str, str]] = {
    #           settings  complete  request   other     end    failure
    "INITIAL": "SETTINGS  -         REQUESTS  -         ENDED  ERRORED",
    "SETTINGS": "SETTINGS REQUESTS  -         -         ENDED  ERRORED",
    "REQUESTS": "REQUESTS -         REQUESTS  REQUESTS  ENDED  ERRORED",
    "ENDED": "-           -         -         -         -      ERRORED",
    "ERRORED": "-         -         -         -         -      ERRORED",
}
OUTPUTS: Final[Mapping[str, str]] = {
    #         released  input ended  input failed  failure sent
    "HELD": "OPEN       OPEN         ENDED         -",
    "OPEN": "OPEN       OPEN         FAILING       -",
    "FAILING": "FAILING -            FAILING       ENDED",
    "ENDED": "ENDED     -            ENDED         -",
}


@pytest.mark.parametrize("state", InputState)
@pytest.mark.parametrize(("column", "event"), list(enumerate(InputEvent)))
def test_every_pair_of_the_input_table(state: InputState, column: int, event: InputEvent) -> None:
    expected = INPUTS[state.name].split()[column]
    if expected == "-":
        with pytest.raises(LocalProtocolError, match=f"input state {state.value}"):
            advance_input(state, event)
    else:
        assert advance_input(state, event) is InputState[expected]


@pytest.mark.parametrize("state", OutputState)
@pytest.mark.parametrize(("column", "event"), list(enumerate(OutputEvent)))
def test_every_pair_of_the_output_table(
    state: OutputState, column: int, event: OutputEvent
) -> None:
    expected = OUTPUTS[state.name].split()[column]
    if expected == "-":
        with pytest.raises(LocalProtocolError, match=f"output state {state.value}"):
            advance_output(state, event)
    else:
        assert advance_output(state, event) is OutputState[expected]


def test_frames_are_three_events_to_the_table() -> None:
    assert {
        kind: frame_event(kind)
        for kind in (*FrameType, None)
        if frame_event(kind) is not InputEvent.OTHER_FRAME
    } == {
        FrameType.SENDER_PROTOCOL_SETTINGS: InputEvent.SETTINGS_FRAME,
        FrameType.COMMAND_REQUEST: InputEvent.REQUEST_FRAME,
    }


@pytest.mark.parametrize("state", InputState)
def test_a_frame_is_refused_exactly_where_the_table_has_no_place_for_it(state: InputState) -> None:
    for kind in (*FrameType, None):
        column = list(InputEvent).index(frame_event(kind))
        refused = refused_frame(state, kind, 9)
        if INPUTS[state.name].split()[column] == "-":
            assert isinstance(refused, RemoteProtocolError)
            assert not refused.malformed
        else:
            assert refused is None


# --- the connection ------------------------------------------------------------------------------


def in_input_state(state: InputState, *, half_duplex: bool) -> ServerConnection:
    """Return a connection of 0006 that has come to a state by what it received."""
    connection = server("0006", half_duplex=half_duplex)
    match state:
        case InputState.SETTINGS:
            receive(connection, frame(8, 1, b"\xa1"))
        case InputState.REQUESTS:
            receive(connection, REQUEST)
        case InputState.ENDED:
            connection.receive_end()
        case InputState.ERRORED:
            receive(connection, frame(15, 0))
        case InputState.INITIAL:
            pass
    return connection


@pytest.mark.parametrize("half_duplex", [True, False])
@pytest.mark.parametrize("state", InputState)
def test_the_input_of_a_connection_ends_and_fails_in_every_state(
    state: InputState,
    half_duplex: bool,  # noqa: FBT001 both ways
) -> None:
    connection = in_input_state(state, half_duplex=half_duplex)
    assert connection.failed == (state is InputState.ERRORED)
    connection.receive_end()
    assert receive(connection, REQUEST) == []
    assert not connection.pending
    connection.fail(RemoteProtocolError("over"))
    assert connection.failed
    assert connection.state is InputState.ERRORED


@pytest.mark.parametrize("event", FRAMES)
def test_no_frame_is_accepted_behind_the_end_of_input(event: InputEvent) -> None:
    data = {
        InputEvent.SETTINGS_FRAME: SETTINGS,
        InputEvent.REQUEST_FRAME: REQUEST,
        InputEvent.OTHER_FRAME: OTHER,
    }[event]
    connection = in_input_state(InputState.ENDED, half_duplex=False)
    assert receive(connection, data) == []
    (parsed,) = parse_frames(data)
    assert connection.receive_frame(Frame(*parsed)) == [failed("input has ended")]


def test_the_state_of_requests_shows_through() -> None:
    connection = server("0006")
    shown = [connection.state]
    for data in (frame(1, 5, REQUEST[8:12]), frame(1, 2, REQUEST[12:])):
        receive(connection, data)
        shown.append(connection.state)
    assert shown == [InputState.INITIAL, RequestsState.RECEIVING, RequestsState.IDLE]


def in_output_state(state: OutputState) -> ServerConnection:
    """Return a connection that waits to answer request 1, if it can, in a state of its output."""
    connection = server("0006", half_duplex=state in {OutputState.HELD, OutputState.ENDED})
    receive(connection, REQUEST)
    if state in {OutputState.FAILING, OutputState.ENDED}:
        receive(connection, frame(15, 0))
    return connection


def shown(connection: ServerConnection) -> OutputState:
    """Tell the state from what a caller can see."""
    if connection.output_held:
        return OutputState.HELD
    if connection.output_ended:
        return OutputState.ENDED
    return OutputState.FAILING if connection.failed else OutputState.OPEN


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (state, event)
        for state, event in product(OutputState, OutputEvent)
        if OUTPUTS[state.name].split()[list(OutputEvent).index(event)] != "-"
    ],
)
def test_the_output_of_a_connection_obeys_its_table(state: OutputState, event: OutputEvent) -> None:
    connection = in_output_state(state)
    assert shown(connection) is state
    match event:
        case OutputEvent.RELEASED:
            connection.release_output()
        case OutputEvent.INPUT_ENDED:
            connection.receive_end()
        case OutputEvent.INPUT_FAILED:
            connection.fail(RemoteProtocolError("over"))
        case OutputEvent.FAILURE_SENT:
            assert parse_frames(joined(connection.data_to_send()))[-1].type_number == 5
    expected = OUTPUTS[state.name].split()[list(OutputEvent).index(event)]
    assert shown(connection) is OutputState[expected]
