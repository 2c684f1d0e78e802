"""Requests as clients of each dialect write them: framing, section 5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.feeding import ALL, MAPS, joined
from support.peers import NUMBERS, WireFrame, parse_frames, request_frames, settings_frames

from wiredaemon.protocol import ClientConnection, LocalProtocolError
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.values import RawBytes, UnencodableError

if TYPE_CHECKING:
    from collections.abc import Mapping

HAVE_ARGS = 2
CONTINUATION, EOA = 1, 2
NO_TRACE: Final[tuple[Any, ...]] = ([], frozenset())


def client(dialect: str) -> ClientConnection:
    return ClientConnection(DIALECTS[dialect])


def sent(dialect: str, name: bytes, arguments: Mapping[bytes, Any], **options: Any) -> bytes:
    connection = client(dialect)
    assert connection.send_command(name, arguments, **options) == 1
    return joined(connection.data_to_send())


def frames(dialect: str, name: bytes, arguments: Mapping[bytes, Any]) -> list[WireFrame]:
    return parse_frames(sent(dialect, name, arguments))


# --- 0002 --------------------------------------------------------------------------------------


def test_the_arguments_of_0002_are_the_frames_of_the_seed() -> None:
    # framing 5.1, the example of the second seed; ours are sorted by name as Mercurial's own are
    assert sent("0002", b"command1", {b"foo": b"val1", b"bar1": b"val"}) == (
        b"\x08\x00\x00\x01\x00\x01\x01\x12command1"
        b"\x0b\x00\x00\x01\x00\x01\x00 \x04\x00\x03\x00bar1val"
        b'\x0b\x00\x00\x01\x00\x01\x00"\x03\x00\x04\x00fooval1'
    )


def test_the_name_of_0002_says_what_follows() -> None:
    # framing 4: eos 1, have-args 2, have-data 4
    assert sent("0002", b"c", {}) == b"\x01\x00\x00\x01\x00\x01\x01\x11c"
    assert sent("0002", b"c", {}, has_data=True) == b"\x01\x00\x00\x01\x00\x01\x01\x14c"
    argument = b"\x05\x00\x00\x01\x00\x01\x00\x22\x01\x00\x00\x00k"
    assert sent("0002", b"c", {b"k": b""}) == b"\x01\x00\x00\x01\x00\x01\x01\x12c" + argument
    both = b"\x01\x00\x00\x01\x00\x01\x01\x16c" + argument
    assert sent("0002", b"c", {b"k": RawBytes(b"")}, has_data=True) == both


def test_an_argument_longer_than_a_frame_goes_on_in_further_frames() -> None:
    # framing 5.1, "Multi-frame argument values"
    value = bytes(range(256)) * 255
    assert frames("0002", b"c", {b"long": value, b"z": b"1"}) == [
        WireFrame(1, 1, 1, 1, HAVE_ARGS, b"c"),
        WireFrame(1, 1, 0, 2, CONTINUATION, b"\x04\x00\x00\xfflong" + value[: 32768 - 8]),
        WireFrame(1, 1, 0, 2, 0, value[32768 - 8 :]),
        WireFrame(1, 1, 0, 2, EOA, b"\x01\x00\x01\x00z1"),
    ]


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(32763, [32768]), (32764, [32768, 1]), (65531, [32768, 32768]), (65535, [32768, 32768, 4])],
)
def test_an_argument_is_cut_where_its_frame_is_full(size: int, sizes: list[int]) -> None:
    _, *cut = frames("0002", b"c", {b"k": bytes(size)})
    assert [len(one.payload) for one in cut] == sizes
    assert [one.flags for one in cut] == [CONTINUATION] * (len(cut) - 1) + [EOA]
    assert b"".join(one.payload for one in cut) == (
        b"\x01\x00" + size.to_bytes(2, "little") + b"k" + bytes(size)
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({b"k": 1}, "an argument of type int, named by bytes, has no form in frames"),
        ({b"k": "text"}, "an argument of type str, named by bytes"),
        ({b"a": b"", b"k": None}, "an argument of type NoneType"),
        ({b"k": [b"a"]}, "an argument of type list"),
        ({"k": b"a"}, "an argument of type bytes, named by str"),
        ({b"k": bytes(65536)}, "an argument of 65536 bytes is longer than 65535"),
        ({bytes(32765): b""}, "an argument's name of 32765 bytes does not fit a frame"),
    ],
)
def test_an_argument_without_a_form_in_frames_is_refused_and_leaves_no_trace(
    arguments: dict[Any, Any], text: str
) -> None:
    connection = client("0002")
    with pytest.raises(UnencodableError, match=text):
        connection.send_command(b"c", arguments)
    assert (connection.data_to_send(), connection.active) == NO_TRACE
    assert connection.send_command(b"c", {}) == 1


@pytest.mark.parametrize("name", [bytes(32769), "text"])
def test_a_name_that_does_not_fit_its_frame_is_refused(name: Any) -> None:
    connection = client("0002")
    with pytest.raises(UnencodableError, match="a command's name must be bytes, at most 32768"):
        connection.send_command(name, {})
    assert (connection.data_to_send(), connection.active) == NO_TRACE


def test_the_largest_names_fit_their_frames() -> None:
    name, argument = frames("0002", bytes(32768), {bytes(32764): b""})
    assert (len(name.payload), len(argument.payload)) == (32768, 32768)


def test_0002_has_no_further_keys() -> None:
    connection = client("0002")
    with pytest.raises(LocalProtocolError, match="requests of dialect 0002 have no further keys"):
        connection.send_command(b"c", {}, extra={b"context": 1})
    assert (connection.data_to_send(), connection.active) == NO_TRACE


# --- 0003 and later ----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", MAPS)
def test_a_request_map_is_the_request_of_the_seed_in_every_dialect(dialect: str) -> None:
    # framing 2, worked example
    assert sent(dialect, b"customreadonly", {}) == (
        b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly"
    )


@pytest.mark.parametrize("dialect", MAPS)
def test_the_keys_of_a_request_map_are_in_the_order_of_the_era(dialect: str) -> None:
    # framing 5.4: shorter keys first up to 0005; bytewise in 0006
    payload = parse_frames(sent(dialect, b"c", {b"zz": b"1", b"aaa": b"2"}))[0].payload
    canonical = b"\xa2Dargs\xa2BzzA1CaaaA2DnameAc"
    bytewise = b"\xa2Dargs\xa2CaaaA2BzzA1DnameAc"
    assert payload == (bytewise if dialect == "0006" else canonical)


@pytest.mark.parametrize("dialect", MAPS)
def test_further_keys_belong_to_the_map(dialect: str) -> None:
    payload = parse_frames(sent(dialect, b"c", {}, extra={b"user": b"me"}))[0].payload
    assert payload == b"\xa2DnameAcDuserBme"


@pytest.mark.parametrize("dialect", [name for name in ALL if name != "0006"])
def test_only_0006_has_redirects_and_content_encodings(dialect: str) -> None:
    # framing 5.2 and 10
    connection = client(dialect)
    with pytest.raises(LocalProtocolError, match=f"dialect {dialect} has no redirects"):
        connection.send_command(b"c", {}, redirect={b"targets": [], b"hashes": []})
    assert (connection.data_to_send(), connection.active) == NO_TRACE
    assert connection.send_command(b"c", {}) == 1
    with pytest.raises(LocalProtocolError, match=f"dialect {dialect} has no content encodings"):
        ClientConnection(DIALECTS[dialect], content_encodings=[b"zlib"])


# --- data, and an independent peer ---------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_data_goes_on_and_its_last_frame_ends_it(dialect: str) -> None:
    # framing 4: type 3 up to 0004, then 2
    kind = b"\x30" if dialect < "0005" else b"\x20"
    on, last = bytes([kind[0] | 1]), bytes([kind[0] | 2])
    connection = client(dialect)
    connection.send_command(b"c", {}, has_data=True)
    connection.data_to_send()
    connection.send_data(1, b"a")
    connection.send_data(1, b"b", end=True)
    assert joined(connection.data_to_send()) == (
        b"\x01\x00\x00\x01\x00\x01\x00%ca\x01\x00\x00\x01\x00\x01\x00%cb" % (on, last)
    )


VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES: Final = st.binary(max_size=6)


@given(
    st.sampled_from(ALL),
    st.binary(max_size=10),
    st.dictionaries(NAMES, st.binary(max_size=30)),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.none() | st.sampled_from([0, 1, 32768, 40000, 65536]),
    st.booleans(),
)
def test_an_independent_peer_writes_the_same_frames(
    dialect: str,
    name: bytes,
    plain: dict[bytes, bytes],
    typed: dict[bytes, Any],
    size: int | None,
    offers: bool,  # noqa: FBT001 drawn
) -> None:
    arguments: dict[bytes, Any] = plain if dialect == "0002" else typed
    offered = (b"zlib", b"identity") if offers and dialect == "0006" else ()
    connection = ClientConnection(DIALECTS[dialect], content_encodings=offered)
    assert connection.send_command(name, arguments, has_data=size is not None) == 1
    if size is not None:
        connection.send_data(1, bytes(size), end=True)
    data = None if size is None else bytes(size)
    expected = request_frames(dialect, 1, name, arguments, data)
    if offered:
        expected = [*settings_frames(*offered), *expected]
    ours = parse_frames(joined(connection.data_to_send()))
    theirs = parse_frames(b"".join(expected))
    # The peer begins its stream in each frame, which is allowed; we in the first.
    assert ours == [one._replace(stream_flags=int(n == 0)) for n, one in enumerate(theirs)]


def test_frame_types_have_the_numbers_of_their_dialect() -> None:
    for dialect in MAPS:
        connection = client(dialect)
        connection.send_command(b"c", {}, has_data=True)
        connection.send_data(1, b"", end=True)
        numbers = [one.type_number for one in parse_frames(joined(connection.data_to_send()))]
        assert numbers == [NUMBERS[dialect]["request"], NUMBERS[dialect]["data"]]


# --- in one frame ------------------------------------------------------------------------------

ARGUMENTS: Final = st.dictionaries(
    st.binary(max_size=260),
    st.one_of(st.binary(max_size=300), st.integers(0, 9), st.lists(st.binary(max_size=9))),
    max_size=30,
)


@given(st.sampled_from(MAPS), st.binary(max_size=300), ARGUMENTS)
def test_later_requests_have_the_bytes_of_the_first(
    dialect: str, name: bytes, arguments: dict[bytes, Any]
) -> None:
    connection = client(dialect)
    both = []
    for request_id in (1, 3):
        assert connection.send_command(name, arguments) == request_id
        both.append(parse_frames(joined(connection.data_to_send())))
    first, later = both
    # But for the id, and the flag that begins the stream.
    assert [frame[3:] for frame in later] == [frame[3:] for frame in first]
    assert [frame[:3] for frame in later] == [(3, 1, 0)] * len(first)
    assert connection.active == {1, 3}


def test_a_request_behind_others_is_one_frame() -> None:
    connection = client("0006")
    connection.send_command(b"first", {})
    connection.data_to_send()
    connection.send_command(b"echo", {b"data": b"x"})
    assert joined(connection.data_to_send()) == (
        b"\x18\x00\x00\x03\x00\x01\x00\x11" + b"\xa2Dargs\xa1DdataAxDnameDecho"
    )
