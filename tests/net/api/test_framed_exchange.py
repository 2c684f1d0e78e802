"""Bodies of frames and their responses: the exact bytes, http sections 6.1 and 6.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.eras import (
    ERAS,
    MAPS,
    ONE,
    READ,
    READ_3,
    error_map_of,
    marked,
)
from support.hgweb import DONE
from support.peers import (
    frame,
    map_frames,
    named_frames,
    request_frames,
    settings_frames,
)
from support.responding import make_command
from support.web import (
    API,
    MEDIA,
    FakeHost,
    Web,
    ask,
    framed_answer,
    path_of,
    posted,
    requests,
    settings_first,
    text_answer,
)
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from wiredaemon.net.repeated_lines import MOST_ALIKE
from wiredaemon.repository import declarations
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# --- section 6: what is answered ---------------------------------------------------------------


@ERAS
def test_a_command_is_answered_in_a_chunk_for_each_frame(era: str) -> None:
    assert Web(era).exchange(posted(era, "customreadonly", ONE[era])) == framed_answer(
        era, *READ[era]
    )


@ERAS
def test_a_body_that_comes_byte_by_byte_is_answered_alike(era: str) -> None:
    connection = Web(era).connect()
    for byte in posted(era, "multirequest", requests(era, b"customreadonly", b"customreadonly")):
        connection.send(bytes([byte]))
    assert connection.take() == framed_answer(era, *READ[era], *READ_3[era])


@ERAS
def test_requests_on_one_connection_are_answered_in_turn(era: str) -> None:
    request = posted(era, "customreadonly", ONE[era])
    refused = posted(era, "zz", ONE[era])
    answer = framed_answer(era, *READ[era])
    unknown = text_answer("404 Not Found", b"unknown wire protocol command: zz\n")
    connection = Web(era).connect()
    assert connection.exchange(request + refused + request) == answer + unknown + answer
    assert not connection.is_closed


@ERAS
def test_a_multirequest_runs_several_commands(era: str) -> None:
    body = requests(era, b"customreadonly", b"customreadonly")
    for permission in ("ro", "rw"):
        request = posted(era, "multirequest", body, permission=permission)
        assert Web(era).exchange(request) == framed_answer(era, *READ[era], *READ_3[era])


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_http_1_0_is_answered_without_chunks(era: str, name: str) -> None:
    connection = Web(era).connect()
    request = posted(era, name, ONE[era]).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    assert connection.exchange(request) == (
        f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[era]}\r\nConnection: close\r\n\r\n".encode()
        + b"".join(READ[era])
    )
    assert connection.is_closed


@ERAS
def test_a_connection_that_is_to_be_closed_is_answered_without_chunks(era: str) -> None:
    connection = Web(era).connect()
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Connection": "close"}
    assert connection.exchange(posted(era, "customreadonly", ONE[era], headers=headers)) == (
        f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA[era]}\r\nConnection: close\r\n\r\n".encode()
        + b"".join(READ[era])
    )
    assert connection.is_closed


@ERAS
def test_a_chunked_body_is_read(era: str) -> None:
    headers = {
        "Accept": MEDIA[era],
        "Content-Type": MEDIA[era],
        "Transfer-Encoding": "chunked",
    }
    body = ONE[era]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    request = ask("POST", path_of(era, "customreadonly"), headers) + chunks + b"0\r\n\r\n"
    assert Web(era).exchange(request) == framed_answer(era, *READ[era])


@ERAS
def test_a_client_that_expects_is_told_to_continue(era: str) -> None:
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Expect": "100-continue"}
    request = posted(era, "customreadonly", ONE[era], headers=headers)
    connection = Web(era).connect()
    assert connection.exchange(request[: -len(ONE[era])]) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.exchange(ONE[era]) == framed_answer(era, *READ[era])


@ERAS
def test_a_client_that_expects_may_be_refused_in_place_of_it(era: str) -> None:
    headers = {"Accept": MEDIA[era], "Content-Type": MEDIA[era], "Expect": "100-continue"}
    request = posted(era, "zz", ONE[era], headers=headers)[: -len(ONE[era])]
    assert Web(era).connect().exchange(request) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n"
        b"Connection: close\r\n\r\nunknown wire protocol command: zz\n"
    )


# --- section 6.2: the checks of each command, in their order -----------------------------------


@ERAS
@pytest.mark.parametrize("name", [b"zz", b"multirequest", b"debugreflect", b"", b"\xff\n"])
def test_a_multirequest_runs_no_unknown_command(era: str, name: bytes) -> None:
    request = posted(era, "multirequest", requests(era, name))
    assert Web(era).exchange(request) == text_answer(
        "200 OK", b"wire protocol command not available: " + name
    )


def test_a_multirequest_of_0002_runs_no_command_of_version_1_alone() -> None:
    host = FakeHost(marked(declarations.batch))
    request = posted("0002", "multirequest", requests("0002", b"batch"))
    assert Web("0002", host=host).exchange(request) == text_answer(
        "200 OK", b"wire protocol command not available: batch"
    )


@ERAS
def test_a_multirequest_below_ro_runs_no_push_command_and_drops_what_was_answered(
    era: str,
) -> None:
    body = requests(era, b"customreadonly", b"customreadwrite")
    assert Web(era).exchange(posted(era, "multirequest", body)) == text_answer(
        "403 Forbidden", b"insufficient permissions to execute command: customreadwrite"
    )
    answer = Web(era).exchange(posted(era, "multirequest", body, permission="rw"))
    assert b"customreadonly bytes response" in answer
    assert b"customreadwrite bytes response" in answer


@ERAS
def test_an_unknown_command_of_a_multirequest_drops_what_was_answered(era: str) -> None:
    body = requests(era, b"customreadonly", b"zz", b"customreadwrite")
    assert Web(era).exchange(posted(era, "multirequest", body)) == text_answer(
        "200 OK", b"wire protocol command not available: zz"
    )


@ERAS
def test_the_first_refusal_of_a_multirequest_counts(era: str) -> None:
    web = Web(era)
    body = requests(era, b"customreadwrite", b"zz") + b"rubbish"
    assert web.exchange(posted(era, "multirequest", body)) == text_answer(
        "403 Forbidden", b"insufficient permissions to execute command: customreadwrite"
    )
    body = requests(era, b"zz", b"customreadwrite") + b"rubbish"
    assert web.exchange(posted(era, "multirequest", body)) == text_answer(
        "200 OK", b"wire protocol command not available: zz"
    )


@ERAS
@pytest.mark.parametrize("second", [b"customreadonly", b"customreadwrite", b"zz", b"multirequest"])
def test_a_second_command_for_one_url_is_refused_whatever_its_name(era: str, second: bytes) -> None:
    body = requests(era, b"customreadonly", second)
    assert Web(era).exchange(posted(era, "customreadonly", body)) == text_answer(
        "200 OK", b"multiple commands cannot be issued to this URL"
    )


@ERAS
@pytest.mark.parametrize("name", [b"customreadwrite", b"zz", b"multirequest", b"CustomReadOnly"])
def test_the_command_in_the_frame_must_be_that_of_the_url(era: str, name: bytes) -> None:
    web = Web(era)
    answer = text_answer("200 OK", b"command in frame must match command in URL")
    assert web.exchange(posted(era, "customreadonly", requests(era, name))) == answer
    two = requests(era, name, b"customreadonly")
    assert web.exchange(posted(era, "customreadonly", two)) == answer


NAMES: Final = {
    b"\x05": b"5",
    b"\x24": b"-5",
    b"\xf6": b"None",
    b"\xf5": b"True",
    b"\x81\x41a": None,
    b"\xa1\x41a\x01": None,
}


@MAPS
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_byte_string_matches_no_url(era: str, name: bytes) -> None:
    body = b"".join(map_frames(era, 1, b"\xa1\x44name" + name))
    assert Web(era).exchange(posted(era, "customreadonly", body)) == text_answer(
        "200 OK", b"command in frame must match command in URL"
    )


@MAPS
@pytest.mark.parametrize("name", NAMES)
def test_a_multirequest_shows_a_name_that_is_no_byte_string_where_mercurial_did(
    era: str, name: bytes
) -> None:
    body = b"".join(map_frames(era, 1, b"\xa1\x44name" + name))
    shown = NAMES[name]
    if era == "0006" or shown is None:
        answer = text_answer("400 Bad Request", b"the name of a command must be a byte string\n")
    else:
        answer = text_answer("200 OK", b"wire protocol command not available: " + shown)
    assert Web(era).exchange(posted(era, "multirequest", body)) == answer


@ERAS
def test_a_refusal_waits_for_the_second_request_to_be_complete(era: str) -> None:
    second = request_frames(era, 3, b"customreadonly", data=b"12345678", cut=4)
    connection = Web(era).connect()
    request = posted(era, "customreadonly", ONE[era] + b"".join(second))
    last = len(second[-1])
    assert connection.exchange(request[:-last]) == b""
    assert connection.exchange(request[-last:]) == text_answer(
        "200 OK", b"multiple commands cannot be issued to this URL"
    )


@ERAS
def test_the_rest_of_a_refused_body_is_drained(era: str) -> None:
    connection = Web(era).connect()
    rest = b"\xff" * 1000
    request = posted(era, "customreadonly", requests(era, b"zz") + rest)
    refused = text_answer("200 OK", b"command in frame must match command in URL")
    assert connection.exchange(request[:-1000]) == refused
    good = posted(era, "customreadonly", ONE[era])
    assert connection.exchange(rest + good) == framed_answer(era, *READ[era])


# --- section 6.1: errors of the protocol -------------------------------------------------------


def broken(era: str) -> list[tuple[bytes, bytes]]:
    """Bodies and the specification's texts (server-state-machine, 1.3 to 1.9)."""
    first = ONE[era]
    kind = "command frame" if era == "0002" else "command request frame"
    cases = [
        (
            frame(1, 1, b"x", stream_id=2),
            b"received frame with even numbered stream ID: 2",
        ),
        (
            frame(1, 1, b"x", stream_flags=0),
            b"received frame on unknown inactive stream without beginning of stream flag set",
        ),
        (first + first, b"request with ID 1 is already active"),
        (first + frame(3, 2, b"x"), f"expected {kind}; got 3".encode()),
    ]
    if era == "0002":
        cases.append((frame(1, 0, b"x"), b"missing frame flags on command frame"))
    else:
        cases += [
            (
                first + frame(1, 3, b"x", request_id=3),
                b"received command request frame with both new and continuation flags set",
            ),
            (
                b"".join(map_frames(era, 1, b"\xa0")),
                b'command request missing "name" field',
            ),
        ]
    if era == "0006":
        cases += [
            (
                frame(2, 1, b"x"),
                b"expected sender protocol settings or command request frame; got 2",
            ),
            (
                settings_first(b"identity") * 2,
                b"expected command request frame; got 8",
            ),
            (
                frame(8, 1, b"") + first,
                b"expected sender protocol settings frame; got 1",
            ),
        ]
    return cases


