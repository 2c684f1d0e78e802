"""What the answers of all eras have in common, errors above all: framing 6 and 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.answering import (
    BYTES_ERAS,
    CONTINUATION,
    EOS,
    OK,
    SLICE,
    bytes_of,
    frames_of,
    objects,
    shapes,
    waiting,
)
from support.feeding import joined
from support.peers import (
    BEGIN,
    ENCODED,
    WireFrame,
    item,
    parse_frames,
)

from wiredaemon.protocol.responses import LONGEST_MESSAGE
from wiredaemon.wire.values import IndefiniteBytes, RawBytes, UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wiredaemon.protocol import ServerConnection
    from wiredaemon.wire.values import Value

SETTINGS: Final = b"\x09\x00\x00\x01\x00\x02\x01\x92Hidentity"
"""framing 11."""
OK_FRAME: Final = b"\x0b\x00\x00\x01\x00\x02\x041\xa1FstatusBok"
END_FRAME: Final = b"\x00\x00\x00\x01\x00\x02\x002"
"""framing 6.3, step 5: header `00 00 00 <req> 02 00 32`."""


def command_error(connection: ServerConnection) -> None:
    connection.send_error(1, b"no %s: 100%%", [b"node"])


def server_error(connection: ServerConnection) -> None:
    connection.send_server_error(1, b"boom")


@pytest.mark.parametrize("dialect", BYTES_ERAS)
def test_errors_are_text_in_a_frame_up_to_0004(dialect: str) -> None:
    # framing 7; docs/decisions.md: a failing command costs its own request only
    assert bytes_of(dialect, command_error) == b"\x0d\x00\x00\x01\x00\x02\x01\x52no node: 100%"
    assert bytes_of(dialect, server_error) == b"\x04\x00\x00\x01\x00\x02\x01\x52boom"


@pytest.mark.parametrize("dialect", BYTES_ERAS)
def test_an_error_after_data_up_to_0004_ends_the_response_and_drops_what_was_held(
    dialect: str,
) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, RawBytes(bytes(40000)))
        connection.send_error(1, b"boom")

    frames = frames_of(dialect, act)
    assert shapes(frames) == [(CONTINUATION, SLICE), (2, 4)]
    assert frames[1] == WireFrame(1, 2, 0, 5, 2, b"boom")


def test_a_command_error_of_0005_is_a_status_map() -> None:
    # framing 6.2; keys are canonical
    payload = b"\xa2Eerror\xa2Dargs\x81DnodeGmessageLno %s: 100%%FstatusEerror"
    assert frames_of("0005", command_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]


def test_a_server_error_of_0005_is_a_status_map_too() -> None:
    # docs/decisions.md, "A failing command"; from 0005 on it is the error status map
    payload = b"\xa2Eerror\xa1GmessageDboomFstatusEerror"
    assert frames_of("0005", server_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]
    frames = frames_of("0005", lambda connection: connection.send_server_error(1, b"100% %s"))
    assert frames[0].payload == b"\xa2Eerror\xa1GmessageI100%% %%sFstatusEerror"


@pytest.mark.parametrize("kind", [b"command", b"server"])
def test_an_error_of_0005_after_data_is_an_error_frame(kind: bytes) -> None:
    # framing 7, wire example of 4.6: `type` then `message`
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"held")
        if kind == b"command":
            connection.send_error(1, b"%s", [b"boom"])
        else:
            connection.send_server_error(1, b"boom")

    type_item = item(kind, canonical=True)
    assert frames_of("0005", act) == [
        WireFrame(1, 2, BEGIN, 3, CONTINUATION, OK),
        WireFrame(1, 2, 0, 5, 0, b"\xa2Dtype" + type_item + b"Gmessage\x81\xa1CmsgDboom"),
    ]


def test_a_command_error_of_0006_is_a_status_map_without_settings() -> None:
    # framing 6.3, "Errors"; keys are bytewise
    payload = b"\xa2Eerror\xa2Dargs\x81DnodeGmessageLno %s: 100%%FstatusEerror"
    assert frames_of("0006", command_error) == [WireFrame(1, 2, BEGIN, 3, EOS, payload)]


def test_another_error_of_0006_is_an_error_frame() -> None:
    # framing 7, wire example (observed)
    payload = b"\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    assert frames_of("0006", server_error) == [WireFrame(1, 2, BEGIN, 5, 0, payload)]


def test_a_command_error_after_objects_of_0006_is_an_error_frame_and_drops_what_was_held() -> None:
    # sessions 4
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    assert bytes_of("0006", act) == (
        SETTINGS
        + OK_FRAME
        + b"\x21\x00\x00\x01\x00\x02\x00\x50\xa2Gmessage\x81\xa1CmsgDboomDtypeGcommand"
    )


def test_another_error_after_objects_of_0006_is_an_error_frame_and_no_end() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"dropped")
        connection.send_server_error(1, b"boom")

    assert bytes_of("0006", act) == (
        SETTINGS
        + OK_FRAME
        + b"\x20\x00\x00\x01\x00\x02\x00\x50\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    )


def test_objects_that_were_sent_before_an_error_stay_sent() -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, bytes(32767))
        connection.send_object(1, b"dropped")
        connection.send_error(1, b"boom")

    assert shapes(frames_of("0006", act))[1:] == [
        (CONTINUATION, 11),
        (CONTINUATION, 3),
        (CONTINUATION, 32767),
        (0, 33),
    ]


def test_an_error_frame_ends_an_object_of_which_a_part_was_sent() -> None:
    def act(connection: ServerConnection) -> None:
        for _ in range(4):
            connection.send_object(1, bytes(10000))
        connection.send_error(1, b"boom")

    frames = frames_of("0006", act)
    assert shapes(frames)[1:] == [(CONTINUATION, 11), (CONTINUATION, 30012), (0, 33)]
    assert [one.type_number for one in frames[1:]] == [3, 3, 5]


def test_an_object_that_fails_inside_is_followed_by_an_error_frame() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise EOFError

    def act(connection: ServerConnection) -> None:
        with pytest.raises(EOFError):
            connection.send_object(1, IndefiniteBytes(chunks()))
        connection.send_error(1, b"%s", [b"boom"])

    payload = b"\xa2Gmessage\x81\xa1CmsgDboomDtypeGcommand"
    assert frames_of("0006", act)[2:] == [WireFrame(1, 2, 0, 5, 0, payload)]


@pytest.mark.parametrize("failing", [command_error, server_error])
def test_the_settings_are_sent_later_without_begin_if_the_first_command_failed(
    failing: Callable[[ServerConnection], None],
) -> None:
    # framing 6.3, the paragraph behind "Errors"
    def act(connection: ServerConnection) -> None:
        failing(connection)
        connection.send_result(3, 1)

    frames = frames_of("0006", act)
    assert frames[0].stream_flags == BEGIN
    assert frames[1:] == [
        WireFrame(3, 2, 0, 9, EOS, b"Hidentity"),
        WireFrame(3, 2, ENCODED, 3, CONTINUATION, OK),
        WireFrame(3, 2, ENCODED, 3, CONTINUATION, b"\x01"),
        WireFrame(3, 2, 0, 3, EOS, b""),
    ]


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005", "0006"])
def test_an_error_text_is_cut_so_that_it_fits_one_frame(dialect: str) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_error(1, b"%s%%", [b"x" * 100_000])
        connection.send_server_error(3, b"%" * 100_000)

    frames = frames_of(dialect, act)
    assert len(frames) == 2
    for one in frames:
        assert LONGEST_MESSAGE // 2 <= len(one.payload) <= 2 * LONGEST_MESSAGE + 100 <= SLICE


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
@pytest.mark.parametrize("value", [1.5, [object()], {1: 2}])
def test_a_value_without_a_form_leaves_no_trace_before_the_first_object(
    dialect: str, value: Value
) -> None:
    connection = waiting(dialect, half_duplex=False)
    with pytest.raises(UnencodableError):
        connection.send_object(1, value)
    with pytest.raises(UnencodableError):
        connection.send_result(1, value)
    assert connection.data_to_send() == []
    connection.send_error(1, b"boom")
    frames = parse_frames(joined(connection.data_to_send()))
    expected = frames_of(dialect, lambda connection: connection.send_error(1, b"boom"))
    assert frames == expected


@pytest.mark.parametrize("dialect", ["0004", "0005", "0006"])
def test_a_value_without_a_form_between_objects_leaves_them_whole(dialect: str) -> None:
    def act(connection: ServerConnection) -> None:
        connection.send_object(1, b"one")
        with pytest.raises(UnencodableError):
            connection.send_object(1, [b"part", object()])  # type: ignore[list-item]
        connection.send_object(1, b"two")
        connection.end_response(1)

    assert frames_of(dialect, act) == frames_of(dialect, objects(b"one", b"two"))
