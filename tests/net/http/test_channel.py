"""Heads that a client repeats: the same answers, by a shorter way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.web import FakeHost, Web, ask, framed_answer, posted, requests, settings_of

from wiredaemon.commands import Command, Permission, RawBytes
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.http.known_heads import KnownHeads
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from support.web import Connection

ERA: Final = "0003"


def plain(_: Any) -> RawBytes:
    return RawBytes(b"plain")


COMMANDS: Final = (
    Command(name="plain", permission=Permission.RO, function=plain),
    Command(name="other", permission=Permission.RO, function=plain),
    Command(name="write", permission=Permission.RW, function=plain),
)
ANSWER: Final = framed_answer(ERA, b"\x05\x00\x00\x01\x00\x02\x01\x42plain")


class Looked(Web):
    """A site that counts how often it looked for a resource."""

    def __init__(self, host: FakeHost, limits: Limits | None = None) -> None:
        super().__init__(ERA, host=host, limits=limits)
        self.looks = 0
        site: Any = self.site
        found = site.getResourceFor

        def look(request: Any) -> Any:
            self.looks += 1
            return found(request)

        site.getResourceFor = look


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(COMMANDS)


@pytest.fixture
def web(host: FakeHost) -> Looked:
    return Looked(host)


def one(name: str = "plain", permission: str = "ro") -> bytes:
    body = requests(ERA, name.encode())
    return posted(ERA, name, body, permission=permission)


def test_a_head_is_parsed_once_for_all_connections(web: Looked) -> None:
    first, second = web.connect(), web.connect()
    assert [first.exchange(one()) for _ in range(3)] == [ANSWER] * 3
    assert [second.exchange(one()) for _ in range(3)] == [ANSWER] * 3
    assert web.looks == 1
    assert first.exchange(one("other")) == ANSWER
    assert web.looks == 2


def test_a_known_head_in_pieces_is_parsed_as_ever(web: Looked) -> None:
    connection = web.connect()
    connection.exchange(one())
    for cut in range(1, len(one())):
        assert connection.send(one()[:cut]).take() == b""
        assert connection.send(one()[cut:]).take() == ANSWER
    assert connection.exchange(one()) == ANSWER


def test_pipelined_requests_with_a_known_head_are_answered_in_order(web: Looked) -> None:
    connection = web.connect()
    connection.exchange(one())
    # Many, for each must not be answered inside of the one before it.
    assert connection.exchange(one() * 3000) == ANSWER * 3000
    assert web.looks == 1
    mixed = [one(name) for _ in range(500) for name in ("plain", "other")]
    assert connection.exchange(b"".join(mixed)) == ANSWER * len(mixed)


def refused(connection: Connection) -> bytes:
    return connection.exchange(one()).partition(b"\r\n")[0]


def test_settings_that_change_count_for_a_known_head(web: Looked, host: FakeHost) -> None:
    connection = web.connect()
    assert connection.exchange(one()) == ANSWER
    host.now = settings_of(access=AccessRules(allow_pull=False))
    assert refused(connection) == b"HTTP/1.1 401 pull not authorized"
    host.now = settings_of()
    assert connection.exchange(one()) == ANSWER


def test_what_tls_allows_a_known_head_is_refused_without(web: Looked, host: FakeHost) -> None:
    host.now = settings_of(access=AccessRules(allow_push=("*",)))
    secure, plain_text = web.connect(secure=True), web.connect()
    written = one("write", "rw")
    assert secure.exchange(written) == ANSWER
    assert plain_text.exchange(written).startswith(b"HTTP/1.1 403 ssl required\r\n")
    assert secure.exchange(written) == ANSWER


def test_a_known_head_whose_request_is_not_answered_at_once_waits_for_its_body(
    web: Looked,
) -> None:
    connection = web.connect()
    connection.exchange(one())
    head, body = one()[: -len(requests(ERA, b"plain"))], requests(ERA, b"plain")
    assert connection.send(head).take() == b""
    assert connection.send(body[:5]).take() == b""
    assert connection.send(body[5:] + one()).take() == ANSWER * 2


@pytest.mark.parametrize("header", ["Expect: 100-continue", "Connection: close"])
def test_heads_that_change_the_connection_are_not_remembered(web: Looked, header: str) -> None:
    request = one().replace(b"Host: test\r\n", b"Host: test\r\n%b\r\n" % header.encode())
    for _ in range(2):
        web.connect().exchange(request)
    assert web.looks == 2


def test_a_long_head_is_not_remembered(web: Looked) -> None:
    connection = web.connect()
    request = one().replace(b"Host: test\r\n", b"Host: test\r\nX: %b\r\n" % (b"x" * 1024))
    assert [connection.exchange(request) for _ in range(2)] == [ANSWER] * 2
    assert web.looks == 2


def test_the_head_that_was_learnt_first_makes_room_for_one_too_many() -> None:
    heads = KnownHeads(512)
    known: Any = object()
    for number in range(513):
        heads.remember(b"%d" % number, known)
    assert heads.find(b"0") is None
    assert heads.find(b"1") is known
    assert heads.find(b"512") is known


def test_no_head_is_remembered_where_none_may_be(host: FakeHost) -> None:
    web = Looked(host, Limits(known_heads=0))
    connection = web.connect()
    assert [connection.exchange(one()) for _ in range(2)] == [ANSWER] * 2
    assert web.looks == 2


def test_a_refused_head_never_stands_for_an_accepted_one_behind_it(
    web: Looked, host: FakeHost
) -> None:
    # What is remembered is the site's: a stranger could else decide what others' heads mean.
    host.now = settings_of(access=AccessRules(allow_push=("*",)))
    written = one("write", "rw")
    for behind in ([one()], [one()[:50], one()[50:]], [one()[:1], one()[1:]]):
        stranger = web.connect()
        assert stranger.exchange(written).startswith(b"HTTP/1.1 403 ssl required\r\n")
        for piece in behind:
            stranger.send(piece)
        assert stranger.take() == ANSWER
        stranger = web.connect()
        stranger.send(written + one())
        assert stranger.take().endswith(ANSWER)
        assert web.connect(secure=True).exchange(written) == ANSWER
        assert web.connect().exchange(written).startswith(b"HTTP/1.1 403 ssl required\r\n")
        wrong = posted(ERA, "write", requests(ERA, b"plain"), permission="rw")
        assert b"command in frame must match" in web.connect(secure=True).exchange(wrong)


@pytest.mark.parametrize(
    ("target", "size", "status"),
    [
        ("/?cmd=capabilities", 100 * 1024, b"200 Script output follows"),
        ("/?cmd=capabilities", 129 * 1024, b"431 Request Header Fields Too Large"),
        ("/elsewhere?what=cmd", 15 * 1024, b"400 no such method: elsewhere"),
        ("/elsewhere?what=cmd", 17 * 1024, b"431 Request Header Fields Too Large"),
    ],
)
def test_only_version_1_may_send_a_large_head(target: str, size: int, status: bytes) -> None:
    arguments = {f"X-HgArg-{number}": "a" * 1000 for number in range(size // 1000)}
    web = Web(ERA, host=FakeHost(COMMANDS))
    answer = web.connect().exchange(ask("GET", target, arguments))
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
