"""Small requests are read as the scan and the decoder for all requests read them."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import MAPS, failed, receive, server
from support.peers import frame, item

from wiredaemon.protocol import RemoteProtocolError, RequestReceived
from wiredaemon.protocol.map_requests import read_request
from wiredaemon.protocol.small_requests import read_small
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

STRINGS = st.binary(max_size=23)
NAMES = STRINGS
ARGUMENTS = st.dictionaries(STRINGS, st.binary(max_size=255), max_size=23)


def by_the_long_way(payload: bytes, dialect: str) -> RequestReceived | None:
    """Read a request by scan and decoder; None where it is refused."""
    try:
        return read_request(1, payload, DIALECTS[dialect], Limits())
    except RemoteProtocolError:
        return None


def agrees(payload: bytes) -> bool:
    """Compare with the long way, and say whether it was read as a small request."""
    small = read_small(1, payload)
    if small is None:
        return False
    for dialect in MAPS:
        assert by_the_long_way(payload, dialect) == small
    return True


@given(NAMES, ARGUMENTS)
def test_a_request_of_short_strings_is_small(name: bytes, arguments: dict[bytes, bytes]) -> None:
    content = {b"args": arguments, b"name": name} if arguments else {b"name": name}
    payload = item(content, canonical=False)
    assert agrees(payload)
    for end in range(len(payload)):
        assert read_small(1, payload[:end]) is None
    assert read_small(1, payload + b"\0") is None


@given(
    st.binary(max_size=12).map(lambda tail: b"\xa2Dargs" + tail + b"DnameAn")
    | st.binary(max_size=12).map(lambda tail: b"\xa1Dname" + tail)
    | st.lists(
        st.sampled_from(
            [b"\xa1", b"\xa2", b"\xb8", b"\x18", b"A", b"a", b"X", b"\x01", b"@", b"Dname", b"\xf6"]
        )
    ).map(lambda parts: b"\xa2Dargs" + b"".join(parts))
)
def test_whatever_is_read_is_read_the_same_by_the_long_way(payload: bytes) -> None:
    agrees(payload)


@pytest.mark.parametrize(
    "content",
    [
        {b"args": {b"a": bytes(256)}, b"name": b"n"},
        {b"args": {b"a": 1}, b"name": b"n"},
        {b"args": {b"a": [b"b"]}, b"name": b"n"},
        {b"args": {b"a": {b"b": b"c"}}, b"name": b"n"},
        {b"args": {bytes(24): b"a"}, b"name": b"n"},
        {b"args": [], b"name": b"n"},
        {b"args": None, b"name": b"n"},
        {b"args": {b"%d" % number: b"" for number in range(24)}, b"name": b"n"},
        {b"args": {}, b"name": bytes(24)},
        {b"args": {}, b"name": None},
        {b"args": {}, b"name": b"n", b"redirect": {}},
        {b"args": {}},
        {b"nome": b"n"},
        [b"args", b"name"],
        b"name",
    ],
)
def test_other_requests_are_left_to_the_long_way(content: object) -> None:
    assert read_small(1, item(content, canonical=False)) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"\xa2Dargs\xa1aa@DnameAn",  # a text for a key
        b"\xa2Dargs\xa1AaaaDnameAn",  # and for a value
        b"\xa2Dargs\xa1Aa\x5fAb\xffDnameAn",
        b"\xa2Dargs\xbfAaAb\xffDnameAn",
        b"\xa2Dargs\xb8\x40DnameAn",
        b"\xa2Dargs\xf6DnameAn",
        b"\xa1Dname\x58\x01n",
        b"\xa1Dnamean",
        b"",
    ],
)
def test_nothing_outside_of_the_subset_is_small(payload: bytes) -> None:
    assert read_small(1, payload) is None


def test_of_two_values_for_one_argument_the_last_counts_as_ever() -> None:
    payload = b"\xa2Dargs\xa2AaAbAaAcDnameAn"
    assert agrees(payload)
    assert read_small(1, payload) == RequestReceived(1, b"n", {b"a": b"c"})
    assert cbor2.loads(payload)[b"args"] == {b"a": b"c"}


@pytest.mark.parametrize(
    ("limits", "cause"),
    [
        (Limits(cbor_depth=1), "containers inside each other exceed the limit of 1 (cbor_depth)"),
        (Limits(cbor_elements=4), "items exceed the limit of 4 (cbor_elements)"),
    ],
)
def test_small_requests_have_the_limits_of_all(limits: Limits, cause: str) -> None:
    payload = item({b"args": {b"a": b"b"}, b"name": b"n"}, canonical=False)
    assert read_small(1, payload) is not None
    connection = server("0006", limits=limits)
    text = f"error decoding CBOR from command request 1: {cause}"
    assert receive(connection, frame(1, 1, payload)) == [failed(text, malformed=True)]


def test_a_small_request_over_the_size_of_requests_is_refused() -> None:
    payload = item({b"args": {b"a": b"b"}, b"name": b"n"}, canonical=False)
    connection = server("0006", limits=Limits(request_size=len(payload) - 1))
    text = f"request 1 exceeds the limit of {len(payload) - 1} bytes (request_size)"
    assert receive(connection, frame(1, 1, payload)) == [failed(text, malformed=True)]
