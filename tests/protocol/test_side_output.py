"""Frames beside the results; framing, sections 8 and 9."""

from __future__ import annotations

import pytest

from wiredaemon.protocol import (
    ClientConnection,
    LocalProtocolError,
    ProgressReceived,
    ResponseDataReceived,
    ServerConnection,
    TextOutputReceived,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.values import Progress

REQUEST = b"\x0b\x00\x00\x01\x00\x01\x01\x11\xa1DnameDwork"


def working(dialect: str) -> ServerConnection:
    connection = ServerConnection(DIALECTS[dialect], half_duplex=False)
    connection.receive_data(REQUEST)
    return connection


def sent(connection: ServerConnection) -> bytes:
    return b"".join(part for frame in connection.data_to_send() for part in frame)


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
def test_text_is_one_frame_of_atoms_without_what_is_empty(dialect: str) -> None:
    connection = working(dialect)
    connection.send_text(1, b"done\n")
    assert sent(connection) == b"\x0c\x00\x00\x01\x00\x02\x01\x60\x81\xa1CmsgEdone\n"


def test_arguments_and_labels_of_a_text_travel_in_its_atom() -> None:
    connection = working("0006")
    connection.send_text(1, b"%s\n", [b"x"], [b"ui.note"])
    payload = b"\x81\xa3Dargs\x81AxFlabels\x81Gui.noteCmsgC%s\n"
    assert sent(connection) == b"%c\x00\x00\x01\x00\x02\x01\x60" % len(payload) + payload


@pytest.mark.parametrize("dialect", ["0006"])
def test_progress_is_one_map_without_what_is_not_known(dialect: str) -> None:
    connection = working(dialect)
    connection.send_progress(1, Progress(topic=b"files", position=3, total=7))
    payload = b"\xa3Cpos\x03EtopicEfilesEtotal\x07"
    assert sent(connection) == b"%c\x00\x00\x01\x00\x02\x01\x70" % len(payload) + payload


def test_our_client_takes_both_between_the_objects() -> None:
    client = ClientConnection()
    client.send_command(b"work", {})
    connection = working("0006")
    connection.send_text(1, b"%s files\n", [b"2"])
    connection.send_progress(1, Progress(topic=b"files", position=-1, label=b"file", item=b"a"))
    connection.send_result(1, b"x")
    assert client.receive_data(sent(connection)) == [
        TextOutputReceived(request_id=1, text=b"2 files\n"),
        ProgressReceived(
            request_id=1, topic=b"files", position=-1, total=None, label=b"file", item=b"a"
        ),
        ResponseDataReceived(request_id=1, data=b"\xa1FstatusBok", end=False),
        ResponseDataReceived(request_id=1, data=b"Ax", end=False),
        ResponseDataReceived(request_id=1, data=b"", end=True),
    ]


def test_text_that_does_not_fit_a_frame_is_refused() -> None:
    connection = working("0006")
    with pytest.raises(LocalProtocolError, match="cannot encode data in a single frame"):
        connection.send_text(1, b"x" * SENT_PAYLOAD)
    assert sent(connection) == b""


def test_0002_has_no_such_frames_in_cbor() -> None:
    connection = ServerConnection(DIALECTS["0002"], half_duplex=False)
    connection.receive_data(b"\x04\x00\x00\x01\x00\x01\x01\x11work")
    with pytest.raises(LocalProtocolError, match="0002"):
        connection.send_text(1, b"x")
    with pytest.raises(LocalProtocolError, match="0002"):
        connection.send_progress(1, Progress(topic=b"x", position=0))


def test_nothing_is_sent_beside_a_request_that_is_answered() -> None:
    connection = working("0006")
    connection.send_result(1, b"x")
    with pytest.raises(LocalProtocolError, match="request 1 is not waiting for an answer"):
        connection.send_text(1, b"late\n")
