from __future__ import annotations

import pytest
from support.peers import item

from wiredaemon.protocol import RemoteProtocolError, ResponseReader
from wiredaemon.protocol.objects import ResponseError
from wiredaemon.wire.limits import Limits

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
