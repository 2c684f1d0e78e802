"""debugreflect: http, section 7, to the byte."""

from __future__ import annotations

from typing import Final

import pytest
from support.peers import data_frames, frame, item, map_frames, request_frames, settings_frames
from support.web import (
    API,
    MEDIA,
    OPEN,
    FakeHost,
    Web,
    fixed_answer,
    posted,
    settings_of,
    text_answer,
)

from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.wire.limits import Limits

ON: Final = ApiSwitches(debugreflect=True)
END: Final = b'received: <no frame>\n{"action": "noop"}'
ERAS: Final = pytest.mark.parametrize("era", API)
MAPS: Final = pytest.mark.parametrize("era", ["0003", "0005", "0006"])
OLD_MAPS: Final = pytest.mark.parametrize("era", ["0003", "0005"])


def web_of(*eras: str, limits: Limits | None = None, switches: ApiSwitches = ON) -> Web:
    host = FakeHost(settings=settings_of(access=OPEN, switches=switches))
    return Web(*eras, host=host, limits=limits)


def reflect(era: str, body: bytes, *, permission: str = "ro") -> bytes:
    """The answer to a body, which must be the same whole and byte by byte."""
    request = posted(era, "debugreflect", body, permission=permission, headers={})
    answer = web_of(era).exchange(request)
    connection = web_of(era).connect()
    for byte in request:
        connection.send(bytes([byte]))
    assert connection.take() == answer
    return answer


def shown(*lines: bytes) -> bytes:
    return text_answer("200 OK", b"\n".join([*lines, END]))


def ran(
    era: str, *, name: str = '"c"', args: str = "{}", data: str = "null", request_id: int = 1
) -> bytes:
    """The line of a command that would run."""
    redirect = '"redirect": null, ' if era == "0006" else ""
    return (
        f'["runcommand", {{"args": {args}, "command": {name}, "data": {data}, '
        f'{redirect}"requestid": {request_id}}}]'
    ).encode()


def wanted(state: str = "command-receiving") -> bytes:
    return f'["wantframe", {{"state": "{state}"}}]'.encode()


def failed(message: str) -> bytes:
    return f'["error", {{"message": "{message}"}}]'.encode()


def received(one: bytes) -> bytes:
    """The line of a frame, from its bytes."""
    number = f"{one[7] >> 4} {one[7] & 15} {int.from_bytes(one[3:5], 'little')} "
    return b"received: " + number.encode() + one[8:]


# --- whether it is there -----------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("permission", ["ro", "rw"])
def test_it_is_off_by_default(era: str, permission: str) -> None:
    web = web_of(era, switches=ApiSwitches())
    assert web.exchange(posted(era, "debugreflect", permission=permission)) == text_answer(
        "404 Not Found", b"debugreflect service not available"
    )


@ERAS
def test_it_comes_behind_authorization(era: str) -> None:
    host = FakeHost(settings=settings_of(access=AccessRules(allow_pull=False), switches=ON))
    assert Web(era, host=host).exchange(posted(era, "debugreflect")) == fixed_answer(
        "401 pull not authorized", b"permission denied"
    )
    assert Web(era, host=host).exchange(
        posted(era, "debugreflect", permission="rw")
    ) == fixed_answer("403 ssl required", b"permission denied")


@ERAS
@pytest.mark.parametrize("permission", ["ro", "rw"])
def test_an_empty_body_gives_the_last_two_lines(era: str, permission: str) -> None:
    answer = reflect(era, b"", permission=permission)
    assert answer == shown()
    assert b"\r\nContent-Length: 39\r\n" in answer


# --- requests ----------------------------------------------------------------------------------


def test_the_first_seed() -> None:
    body = frame(1, 1, b"\xa2Dargs\xa2CfooDval1Dbar1CvalDnameHcommand1")
    answer = (
        b"received: 1 1 1 \xa2Dargs\xa2CfooDval1Dbar1CvalDnameHcommand1\n"
        b'["runcommand", {"args": {"bar1": "val", "foo": "val1"}, "command": "command1", '
        b'"data": null, "requestid": 1}]\n'
        b"received: <no frame>\n"
        b'{"action": "noop"}'
    )
    assert len(answer) == 205
    assert reflect("0003", body) == text_answer("200 OK", answer)