@pytest.mark.parametrize(
    ("era", "body", "text"), [(era, body, text) for era in API for body, text in broken(era)]
)
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_an_error_of_the_protocol_is_a_text_and_drops_what_was_answered(
    era: str, body: bytes, text: bytes, name: str
) -> None:
    answer = text_answer("200 OK", text + b"\n")
    assert Web(era).exchange(posted(era, name, body)) == answer
    assert Web(era).exchange(posted(era, name, body + ONE[era] + b"rubbish")) == answer


# --- what Mercurial answered with 500 ----------------------------------------------------------


NOTHING: Final = text_answer(
    "400 Bad Request", b"the request body holds no complete command request\n"
)


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_an_empty_body_is_a_bad_request(era: str, name: str) -> None:
    assert Web(era).exchange(posted(era, name)) == NOTHING
    without_length = ask(
        "POST", path_of(era, name), {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    )
    assert Web(era).exchange(without_length) == NOTHING


def test_settings_alone_are_a_bad_request() -> None:
    body = settings_first(b"zstd-8mb", b"identity")
    assert Web("0006").exchange(posted("0006", "multirequest", body)) == NOTHING


def test_settings_and_a_request_are_answered_as_a_request() -> None:
    # server-state-machine 1.5; the streams are the client's own
    body = b"".join(settings_frames(b"identity")) + frame(
        1, 1, b"\xa1DnameNcustomreadonly", stream_flags=0
    )
    assert Web("0006").exchange(posted("0006", "customreadonly", body)) == framed_answer(
        "0006", *READ["0006"]
    )


def partial(era: str, request_id: int = 1) -> bytes:
    """A request without its end."""
    if era == "0002":
        frames = named_frames(request_id, b"customreadonly", {b"a": b"b"})
    else:
        frames = request_frames(era, request_id, b"customreadonly", cut=5)
    return b"".join(frames[:-1])


PARTIAL: Final = b"input ended before the request frames of request %d"


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
def test_a_partial_request_alone_is_a_bad_request(era: str, name: str) -> None:
    assert Web(era).exchange(posted(era, name, partial(era))) == text_answer(
        "400 Bad Request", PARTIAL % 1 + b"\n"
    )


@ERAS
def test_a_complete_request_is_answered_beside_a_partial_one(era: str) -> None:
    body = ONE[era] + partial(era, 3)
    answer = Web(era).exchange(posted(era, "multirequest", body))
    text = PARTIAL % 3
    match era:
        case "0002":
            failed = frame(5, 2, text, request_id=3, stream_id=2)
            assert answer == framed_answer(era, *READ[era], failed)
        case "0003":
            failed = frame(5, 2, text, request_id=3, stream_id=2, stream_flags=0)
            assert answer == framed_answer(era, *READ[era], failed)
        case _:
            payload = error_map_of(text, era=era)
            failed = frame(3, 2, payload, request_id=3, stream_id=2, stream_flags=0)
            assert answer == framed_answer(era, *READ[era], failed)


@ERAS
@pytest.mark.parametrize("name", ["customreadonly", "multirequest"])
@pytest.mark.parametrize("cut", [1, 3, 7, 8, 12])
def test_a_truncated_frame_is_a_bad_request(era: str, name: str, cut: int) -> None:
    answer = Web(era).exchange(posted(era, name, ONE[era][:cut]))
    text = (
        b"frame length error: expected %d; got %d" % (ONE[era][0], cut - 8)
        if cut >= 8
        else b"received incomplete frame: got %d bytes: " % cut
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert body.startswith(text)
    assert body.endswith(b"\n")


@ERAS
def test_a_truncated_frame_behind_a_whole_request_is_a_bad_request(era: str) -> None:
    answer = Web(era).exchange(posted(era, "multirequest", ONE[era] + ONE[era][:12]))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert b"customreadonly bytes response" not in answer


@MAPS
@pytest.mark.parametrize("content", [b"", b"\xff", b"\x18", b"\x05", b"\xa1\x44name"])
def test_bad_cbor_is_a_bad_request(era: str, content: bytes) -> None:
    body = b"".join(map_frames(era, 1, content))
    answer = Web(era).exchange(posted(era, "multirequest", body))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert b"command request 1" in answer
    assert b"Traceback" not in answer


@ERAS
def test_an_encoded_frame_is_a_bad_request(era: str) -> None:
    answer = Web(era).exchange(posted(era, "multirequest", frame(1, 1, b"x", stream_flags=5)))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")


@ERAS
def test_a_frame_beyond_the_limit_is_a_bad_request(era: str) -> None:
    web = Web(era, limits=Limits(frame_payload=100))
    assert web.exchange(posted(era, "multirequest", frame(1, 1, b"x" * 101))) == text_answer(
        "400 Bad Request",
        b"frame payload of 101 bytes exceeds the limit of 100 bytes (frame_payload)\n",
    )


def test_commands_that_fail_when_they_are_stopped_are_logged_a_few_times() -> None:
    cleaning: list[Deferred[None]] = []

    async def stubborn(_: object) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            cleaning.append(Deferred())
            await cleaning[-1]
            raise ValueError

    web = Web("0006", host=FakeHost([make_command(stubborn)]))
    with capturedLogs() as events:
        for _ in range(3 * MOST_ALIKE):
            connection = web.connect()
            connection.send(posted("0006", "stubborn", requests("0006", b"stubborn")))
            connection.protocol.connectionLost(DONE)
        assert len(cleaning) == 3 * MOST_ALIKE
        # Its client has gone by then, and Twisted has taken the channel from the request.
        for each in cleaning:
            each.callback(None)
    failed = [event for event in events if "log_failure" in event]
    assert len(failed) == MOST_ALIKE
    assert {event["command"] for event in failed} == {"stubborn, when it was stopped,"}
    assert {event["peer"] for event in failed} == {"192.168.1.1:54321"}
