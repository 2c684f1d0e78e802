"""Logging in on a raw connection, with ``login`` or by a certificate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.logins import TOKENS, Users, logins_of, password_of
from support.raw import Raw, refusal, result
from support.responding import make_command
from support.web import FakeHost, settings_of
from twisted.logger import capturedLogs

from wiredaemon.accounts.credentials import Named, Password
from wiredaemon.accounts.login import LoginBusyError, LoginError, TooManyFailuresError
from wiredaemon.commands import Permission, TextForm
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.logins import AGAIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.net.logins import Logins

every_dialect = pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005", "0006"])
MAPS: Final = pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
TEXT: Final = TextForm(result=lambda value: value)
WRONG: Final = b"wrong user name or password"
FOR_ANN: Final = AccessRules(allow_read=("ann", "@devs"), allow_push=("ann",))
AGAIN: Final = AGAIN_SECONDS


def who(context: Any) -> bytes:
    peer = context.peer
    parts = [peer.user or "nobody", *sorted(peer.groups), *(["ro"] if peer.read_only else [])]
    return " ".join(parts).encode()


WHO: Final = make_command(who, text=TEXT)
WRITE: Final = replace(make_command(who, text=TEXT), name="write", permission=Permission.RW)


class Connected(Raw):
    """A connection over TLS to a listener whose users are known."""

    def __init__(
        self,
        dialect: str = "0006",
        access: AccessRules | None = None,
        *,
        users: Users | None = None,
        logins: Logins | None = None,
        is_tls: bool = True,
        is_unix: bool = False,
    ) -> None:
        self.users = users or Users()
        host = FakeHost([WHO, WRITE], settings=settings_of(access=access or AccessRules()))
        super().__init__(
            dialect,
            hosts={"/": host, "/team/tools": host},
            logins=logins or logins_of(self.users),
            is_tls=is_tls,
            is_unix=is_unix,
        )

    def login(self, request_id: int, **given: bytes) -> bytes:
        """Return the frames of a login."""
        arguments = {key.encode(): value for key, value in given.items()}
        return b"".join(peers.request_frames(self.dialect, request_id, b"login", arguments))

    def by_password(self, request_id: int, name: str, password: bytes | None = None) -> bytes:
        secret = password_of(name) if password is None else password
        return self.login(request_id, name=name.encode(), password=secret)

    def content(self, request_id: int) -> peers.Answer:
        return self.answers[request_id]


def logged_in(dialect: str, user: bytes, *groups: bytes, read_only: bool = False) -> bytes:
    if dialect == "0002":
        return user
    shown: Mapping[bytes, object] = {
        b"user": user,
        b"groups": list(groups),
        b"read-only": read_only,
    }
    return result(dialect, shown)


@every_dialect
def test_requests_behind_a_login_are_its_users_and_those_before_nobodys(dialect: str) -> None:
    raw = Connected(dialect)
    raw.receive(raw.request(1, "who"), raw.by_password(3, "mia"), raw.request(5, "who"))
    raw.receive(raw.request(7, "who"))
    assert raw.contents(1, 3, 5, 7) == [
        result(dialect, b"nobody"),
        logged_in(dialect, b"mia", b"devs"),
        result(dialect, b"mia devs"),
        result(dialect, b"mia devs"),
    ]
    assert raw.users.asked == [(Password("mia", password_of("mia")), "10.0.0.1")]


@every_dialect
def test_a_token_logs_in_alone_or_as_the_password_of_its_user(dialect: str) -> None:
    writer, reader, *_ = TOKENS
    raw = Connected(dialect, FOR_ANN)
    raw.receive(raw.login(1, token=reader), raw.request(3, "who"), raw.request(5, "write"))
    raw.receive(raw.by_password(7, "ann", writer), raw.request(9, "write"))
    assert raw.contents(1, 3, 7, 9) == [
        logged_in(dialect, b"ann", read_only=True),
        result(dialect, b"ann ro"),
        logged_in(dialect, b"ann"),
        result(dialect, b"ann"),
    ]
    said = b"push not authorized: this login may only read"
    assert raw.content(5) == refusal(dialect, said)


@every_dialect
def test_pipelined_requests_wait_for_a_login_that_takes_time(dialect: str) -> None:
    raw = Connected(dialect, FOR_ANN)
    raw.users.is_slow = True
    raw.receive(
        raw.request(1, "who"),
        raw.by_password(3, "ann"),
        raw.request(5, "write"),
        raw.by_password(7, "bob"),
        raw.request(9, "who"),
    )
    assert raw.order == [1]
    assert raw.transport.is_paused()
    raw.users.waiting[0].callback(None)
    assert raw.order == [1, 3, 5]
    raw.users.waiting[1].callback(None)
    assert not raw.transport.is_paused()
    assert raw.content(1) == refusal(dialect, b"read not authorized")
    assert raw.contents(5) == [result(dialect, b"ann")]
    assert raw.content(9) == refusal(dialect, b"read not authorized")


@MAPS
def test_a_login_counts_for_every_path(dialect: str) -> None:
    raw = Connected(dialect, FOR_ANN)
    raw.receive(raw.by_password(1, "ann"), raw.request(3, "who", None, path=b"/team/tools"))
    assert raw.contents(3) == [result(dialect, b"ann")]


@every_dialect
@pytest.mark.parametrize("is_slow", [False, True])
def test_a_login_that_fails_leaves_the_peer_as_it_was(dialect: str, *, is_slow: bool) -> None:
    raw = Connected(dialect)
    raw.receive(raw.by_password(1, "ann"))
    raw.users.is_slow = is_slow
    raw.receive(raw.by_password(3, "mia", b"no"), raw.request(5, "who"))
    if is_slow:
        raw.users.waiting[0].callback(None)
    assert raw.content(3) == refusal(dialect, WRONG)
    assert raw.contents(5) == [result(dialect, b"ann")]
    assert raw.transport.is_open()


@pytest.mark.parametrize(
    "error",
    [TooManyFailuresError("too many; try in 9 s", 9.0), LoginBusyError("100% busy", 1.0)],
)
def test_who_must_wait_is_told_so(error: LoginError) -> None:
    raw = Connected()
    raw.users.refusal = error
    raw.receive(raw.by_password(1, "ann"))
    assert raw.content(1) == refusal("0006", error.message.replace("%", "%%").encode())


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": b"ann", "token": b"wd_0000000a_writer"},
        {"password": b"x"},
        {"password": b"x", "token": b"wd_0000000a_writer"},
    ],
)
def test_a_login_that_is_not_complete_is_refused(given: Mapping[str, bytes]) -> None:
    raw = Connected()
    raw.receive(raw.login(1, **given))
    said = b"login needs either name and password, or token"
    assert raw.content(1) == refusal("0006", said)
    assert raw.users.asked == []


def test_arguments_are_checked() -> None:
    raw = Connected()
    raw.receive(raw.login(1, name=b"\xff", password=b"x"), raw.login(3, user=b"ann"))
    assert raw.content(1) == refusal("0006", b"the name must be UTF-8")
    assert b"user" in raw.content(3).content
    assert raw.users.asked == []


# --- where nobody listens ------------------------------------------------------------------------


@every_dialect
def test_no_password_is_looked_at_over_a_plain_connection(dialect: str) -> None:
    raw = Connected(dialect, is_tls=False)
    raw.receive(raw.by_password(1, "ann"), raw.request(3, "who"))
    assert raw.content(1) == refusal(dialect, b"ssl required")
    assert raw.contents(3) == [result(dialect, b"nobody")]
    assert raw.users.asked == []


def test_a_unix_socket_and_a_trusted_network_are_as_good_as_tls() -> None:
    unix = Connected(is_tls=False, is_unix=True)
    trusting = Connected(is_tls=False, logins=logins_of(Users(), plain_passwords=True))
    for raw in (unix, trusting):
        raw.receive(raw.by_password(1, "ann"), raw.request(3, "who"))
        assert raw.contents(3) == [result("0006", b"ann")]


@pytest.mark.parametrize("is_known", [True, False])
def test_where_nobody_can_log_in_the_command_is_unknown(*, is_known: bool) -> None:
    closed = logins_of(Users(passwords=False, tokens=False))
    raw = Raw("0006", WHO, logins=closed if is_known else None, is_tls=True)
    raw.receive(b"".join(peers.request_frames("0006", 1, b"login", {b"name": b"ann"})))
    said = refusal("0006", b"wire protocol command not available: %s", b"login")
    assert raw.answers[1] == said


# --- certificates --------------------------------------------------------------------------------


class Certified(Connected):
    """A connection whose client has shown a certificate."""

    def __init__(self, user: str, users: Users, access: AccessRules | None = None) -> None:
        logins: Any = logins_of(users)
        logins.certificate_user = lambda _: user
        super().__init__(access=access, users=users, logins=logins)


def test_a_certificate_names_the_user_from_the_first_request_on() -> None:
    raw = Certified("mia", Users(), AccessRules(allow_read=("@devs",)))
    raw.ask(1, "who")
    assert raw.contents(1) == [result("0006", b"mia devs")]
    assert raw.users.asked == [(Named("mia"), "10.0.0.1")]


def test_a_login_takes_the_place_of_a_certificate() -> None:
    raw = Certified("mia", Users())
    raw.receive(raw.by_password(1, "ann"), raw.request(3, "who"))
    assert raw.contents(3) == [result("0006", b"ann")]


# --- again ---------------------------------------------------------------------------------------


def test_groups_that_change_count_when_the_login_is_looked_at_again() -> None:
    raw = Certified("mia", Users(), AccessRules(allow_read=("@devs",)))
    raw.ask(1, "who")
    raw.users.groups = {}
    raw.ask(3, "who")
    raw.clock.advance(AGAIN)
    raw.ask(5, "who")
    assert raw.contents(1, 3) == [result("0006", b"mia devs")] * 2
    assert raw.content(5) == refusal("0006", b"read not authorized")


@pytest.mark.parametrize("is_slow", [False, True])
def test_who_is_removed_is_nobody_when_the_login_is_looked_at_again(*, is_slow: bool) -> None:
    raw = Connected()
    raw.receive(raw.by_password(1, "ann"))
    raw.users.refusal = LoginError()
    raw.users.is_slow = is_slow
    raw.clock.advance(AGAIN)
    raw.ask(3, "who")
    if is_slow:
        # It takes a while, and nobody waits for it: once for each time.
        raw.ask(5, "who")
        (gate,) = raw.users.waiting
        gate.callback(None)
        assert raw.contents(3, 5) == [result("0006", b"ann")] * 2
    raw.ask(7, "who")
    raw.clock.advance(AGAIN)
    raw.ask(9, "who")
    assert raw.contents(7, 9) == [result("0006", b"nobody")] * 2
    assert len(raw.users.asked) == 2


@pytest.mark.parametrize("is_slow", [False, True])
def test_who_cannot_be_looked_at_again_now_stays(*, is_slow: bool) -> None:
    raw = Connected()
    raw.receive(raw.by_password(1, "ann"))
    raw.users.refusal = LoginBusyError("busy", 1.0)
    raw.users.is_slow = is_slow
    for request_id in (3, 5):
        raw.clock.advance(AGAIN)
        raw.ask(request_id, "who")
        while raw.users.waiting:
            raw.users.waiting.pop().callback(None)
    assert raw.contents(3, 5) == [result("0006", b"ann")] * 2
    assert len(raw.users.asked) == 3


def test_a_login_that_is_right_again_stays() -> None:
    raw = Connected()
    raw.receive(raw.by_password(1, "ann"))
    raw.users.is_slow = True
    raw.clock.advance(AGAIN)
    raw.ask(3, "who")
    raw.users.waiting[0].callback(None)
    raw.ask(5, "who")
    assert raw.contents(3, 5) == [result("0006", b"ann")] * 2


# --- the end -------------------------------------------------------------------------------------


def test_a_lost_connection_waits_for_no_login() -> None:
    raw = Connected()
    raw.users.is_slow = True
    raw.receive(raw.by_password(1, "ann"), raw.request(3, "who"))
    with capturedLogs() as logged:
        raw.lose()
    assert raw.users.waiting[0].called
    assert (raw.wire, logged) == (b"", [])


def test_a_lost_connection_waits_for_no_second_look() -> None:
    raw = Connected()
    raw.receive(raw.by_password(1, "ann"))
    raw.users.is_slow = True
    raw.clock.advance(AGAIN)
    raw.ask(3, "who")
    with capturedLogs() as logged:
        raw.lose()
    assert raw.users.waiting[0].called
    assert logged == []