def test_the_second_seed_s_frames() -> None:
    body = (
        b"\x08\x00\x00\x01\x00\x01\x01\x12command1"
        b"\x0b\x00\x00\x01\x00\x01\x00 \x03\x00\x04\x00fooval1"
        b'\x0b\x00\x00\x01\x00\x01\x00"\x04\x00\x03\x00bar1val'
    )
    assert reflect("0002", body) == shown(
        b"received: 1 2 1 command1",
        b'["wantframe", {"state": "command-receiving"}]',
        b"received: 2 0 1 \x03\x00\x04\x00fooval1",
        b'["wantframe", {"state": "command-receiving"}]',
        b"received: 2 2 1 \x04\x00\x03\x00bar1val",
        b'["runcommand", {"args": {"bar1": "val", "foo": "val1"}, "command": "command1", '
        b'"data": null, "requestid": 1}]',
    )


def test_the_line_of_0006_names_its_redirect() -> None:
    redirect: dict[bytes, object] = {b"targets": [], b"hashes": []}
    content = item({b"name": b"foo", b"redirect": redirect}, canonical=False)
    one = frame(1, 1, content)
    assert reflect("0006", one) == shown(
        b"received: 1 1 1 " + content,
        b'["runcommand", {"args": {}, "command": "foo", "data": null, '
        b'"redirect": {"hashes": [], "targets": []}, "requestid": 1}]',
    )


@ERAS
def test_a_request_cut_into_frames_wants_more(era: str) -> None:
    if era == "0002":
        frames = request_frames(era, 1, b"c", {b"k": b"v"})
    else:
        frames = request_frames(era, 1, b"c", {b"k": b"v"}, cut=8)
    assert len(frames) >= 2
    lines = [line for one in frames[:-1] for line in (received(one), wanted())]
    assert reflect(era, b"".join(frames)) == shown(
        *lines, received(frames[-1]), ran(era, args='{"k": "v"}')
    )


@ERAS
def test_data_is_shown_when_it_is_complete(era: str) -> None:
    frames = request_frames(era, 1, b"c", data=b"one\ntwo", cut=1000)
    request, data = frames[0], frames[1]
    assert reflect(era, request + data) == shown(
        received(request), wanted(), received(data), ran(era, data='"one\\ntwo"')
    )
    empty = request_frames(era, 1, b"c", data=b"")
    assert reflect(era, b"".join(empty)) == shown(
        received(request), wanted(), received(empty[1]), ran(era, data='""')
    )


@ERAS
def test_data_in_several_frames_is_joined(era: str) -> None:
    request = request_frames(era, 1, b"c", data=b"", cut=1000)[0]
    first, second, third = data_frames(era, 1, b"abcdefgh", cut=3)
    assert reflect(era, request + first + second + third) == shown(
        received(request),
        wanted(),
        received(first),
        wanted(),
        received(second),
        wanted(),
        received(third),
        ran(era, data='"abcdefgh"'),
    )


@ERAS
def test_requests_may_be_interleaved(era: str) -> None:
    one, one_data = request_frames(era, 1, b"c", data=b"1", cut=1000)
    other, other_data = request_frames(era, 3, b"d", data=b"3", cut=1000)
    assert reflect(era, one + other + one_data + other_data) == shown(
        received(one),
        wanted(),
        received(other),
        wanted(),
        received(one_data),
        ran(era, data='"1"'),
        received(other_data),
        ran(era, name='"d"', data='"3"', request_id=3),
    )


@ERAS
def test_a_complete_request_leaves_the_machine_idle_or_receiving(era: str) -> None:
    one, one_data = request_frames(era, 1, b"c", data=b"1", cut=1000)
    other = request_frames(era, 3, b"d")[0]
    assert reflect(era, one + other + one_data) == shown(
        received(one),
        wanted(),
        received(other),
        ran(era, name='"d"', request_id=3),
        received(one_data),
        ran(era, data='"1"'),
    )


def test_a_newline_in_a_payload_is_shown_as_it_is() -> None:
    assert reflect("0002", frame(1, 1, b"a\nb")) == shown(
        b"received: 1 1 1 a\nb", ran("0002", name='"a\\nb"')
    )


def test_the_states_of_0006_before_its_first_request() -> None:
    content = item({b"contentencodings": [b"identity"]}, canonical=False)
    first, second = frame(8, 1, content[:5]), frame(8, 2, content[5:])
    request = request_frames("0006", 1, b"c")[0]
    assert reflect("0006", first + second + request) == shown(
        received(first),
        b'["wantframe", {"state": "protocol-settings-receiving"}]',
        received(second),
        b'["wantframe", {"state": "idle"}]',
        received(request),
        ran("0006"),
    )


