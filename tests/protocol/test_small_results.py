"""Small results are the frames of a response that is begun, given the value and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answering import OK, waiting
from support.feeding import ALL, joined, receive, server
from support.peers import parse_frames, request_frames, settings_frames

from wiredaemon.protocol import LocalProtocolError
from wiredaemon.protocol.output import Output, OutputStreams
from wiredaemon.protocol.response_forms import RESPONSES
from wiredaemon.protocol.small_results import SMALL_RESULTS
from wiredaemon.wire.dialects import DIALECTS, ResponseForm
from wiredaemon.wire.values import (
    Encoded,
    IndefiniteBytes,
    RawBytes,
    Recorded,
    Redirect,
    UnencodableError,
)

if TYPE_CHECKING:
    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.values import Value

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 32), 1 << 32) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=9), inner),
    max_leaves=8,
)
ENCODINGS: Final = st.sampled_from([None, [b"identity"], [b"zlib"], [b"zstd-8mb"], []])


def made_both_ways(
    dialect: str, values: list[Value], offered: list[bytes] | None
) -> tuple[bytes, bytes]:
    """Return the frames of small results, and those of responses for the same values."""
    form = DIALECTS[dialect]
    outputs = Output(), Output()
    small, begun = (OutputStreams(form, output) for output in outputs)
    if offered is not None:
        small.offer(offered)
        begun.offer(offered)
    for number, value in enumerate(values):
        assert SMALL_RESULTS[form.response](number, value, small, form)
        stream = begun.acquire()
        response = RESPONSES[form.response](number, form, stream)
        response.send_object(value)
        response.end()
        begun.release(stream)
    sizes = [output.size for output in outputs]
    sent = [joined(output.take()) for output in outputs]
    assert sizes == [len(one) for one in sent]
    return sent[0], sent[1]


@given(offered=ENCODINGS, values=st.lists(VALUES, min_size=1, max_size=4))
def test_small_results_of_0006_are_the_frames_of_responses(
    offered: list[bytes] | None, values: list[Value]
) -> None:
    small, begun = made_both_ways("0006", values, offered)
    assert small == begun


@given(
    dialect=st.sampled_from(["0003", "0004"]),
    values=st.lists(VALUES, min_size=1, max_size=4)
    | st.lists(st.binary().map(RawBytes), min_size=1, max_size=4),
)
def test_small_results_of_0003_and_0004_are_the_frames_of_responses(
    dialect: str, values: list[Value]
) -> None:
    small, begun = made_both_ways(dialect, values, None)
    assert small == begun


def test_small_results_of_0002_are_the_frames_of_responses() -> None:
    small, begun = made_both_ways("0002", [RawBytes(b"one"), b"two", b""], None)
    assert small == begun


@pytest.mark.parametrize(
    ("dialect", "most"),
    [("0002", 32768), ("0003", 32768), ("0004", 32765), ("0005", 32754), ("0006", 16380)],
)
def test_a_result_is_small_up_to_a_size_of_its_dialect(dialect: str, most: int) -> None:
    form = DIALECTS[dialect]
    output = Output()
    streams = OutputStreams(form, output)
    send = SMALL_RESULTS[form.response]
    assert not send(1, RawBytes(bytes(most + 1)), streams, form)
    assert output.take() == []
    assert send(1, RawBytes(bytes(most)), streams, form)


@pytest.mark.parametrize(
    "value", [IndefiniteBytes([]), Encoded([]), Recorded(b"zlib", []), Redirect(url=b"u")]
)
def test_what_is_no_single_item_is_never_small(value: Value) -> None:
    form = DIALECTS["0006"]
    output = Output()
    assert not SMALL_RESULTS[ResponseForm.OBJECTS](1, value, OutputStreams(form, output), form)
    assert output.take() == []


@pytest.mark.parametrize("dialect", ALL)
def test_a_value_without_a_form_sends_nothing(dialect: str) -> None:
    connection = waiting(dialect, half_duplex=False)
    with pytest.raises(UnencodableError):
        connection.send_result(1, object())  # type: ignore[arg-type]
    assert connection.data_to_send() == []
    connection.send_result(1, RawBytes(b"x"))


# --- side by side with others ---------------------------------------------------------------------


def begun() -> ServerConnection:
    """Return a connection of 0006 that has answered request 1 and waits to answer 3, 5 and 7."""
    connection = server("0006", half_duplex=False)
    data = b"".join(settings_frames(b"identity"))
    data += b"".join(request_frames("0006", number, b"c")[0] for number in (1, 3, 5, 7))
    receive(connection, data)
    connection.send_result(1, b"first")
    connection.data_to_send()
    return connection


def test_a_small_result_beside_a_response_that_is_open_has_a_stream_of_its_own() -> None:
    connection = begun()
    connection.send_object(3, b"open")
    connection.send_result(5, b"beside")
    connection.end_response(3)
    connection.send_result(7, b"behind")
    frames = parse_frames(joined(connection.data_to_send()))
    assert {(one.request_id, one.stream_id) for one in frames} == {(3, 2), (5, 4), (7, 2)}
    assert [one.payload for one in frames if one.request_id == 7] == [OK, b"Fbehind", b""]


def test_a_small_result_behind_side_output_stays_on_its_stream() -> None:
    connection = begun()
    connection.send_text(3, b"wait\n")
    connection.send_result(3, b"x")
    frames = parse_frames(joined(connection.data_to_send()))
    assert [(one.stream_id, one.type_number) for one in frames] == [(2, 6), *[(2, 3)] * 3]
    with pytest.raises(LocalProtocolError):
        connection.send_result(3, b"x")
