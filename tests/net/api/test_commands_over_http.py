"""Commands that fail, and when commands run at all: what an exchange over HTTP shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pytest
from support.eras import (
    ERAS,
    READ,
    READ_3,
    error_events,
    error_map_of,
    marked,
)
from support.peers import (
    frame,
    request_frames,
)
from support.web import (
    FakeHost,
    Web,
    dummy_commands,
    framed_answer,
    frames_of,
    posted,
    requests,
    settings_of,
    text_answer,
)
from twisted.logger import capturedLogs

from wiredaemon.commands import (
    Argument,
    Command,
    CommandError,
    Permission,
    RawBytes,
    ServerError,
    command,
)
from wiredaemon.commands.argument_types import ArgumentType
from wiredaemon.net.hosting.access import AccessRules

# --- failing commands --------------------------------------------------------------------------


@command("crash", permission=Permission.RO)
def crash(_context: object) -> bytes:
    raise ZeroDivisionError("secret of the server")


@command("fail", permission=Permission.RO)
def fail(_context: object) -> bytes:
    raise CommandError(b"no %s here", [b"tea"])


@command("break", permission=Permission.RO)
def broken_server(_context: object) -> bytes:
    raise ServerError("100% out of tea")


@command("unsendable", permission=Permission.RO)
def unsendable(_context: object) -> object:
    return object()


FAILING: Final = marked(crash, fail, broken_server, unsendable)


def error_frame_of(text: bytes) -> bytes:
    """The payload of a 0006 error-response (framing 7)."""
    head = bytes([0x40 + len(text)]) if len(text) < 24 else b"\x58" + bytes([len(text)])
    return b"\xa2Gmessage\x81\xa1Cmsg" + head + text + b"DtypeFserver"


def failure_frame(era: str, text: bytes, *, as_map: bytes | None) -> bytes:
    """The frame that request 1's failure becomes; `as_map` is the map a command error has."""
    if era in {"0002", "0003"}:
        return frame(5, 2, text, stream_id=2)
    if as_map is None:
        if era == "0006":
            return frame(5, 0, error_frame_of(text), stream_id=2)
        as_map = error_map_of(text.replace(b"%", b"%%"), era=era)
    return frame(3, 2, as_map, stream_id=2)


CRASHED: Final = b"the command failed; the server's log says why"
UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"


@ERAS
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crash", CRASHED),
        ("fail", b"no tea here"),
        ("break", b"100% out of tea"),
        ("unsendable", UNSENDABLE),
    ],
)
def test_a_command_that_fails_is_answered_in_the_form_of_its_era(
    era: str, name: str, text: bytes
) -> None:
    as_map = (
        error_map_of(b"no %s here", b"tea", era=era)
        if (name == "fail" and era in {"0005", "0006"})
        else None
    )
    web = Web(era, host=FakeHost(FAILING))
    with capturedLogs() as events:
        answer = web.exchange(posted(era, name, requests(era, name.encode())))
    assert answer == framed_answer(era, failure_frame(era, text, as_map=as_map))
    assert [event["command"] for event in error_events(events)] == (
        [name] if name in {"crash", "unsendable"} else []
    )


@ERAS
@pytest.mark.parametrize("name", [b"crash", b"fail", b"break"])
def test_the_others_of_a_multirequest_go_on(era: str, name: bytes) -> None:
    web = Web(era, host=FakeHost([*FAILING, *dummy_commands()]))
    body = requests(era, name, b"customreadonly")
    frames = frames_of(era, web.exchange(posted(era, "multirequest", body)))
    assert len(frames) == 1 + len(READ_3[era]) + (era == "0006")
    assert frames[0][3:5] == b"\x01\x00"
    # 0006 sends its stream's settings with the first that succeeds, without stream-begin.
    assert tuple(frames[-len(READ_3[era]) :]) == READ_3[era]
    if era == "0006":
        assert frames[1] == b"\x09\x00\x00\x03\x00\x02\x00\x92Hidentity"