def test_a_request_may_follow_whole_settings() -> None:
    settings = settings_frames(b"zstd-8mb", b"zlib", b"identity")[0]
    request = request_frames("0006", 1, b"c")[0]
    assert reflect("0006", settings + request) == shown(
        received(settings), wanted("idle"), received(request), ran("0006")
    )


# --- errors ------------------------------------------------------------------------------------


@ERAS
def test_it_goes_on_after_an_error(era: str) -> None:
    bad = frame(3, 2, b"x")
    good = request_frames(era, 1, b"c")[0]
    kind = "command frame" if era == "0002" else "command request frame"
    message = f"expected {kind}; got 3"
    if era == "0006":
        message = "expected sender protocol settings or command request frame; got 3"
    assert reflect(era, bad + good + bad) == shown(
        received(bad),
        failed(message),
        received(good),
        failed("server already errored"),
        received(bad),
        failed("server already errored"),
    )


@ERAS
def test_the_checks_of_streams_come_before_the_state(era: str) -> None:
    even = frame(1, 1, b"x", stream_id=2)
    unknown = frame(1, 1, b"x", stream_id=3, stream_flags=0)
    good = request_frames(era, 1, b"c")[0]
    even_text = failed("received frame with even numbered stream ID: 2")
    assert reflect(era, even + good + even + unknown) == shown(
        received(even),
        even_text,
        received(good),
        failed("server already errored"),
        received(even),
        even_text,
        received(unknown),
        failed("received frame on unknown inactive stream without beginning of stream flag set"),
    )


@ERAS
def test_nothing_runs_so_an_id_stays_active(era: str) -> None:
    good = request_frames(era, 1, b"c")[0]
    assert reflect(era, good + good) == shown(
        received(good), ran(era), received(good), failed("request with ID 1 is already active")
    )


@MAPS
def test_a_request_without_a_name_is_an_error_in_json(era: str) -> None:
    one = map_frames(era, 1, b"\xa0")[0]
    assert reflect(era, one) == shown(
        received(one), b'["error", {"message": "command request missing \\"name\\" field"}]'
    )


@ERAS
@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_a_truncated_frame_is_a_bad_request(era: str, cut: int) -> None:
    good = b"".join(request_frames(era, 1, b"command"))
    answer = reflect(era, good + good[:cut])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    text = b"frame length error: " if cut >= 8 else b"received incomplete frame: got %d bytes" % cut
    assert body.startswith(text)


@MAPS
@pytest.mark.parametrize("content", [b"", b"\xff", b"\x05", b"\xa1\x44name"])
def test_what_mercurial_crashed_on_is_a_bad_request(era: str, content: bytes) -> None:
    answer = reflect(era, map_frames(era, 1, content)[0])
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert b"command request 1" in answer


@ERAS
def test_an_encoded_frame_is_a_bad_request(era: str) -> None:
    answer = reflect(era, frame(1, 1, b"x", stream_flags=5))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")


@ERAS
def test_too_much_is_a_bad_request(era: str) -> None:
    web = web_of(era, limits=Limits(request_size=100))
    connection = web.connect()
    request = posted(era, "debugreflect", b"x" * 101, headers={})
    refused = text_answer(
        "400 Bad Request", b"the body exceeds the limit of 100 bytes (request_size)\n"
    )
    assert connection.exchange(request) == refused
    assert connection.exchange(posted(era, "debugreflect", headers={})) == shown()


@ERAS
def test_a_frame_beyond_the_limit_is_a_bad_request(era: str) -> None:
    web = web_of(era, limits=Limits(frame_payload=100))
    assert web.exchange(posted(era, "debugreflect", frame(1, 1, b"x" * 101))) == text_answer(
        "400 Bad Request",
        b"frame payload of 101 bytes exceeds the limit of 100 bytes (frame_payload)\n",
    )


# --- values in JSON ----------------------------------------------------------------------------


def named(era: str, name: bytes) -> bytes:
    """A request for a command of that name."""
    return request_frames(era, 1, name)[0]


CONTROLS: Final = b"\x00\x08\t\n\x0b\x0c\r\x1b\x1f"
CONTROLS_SHOWN: Final = r'"\u0000\b\t\n\u000b\f\r\u001b\u001f"'


@ERAS
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b'a"b', r'"a\"b"'),
        (b"a\\b", r'"a\\b"'),
        (CONTROLS, CONTROLS_SHOWN),
        ("é€😀".encode(), r'"\u00e9\u20ac\ud83d\ude00"'),
        (b"'&/", '"\'&/"'),
    ],
)
def test_bytes_are_shown_as_escaped_text(era: str, name: bytes, text: str) -> None:
    one = named(era, name)
    assert reflect(era, one) == shown(received(one), ran(era, name=text))


