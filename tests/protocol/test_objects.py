from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.peers import item

from wiredaemon.protocol import (
    ObjectReader,
    RemoteProtocolError,
    ResponseDataReceived,
    ResponseError,
    ResponseReader,
    response_reader,
)
from wiredaemon.protocol.objects import NOTHING, only_object
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import RawBytes

OK = b"\xa1FstatusBok"


def reader(*, size_limit: int | None = None) -> ResponseReader:
    return ResponseReader(Limits(), size_limit=size_limit)


def test_objects_come_as_they_complete_and_the_status_is_not_among_them() -> None:
    response = reader()
    assert response.receive_data(OK[:5]) == []
    assert response.receive_data(OK[5:] + b"\x01\x82\x02") == [1]
    assert response.receive_data(b"\x03Aa") == [[2, 3], b"a"]
    response.receive_end()
    assert (response.error, response.location) == (None, None)


def test_a_response_is_read_byte_by_byte() -> None:
    response = reader()
    data = OK + item([b"a", {b"k": None}], canonical=False) + b"\x5fAaAb\xff"
    read = [one for byte in data for one in response.receive_data(bytes([byte]))]
    assert read == [[b"a", {b"k": None}], b"ab"]


def test_an_error_status_is_the_error() -> None:
    # framing 6.3
    response = reader()
    error = {b"message": b"no %s", b"args": [b"node"]}
    data = item({b"status": b"error", b"error": error}, canonical=False)
    assert response.receive_data(data) == []
    response.receive_end()
    assert response.error == ResponseError(message=b"no %s", arguments=[b"node"])


def test_an_error_status_without_arguments_has_none() -> None:
    response = reader()
    data = item({b"status": b"error", b"error": {b"message": b"no"}}, canonical=False)
    response.receive_data(data)
    assert response.error == ResponseError(message=b"no", arguments=[])


def test_a_redirect_is_the_location() -> None:
    response = reader()
    location = {b"url": b"http://localhost/", b"mediatype": b"application/mercurial-cbor"}
    data = item({b"status": b"redirect", b"location": location}, canonical=False)
    assert response.receive_data(data) == []
    assert response.location == location


@pytest.mark.parametrize(
    "status",
    [1, [], {}, {b"status": b"other"}, {b"status": b"error"}, {b"status": b"redirect"}],
)
def test_what_does_not_begin_with_a_status_is_no_response(status: object) -> None:
    with pytest.raises(RemoteProtocolError, match="does not begin with a status map"):
        reader().receive_data(item(status, canonical=False))


def test_bad_cbor_is_no_response() -> None:
    text = "error decoding CBOR from response: string major type not supported"
    with pytest.raises(RemoteProtocolError) as caught:
        reader().receive_data(OK + b"\x61a")
    assert caught.value == RemoteProtocolError(text, malformed=True)


@pytest.mark.parametrize("data", [b"", OK[:-1], OK + b"\x81"])
def test_a_response_that_ends_inside_is_incomplete(data: bytes) -> None:
    response = reader()
    response.receive_data(data)
    with pytest.raises(RemoteProtocolError, match="the response is incomplete"):
        response.receive_end()


def test_a_response_may_have_a_size_limit() -> None:
    response = reader(size_limit=len(OK) + 2)
    assert response.receive_data(OK + b"\x01\x02") == [1, 2]
    with pytest.raises(RemoteProtocolError, match="response exceeds the limit of 13 bytes"):
        response.receive_data(b"\x03")


# --- every dialect -----------------------------------------------------------------------------


def made(dialect: str, *, size_limit: int | None = None) -> ObjectReader:
    return response_reader(DIALECTS[dialect], Limits(), size_limit=size_limit)


def read(
    reader: ObjectReader, *parts: bytes, is_cbor: bool = True, end: bool = True
) -> list[list[object]]:
    """Return what each part of a response gives, the last of them its end."""
    return [
        reader.receive_event(
            ResponseDataReceived(
                request_id=1, data=part, end=end and number == len(parts), is_cbor=is_cbor
            )
        )
        for number, part in enumerate(parts, start=1)
    ]


def test_a_response_of_0002_is_one_byte_string_at_its_end() -> None:
    # framing 6.1
    assert read(made("0002"), b"raw ", b"", b"bytes", is_cbor=False) == [
        [],
        [],
        [RawBytes(b"raw bytes")],
    ]
    assert read(made("0002"), b"", is_cbor=False) == [[RawBytes(b"")]]


def test_cbor_of_0003_is_read_as_it_comes() -> None:
    # framing 6.1: each of its frames says that it is CBOR
    reader = made("0003")
    assert read(reader, b"\x01\x82\x01", end=False) == [[1]]
    assert read(reader, b"\x02Aa") == [[[1, 2], b"a"]]


def test_raw_bytes_of_0003_are_held_to_their_end() -> None:
    reader = made("0003")
    assert read(reader, b"\x82\x01", is_cbor=False, end=False) == [[]]
    assert read(reader, b"\x02Aa", is_cbor=False) == [[RawBytes(b"\x82\x01\x02Aa")]]