@ERAS
def test_a_failure_behind_a_success_costs_only_its_own_request(era: str) -> None:
    web = Web(era, host=FakeHost([*FAILING, *dummy_commands()]))
    body = requests(era, b"customreadonly", b"crash")
    frames = frames_of(era, web.exchange(posted(era, "multirequest", body)))
    assert tuple(frames[:-1]) == READ[era]
    assert frames[-1][3:5] == b"\x03\x00"
    assert CRASHED in frames[-1]
    assert b"secret" not in frames[-1]


@command(
    "echo",
    permission=Permission.RO,
    arguments={"what": Argument(type=ArgumentType.BYTES)},
)
def echo(_context: object, what: bytes) -> RawBytes:
    return RawBytes(what)


@ERAS
def test_a_missing_argument_is_named(era: str) -> None:
    web = Web(era, host=FakeHost(marked(echo)))
    answer = web.exchange(posted(era, "echo", requests(era, b"echo")))
    message = b"missing required arguments: what"
    as_map = error_map_of(message, era=era) if era in {"0005", "0006"} else None
    assert answer == framed_answer(era, failure_frame(era, message, as_map=as_map))


@ERAS
def test_an_argument_that_is_not_declared_matters_only_to_0006(era: str) -> None:
    web = Web(era, host=FakeHost(dummy_commands()))
    body = b"".join(request_frames(era, 1, b"customreadonly", {b"zz": b"1", b"aa": b"2"}))
    answer = web.exchange(posted(era, "customreadonly", body))
    if era == "0006":
        payload = error_map_of(b"unsupported argument to command: aa, zz", era=era)
        assert answer == framed_answer(era, frame(3, 2, payload, stream_id=2))
    else:
        assert answer == framed_answer(era, *READ[era])


# --- when commands run -------------------------------------------------------------------------


@dataclass
class Ran:
    """Counts."""

    times: int = 0
    commands: list[Command] = field(default_factory=list)


@pytest.fixture
def ran() -> Ran:
    count = Ran()

    @command("count", permission=Permission.RO)
    def counting(_context: object) -> RawBytes:
        count.times += 1
        return RawBytes(b"counted")

    count.commands = marked(counting)
    return count


@pytest.mark.parametrize("size", [1, 1000])
def test_0006_runs_nothing_before_all_its_input_was_accepted(size: int, ran: Ran) -> None:
    # server-state-machine 1.11
    body = requests("0006", b"count") + frame(1, 1, b"x", stream_id=2)
    connection = Web("0006", host=FakeHost(ran.commands)).connect()
    request = posted("0006", "count", body)
    for start in range(0, len(request), size):
        connection.send(request[start : start + size])
    assert connection.take() == text_answer(
        "200 OK", b"received frame with even numbered stream ID: 2\n"
    )
    assert ran.times == 0


@pytest.mark.parametrize("era", ["0002", "0003", "0005"])
def test_up_to_0005_a_command_runs_as_soon_as_its_request_has_come(era: str, ran: Ran) -> None:
    # server-state-machine 1.11: what fails later drops the answer, not what was done
    broken_frame = frame(1, 1, b"x", stream_id=2)
    request = posted(era, "count", requests(era, b"count") + broken_frame)
    connection = Web(era, host=FakeHost(ran.commands)).connect()
    assert connection.exchange(request[: -len(broken_frame)]) == b""
    assert ran.times == 1
    assert connection.exchange(broken_frame) == text_answer(
        "200 OK", b"received frame with even numbered stream ID: 2\n"
    )


@ERAS
@pytest.mark.parametrize("access", [AccessRules(deny_read=("*",)), AccessRules(allow_pull=False)])
def test_nothing_runs_for_whoever_may_not(era: str, ran: Ran, access: AccessRules) -> None:
    host = FakeHost(ran.commands, settings=settings_of(access=access))
    for name in ("count", "multirequest"):
        answer = Web(era, host=host).exchange(posted(era, name, requests(era, b"count")))
        assert answer.endswith(b"\r\n\r\npermission denied")
    assert ran.times == 0