@ERAS
def test_delete_is_escaped_and_by_0006_angle_brackets_too(era: str) -> None:
    one = named(era, b"<a>\x7f\\u003c")
    text = r'"<a>\u007f\\u003c"'
    if era == "0006":
        text = r'"\u003ca\u003e\u007f\\u003c"'
    assert reflect(era, one) == shown(received(one), ran(era, name=text))


@ERAS
def test_bytes_that_are_no_utf_8_are_refused_or_shown_as_lone_surrogates(era: str) -> None:
    one = named(era, b"\xff\xc3\x28")
    if era == "0006":
        assert reflect(era, one) == shown(received(one), ran(era, name=r'"\udcff\udcc3("'))
    else:
        assert reflect(era, one) == text_answer(
            "400 Bad Request", b"a byte string is not UTF-8 and cannot be shown\n"
        )


@MAPS
def test_every_kind_of_value_is_shown(era: str) -> None:
    arguments = {
        b"list": [1, -1, [b"x", True, False, None]],
        b"map": {b"z": b"1", b"a": {b"b": 2}},
        b"A": 2**64 - 1,
    }
    one = request_frames(era, 1, b"c", arguments)[0]
    assert reflect(era, one) == shown(
        received(one),
        ran(
            era,
            args='{"A": 18446744073709551615, "list": [1, -1, ["x", true, false, null]], '
            '"map": {"a": {"b": 2}, "z": "1"}}',
        ),
    )


@MAPS
def test_sets_are_shown_as_arrays(era: str) -> None:
    one = request_frames(era, 1, b"c", {b"s": {b"b", b"a"}})[0]
    assert reflect(era, one) == shown(received(one), ran(era, args='{"s": ["a", "b"]}'))


@MAPS
def test_a_set_of_different_types_is_shown_too(era: str) -> None:
    one = map_frames(era, 1, b"\xa2Dargs\xa1As\xd9\x01\x02\x83\x01Ax\xf5DnameAc")[0]
    answer = reflect(era, one)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"x"' in answer


@MAPS
@pytest.mark.parametrize(
    ("key", "text"), [(b"\x05", "5"), (b"\x24", "-5"), (b"\xf6", "null"), (b"\xf5", "true")]
)
def test_keys_that_are_no_bytes_are_shown_as_json_writes_them(
    era: str, key: bytes, text: str
) -> None:
    one = map_frames(era, 1, b"\xa2Dargs\xa1" + key + b"\x01DnameAc")[0]
    assert reflect(era, one) == shown(received(one), ran(era, args=f'{{"{text}": 1}}'))


@MAPS
def test_a_name_that_is_no_byte_string_is_shown(era: str) -> None:
    one = map_frames(era, 1, b"\xa1Dname\x05")[0]
    assert reflect(era, one) == shown(received(one), ran(era, name="5"))


@OLD_MAPS
def test_a_value_that_json_does_not_have_is_a_bad_request(era: str) -> None:
    one = map_frames(era, 1, b"\xa2Dargs\xa1Aa\xf7DnameAc")[0]
    answer = reflect(era, one)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")


# --- which framing -----------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["0002", "0003", "0005"])
def test_content_type_chooses_the_framing(era: str) -> None:
    # Of these only 0002 knows frames of type 2 as a second frame that ends a request.
    web = web_of("0003", "0005", "0002")
    request, data = request_frames(era, 1, b"c", data=b"x", cut=1000)
    headers = {"Content-Type": MEDIA[era], "Accept": MEDIA["0003"]}
    assert web.exchange(posted(era, "debugreflect", request + data, headers=headers)) == shown(
        received(request), wanted(), received(data), ran(era, data='"x"')
    )


@pytest.mark.parametrize("content_type", [None, "text/plain", MEDIA["0006"]])
def test_without_a_framing_in_content_type_the_first_is_taken(content_type: str | None) -> None:
    web = web_of("0005", "0003", "0002", "0006")
    request, data = request_frames("0005", 1, b"c", data=b"x", cut=1000)
    headers = {"Accept": MEDIA["0003"]}
    if content_type is not None:
        headers["Content-Type"] = content_type
    assert web.exchange(posted("0005", "debugreflect", request + data, headers=headers)) == shown(
        received(request), wanted(), received(data), ran("0005", data='"x"')
    )
