"""Response frames of each dialect, errors, text and progress: framing 6.1, 6.2 and 7 to 9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.feeding import ALL, MAPS, failed, feed_every_way, receive
from support.peers import BEGIN, NUMBERS, frame, item

from wiredaemon.protocol import (
    ClientConnection,
    Event,
    ProgressReceived,
    RequestFailed,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTINUATION, EOS, CBOR = 1, 2, 4
PROTOCOL, APPLICATION = 1, 2
TEXT_ERRORS: Final = ("0002", "0003", "0004")
MAP_ERRORS: Final = ("0005", "0006")


def client(dialect: str, limits: Limits | None = None) -> ClientConnection:
    """Return a connection that waits for the answers to requests 1 and 3."""
    connection = ClientConnection(DIALECTS[dialect], limits=limits or Limits())
    assert [connection.send_command(b"command", {}) for _ in range(2)] == [1, 3]
    connection.data_to_send()
    return connection


def events_of(dialect: str, *frames: bytes, limits: Limits | None = None) -> list[Event]:
    following = answer(dialect, CONTINUATION, b"following", request_id=3)
    return feed_every_way(lambda: client(dialect, limits), b"".join(frames), following)


def answer(dialect: str, flags: int, payload: bytes = b"data", **fields: int) -> bytes:
    number = NUMBERS[dialect]["response"]
    return frame(number, flags, payload, **{"stream_id": 2, **fields})


def said(number: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(number, flags, payload, stream_id=2)


def got(
    data: bytes = b"data", *, request_id: int = 1, end: bool = False, is_cbor: bool = True
) -> ResponseDataReceived:
    return ResponseDataReceived(request_id=request_id, data=data, end=end, is_cbor=is_cbor)


# --- responses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_responses_have_the_frame_type_of_their_dialect(dialect: str) -> None:
    is_cbor = dialect not in {"0002", "0003"}
    frames = [answer(dialect, CONTINUATION, b"one"), answer(dialect, EOS, b"two")]
    assert events_of(dialect, *frames) == [
        got(b"one", is_cbor=is_cbor),
        got(b"two", end=True, is_cbor=is_cbor),
    ]
    other = {3: 4, 4: 3}[NUMBERS[dialect]["response"]]
    assert events_of(dialect, said(other, b"")) == [failed(f"unhandled frame type: {other}")]


def test_the_responses_of_the_seed_are_read() -> None:
    # framing 2: length 29, request 1, stream 2, begun, byte 42: type 4, flags 2
    data = b"\x1d\x00\x00\x01\x00\x02\x01B" + bytes(29)
    assert events_of("0003", data) == [got(bytes(29), end=True, is_cbor=False)]
    # framing 6.1: "last single frame: flags 6, byte 0x46"
    assert events_of("0003", b"\x01\x00\x00\x01\x00\x02\x01F\x01") == [got(b"\x01", end=True)]


def test_in_0003_each_frame_says_whether_it_is_cbor() -> None:
    frames = [answer("0003", CONTINUATION | CBOR), answer("0003", EOS)]
    assert events_of("0003", *frames) == [got(), got(end=True, is_cbor=False)]


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "0003"])
def test_elsewhere_the_cbor_flag_means_nothing(dialect: str) -> None:
    # framing 3: unknown bits are ignored, also in the frame flags
    for flags in (EOS, EOS | CBOR):
        expected = got(end=True, is_cbor=dialect != "0002")
        assert events_of(dialect, answer(dialect, flags)) == [expected]


def test_in_0002_each_response_begins_its_stream_again() -> None:
    # framing 13
    frames = [answer("0002", EOS, stream_flags=BEGIN), answer("0002", EOS, request_id=3)]
    connection = client("0002")
    assert receive(connection, b"".join(frames)) == [
        got(end=True, is_cbor=False),
        got(request_id=3, end=True, is_cbor=False),
    ]
    assert connection.active == frozenset()
    assert connection.receive_end() == []


def test_the_flags_of_a_generator_response_of_0005_are_read() -> None:
    # framing 6.2: a first data frame without flags, and 3 at the end of a response without data
    ok = b"\xa1FstatusBok"
    frames = [
        answer("0005", CONTINUATION, ok),
        answer("0005", 0, b"\x01"),
        answer("0005", EOS, b""),
    ]
    assert events_of("0005", *frames) == [got(ok), got(b"\x01"), got(b"", end=True)]
    frames = [answer("0005", CONTINUATION, ok), answer("0005", CONTINUATION | EOS, b"")]
    assert events_of("0005", *frames) == [got(ok), got(b"", end=True)]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", TEXT_ERRORS)
@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (PROTOCOL, b"protocol"),
        (APPLICATION, b"application"),
        (PROTOCOL | APPLICATION, b"protocol"),
        (0, b"application"),
    ],
)
def test_up_to_0004_an_error_is_text(dialect: str, flags: int, kind: bytes) -> None:
    # framing 7: "`protocol` and/or `application`", "raw bytes"
    text = b"no %s \xff\n"
    assert events_of(dialect, said(5, text, flags)) == [
        RequestFailed(request_id=1, kind=kind, message=text)
    ]


@pytest.mark.parametrize("dialect", ALL)
def test_an_error_ends_its_request_and_no_other(dialect: str) -> None:
    connection = client(dialect)
    payload = b"\xa2DtypeFserverGmessage\x81\xa1CmsgDboom" if dialect in MAP_ERRORS else b"boom"
    assert len(receive(connection, said(5, payload))) == 1
    assert connection.active == {3}
    text = "received frame for inactive request ID: 1"
    assert receive(connection, answer(dialect, EOS)) == [failed(text)]


@pytest.mark.parametrize("dialect", MAP_ERRORS)
def test_from_0005_on_an_error_is_a_map_of_type_and_atoms(dialect: str) -> None:
    # framing 7, both wire examples
    for payload in (
        b"\xa2DtypeFserverGmessage\x81\xa1CmsgDboom",
        b"\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver",
    ):
        assert events_of(dialect, said(5, payload)) == [
            RequestFailed(request_id=1, kind=b"server", message=b"boom")
        ]


# --- text and progress ---------------------------------------------------------------------------


def test_the_text_of_0002_is_binary_atoms() -> None:
    # framing 8: u16 size of the format, number of labels, number of arguments, their sizes
    atoms = b"\x05\x00\x01\x01\x01\x03\x00%s!%%Llil" + b"\x01\x00\x00\x00\n"
    assert events_of("0002", said(6, atoms)) == [TextOutputReceived(request_id=1, text=b"lil!%\n")]
    assert events_of("0002", said(6, b"")) == [TextOutputReceived(request_id=1, text=b"")]


@pytest.mark.parametrize(
    "cut", [b"\x01", b"\x05\x00\x00", b"\x01\x00\x01\x00", b"\xff\xff\x00\x00a"]
)
def test_cut_atoms_fail_the_connection(cut: bytes) -> None:
    text = "text-output frame ends inside an atom"
    assert events_of("0002", said(6, cut)) == [failed(text, malformed=True)]


def test_many_empty_atoms_are_no_burden() -> None:
    limits = Limits(frame_payload=1 << 20)
    payload = bytes(1 << 20)
    assert receive(client("0002", limits), said(6, payload)) == [
        TextOutputReceived(request_id=1, text=b"")
    ]


@pytest.mark.parametrize("dialect", MAPS)
def test_later_text_is_cbor_atoms(dialect: str) -> None:
    payload = item([{b"msg": b"%s", b"args": [b"hello"]}, {b"msg": b"\n"}], canonical=True)
    assert events_of(dialect, said(6, payload)) == [
        TextOutputReceived(request_id=1, text=b"hello\n")
    ]
    text = "error decoding CBOR from text-output frame: the CBOR item is missing"
    assert events_of(dialect, said(6, b"")) == [failed(text, malformed=True)]


@pytest.mark.parametrize("dialect", MAPS)
def test_progress_is_a_map(dialect: str) -> None:
    payload = item({b"topic": b"files", b"pos": 3, b"total": 9}, canonical=True)
    assert events_of(dialect, said(7, payload)) == [
        ProgressReceived(request_id=1, topic=b"files", position=3, total=9)
    ]


def test_0002_has_no_progress() -> None:
    payload = item({b"topic": b"files", b"pos": 3}, canonical=True)
    assert events_of("0002", said(7, payload)) == [failed("unhandled frame type: 7")]


@pytest.mark.parametrize("dialect", MAPS)
def test_messages_have_the_limits_of_cbor(dialect: str) -> None:
    nested: Sequence[object] = []
    for _ in range(4):
        nested = [nested]
    payload = item(nested, canonical=True)
    text = (
        "error decoding CBOR from text-output frame: containers inside each other exceed the "
        "limit of 4 (cbor_depth)"
    )
    limits = Limits(cbor_depth=4)
    assert events_of(dialect, said(6, payload), limits=limits) == [failed(text, malformed=True)]