def test_the_last_frame_of_0003_may_say_that_what_was_held_is_cbor() -> None:
    # server-state-machine 2.5
    reader = made("0003")
    assert read(reader, b"\x82\x01", is_cbor=False, end=False) == [[]]
    assert read(reader, b"\x02Aa", is_cbor=True) == [[[1, 2], b"a"]]


def test_cbor_of_0003_does_not_go_on_as_raw_bytes() -> None:
    reader = made("0003")
    assert read(reader, b"\x01", end=False) == [[1]]
    with pytest.raises(RemoteProtocolError, match="CBOR goes on with raw bytes"):
        read(reader, b"\x02", is_cbor=False)


def test_a_response_of_0004_is_cbor_without_a_status() -> None:
    assert read(made("0004"), b"\xa1FstatusB", b"ok\x01") == [[], [{b"status": b"ok"}, 1]]
    assert read(made("0004"), b"") == [[]]


@pytest.mark.parametrize("dialect", ["0005", "0006"])
def test_from_0005_on_a_status_leads(dialect: str) -> None:
    assert read(made(dialect), OK + b"\x01\x82", b"\x02\x03") == [[1], [[2, 3]]]
    reader = made(dialect)
    error = item({b"message": b"no %s", b"args": [b"node"]}, canonical=True)
    assert read(reader, b"\xa2FstatusEerrorEerror" + error) == [[]]
    assert reader.error == ResponseError(message=b"no %s", arguments=[b"node"])


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005"])
def test_text_is_bytes_up_to_0005(dialect: str) -> None:
    # framing 5.4
    status = b"\xa1fstatusbok" if dialect == "0005" else b""
    assert read(made(dialect), status + b"\x62hi") == [[b"hi"]]


def test_text_is_refused_in_0006() -> None:
    with pytest.raises(RemoteProtocolError, match="string major type not supported"):
        read(made("0006"), b"\xa1fstatusbok")


@pytest.mark.parametrize(
    ("dialect", "data"),
    [("0003", b"\x81"), ("0004", b"\x42a"), ("0005", OK + b"\x81"), ("0006", b""), ("0005", b"")],
)
def test_a_response_that_ends_inside_is_incomplete_in_every_dialect(
    dialect: str, data: bytes
) -> None:
    with pytest.raises(RemoteProtocolError, match="the response is incomplete") as caught:
        read(made(dialect), data)
    assert caught.value.malformed


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
def test_bad_cbor_is_no_response_in_any_dialect(dialect: str) -> None:
    with pytest.raises(RemoteProtocolError, match="error decoding CBOR from response: ") as caught:
        read(made(dialect), b"\xff")
    assert caught.value.malformed


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_response_may_have_a_size_limit_in_every_dialect(dialect: str) -> None:
    data = OK if dialect in {"0005", "0006"} else b"\x4aten bytes."
    is_cbor = dialect != "0002"
    limited = made(dialect, size_limit=11)
    assert len(read(limited, data, is_cbor=is_cbor)) == 1
    with pytest.raises(RemoteProtocolError, match="response exceeds the limit of 11 bytes"):
        read(made(dialect, size_limit=11), data, b"x", is_cbor=is_cbor)


# --- in one pass -------------------------------------------------------------------------------

ITEMS = st.recursive(
    st.one_of(st.binary(max_size=300), st.integers(-300, 300), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.binary(max_size=9), inner, max_size=4)
    ),
    max_leaves=9,
)


@pytest.mark.parametrize("dialect", ["0005", "0006"])
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"@", b""),
        (b"Ax", b"x"),
        (b"W" + b"s" * 23, b"s" * 23),
        (b"X\x18" + b"l" * 24, b"l" * 24),
        (b"X\xff" + b"l" * 255, b"l" * 255),
        (b"X\x01x", b"x"),
        (b"\x81A1", [b"1"]),
        (b"\xf6", None),
    ],
)
def test_the_only_object_of_a_response_is_read_at_once(
    dialect: str, data: bytes, value: object
) -> None:
    assert only_object(OK + data, DIALECTS[dialect], Limits()) == value


@pytest.mark.parametrize(
    "data",
    [b"", OK, OK + b"AxAy", OK + b"Bx", OK + b"Axy", OK + b"X\x18", OK + b"\xff", b"\x80", b"Ax"],
)
def test_another_response_is_left_to_a_reader(data: bytes) -> None:
    assert only_object(data, DIALECTS["0006"], Limits()) is NOTHING


def test_a_response_without_a_status_is_left_to_a_reader() -> None:
    for dialect in ("0002", "0003", "0004"):
        assert only_object(OK + b"Ax", DIALECTS[dialect], Limits()) is NOTHING


@given(ITEMS, st.sampled_from([(), (0,), (-1,)]), st.sampled_from(["0005", "0006"]))
def test_what_is_read_at_once_is_what_a_reader_finds(
    value: object, changed: tuple[int, ...], dialect: str
) -> None:
    data = bytearray(OK + item(value, canonical=False))
    for index in changed:
        data[len(OK) + index if index == 0 else index] ^= 1
    found = only_object(bytes(data), DIALECTS[dialect], Limits())
    if found is not NOTHING:
        assert read(made(dialect), bytes(data)) == [[found]]
