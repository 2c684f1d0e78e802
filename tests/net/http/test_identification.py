"""Who sends a request: passwords, tokens, proxies, and the answers where nobody may.

All of it on the real site in memory. What a user may then do stands in `test_permissions.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.logins import Users, basic, identification_of
from support.web import (
    MEDIA,
    FakeHost,
    Web,
    ask,
    fixed_answer,
    posted,
    requests,
    settings_of,
    text_answer,
)
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wiredaemon.accounts.credentials import Named, Password
from wiredaemon.accounts.login import LoginBusyError, LoginError, TooManyFailuresError
from wiredaemon.commands import Command, Permission, RawBytes
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.http.proxies import Proxies, parse_proxies

if TYPE_CHECKING:
    from wiredaemon.commands import Context
    from wiredaemon.wire.limits import Limits

ERA: Final = "0003"
ASK: Final = (
    'WWW-Authenticate: Basic realm="test"',
    'WWW-Authenticate: Bearer realm="test"',
)
WRONG: Final = b"wrong user name or password\n"
ONE: Final = requests(ERA, b"who")
ANN_MAY: Final = AccessRules(allow_push=("ann",), allow_read=("ann",))
LOCAL: Final = "127.0.0.1"


def who(context: Context) -> RawBytes:
    """Say who the caller is."""
    peer = context.peer
    parts = [peer.user or "nobody", *sorted(peer.groups), *(["ro"] if peer.read_only else [])]
    shown = [peer.address, "tls" if peer.is_secure else "plain", *parts]
    return RawBytes(" ".join(shown).encode())


COMMANDS: Final = (
    Command(name="who", permission=Permission.RO, function=who),
    Command(name="write", permission=Permission.RW, function=who),
)


class Site(Web):
    """A site where users are known."""

    def __init__(
        self,
        access: AccessRules | None = None,
        *,
        users: Users | None = None,
        proxies: Proxies | None = None,
        plain_passwords: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.now = 0.0
        self.users = users or Users()
        self.host = FakeHost(COMMANDS, settings=settings_of(access=access or AccessRules()))
        super().__init__(
            ERA,
            host=self.host,
            limits=limits,
            identification=identification_of(
                self.users,
                proxies=proxies,
                plain_passwords=plain_passwords,
                seconds=lambda: self.now,
            ),
        )

    def who(
        self, *headers: str, secure: bool = True, command: str = "who", address: str = "192.168.1.1"
    ) -> str:
        """Return what `who` says, or the status line of the refusal."""
        connection = self.connect(secure=secure, address=address)
        first = shown(connection.exchange(request(*headers, command=command)))
        # By its known head, or anew: who asks is found out each time.
        assert shown(connection.exchange(request(*headers, command=command))) == first
        return first


def request(*headers: str, command: str = "who") -> bytes:
    permission = "rw" if command == "write" else "ro"
    body = requests(ERA, command.encode())
    given = [("Accept", MEDIA[ERA]), ("Content-Type", MEDIA[ERA])]
    whole = posted(ERA, command, body, permission=permission, headers=dict(given))
    more = b"".join(line.encode("latin-1") + b"\r\n" for line in headers)
    return whole.replace(b"Host: test\r\n", b"Host: test\r\n" + more)


def shown(answer: bytes) -> str:
    line, _, rest = answer.partition(b"\r\n")
    if line != b"HTTP/1.1 200 OK":
        return line.decode().removeprefix("HTTP/1.1 ")
    return rest.partition(b"\x02\x01\x42")[2].partition(b"\r\n")[0].decode()


# --- passwords and tokens ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ([], "nobody"),
        ([basic("ann")], "ann"),
        ([basic("ann").replace("Basic", "bASIC")], "ann"),
        ([basic("ann") + " "], "ann"),
        ([basic("mia")], "mia devs"),
        ([basic("zoé")], "zoé"),
        (["Bearer wd_0000000a_writer"], "ann"),
        (["bearer wd_0000000b_reader"], "ann ro"),
        ([basic("ann", b"wd_0000000b_reader")], "ann ro"),
    ],
)
def test_commands_see_who_has_logged_in(header: list[str], expected: str) -> None:
    found = Site().who(*(f"Authorization: {each}" for each in header))
    assert found == f"192.168.1.1:54321 tls {expected}"


def test_a_password_may_have_a_colon_and_any_bytes() -> None:
    site = Site()
    site.who(f"Authorization: {basic('ann', b'a:b' + bytes([0xFF]))}")
    assert site.users.asked[0] == (Password("ann", b"a:b\xff"), "192.168.1.1")


WRONGS: Final = [
    basic("ann", b"no"),
    basic("ann", b""),
    "Bearer wd_0000000d_nobody",
    # A token is its own user's password, and nobody else's.
    basic("bob", b"wd_0000000a_writer"),
]
UNREADABLE: Final = [
    "",
    "Basic",
    "Basic YW5u",
    "Basic YW5uOm5uYQ",
    "Basic YW5u OnEK",
    "Basic /zph",
    "Basic Om5uYQ==",
    "Bearer",
    "Bearer a b",
    "Digest username=ann",
    "Negotiate YWJj",
]


@pytest.mark.parametrize("header", [*WRONGS, *UNREADABLE])
@pytest.mark.parametrize("target", ["/", "/?cmd=capabilities", "/?cmd=heads", "/api", "/zz/zz"])
def test_wrong_credentials_are_refused_also_where_everybody_may_read(
    header: str, target: str
) -> None:
    answer = Site().exchange(ask("GET", target, {"Authorization": header}), secure=True)
    status, _, body = answer.partition(b"\r\n\r\n")
    lines = status.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 401 Unauthorized"
    assert [line for line in lines if line.startswith("WWW-")] == list(ASK)
    if header in WRONGS:
        assert body == WRONG
    else:
        assert body.startswith(b"the Authorization header ") or body == WRONG
    command = Site().who(f"Authorization: {header}")
    assert command == "401 Unauthorized"


def test_two_headers_are_as_good_as_none_that_can_be_read() -> None:
    line = f"Authorization: {basic('ann')}"
    assert Site().who(line, line) == "401 Unauthorized"


@pytest.mark.parametrize(
    ("users", "asks"),
    [(Users(), ASK), (Users(tokens=False), ASK[:1]), (Users(passwords=False), ASK)],
)
def test_basic_is_asked_for_first_and_tokens_where_there_are_any(
    users: Users, asks: tuple[str, ...]
) -> None:
    site = Site(ANN_MAY, users=users)
    answer = site.exchange(request(), secure=True)
    assert answer == fixed_answer("401 read not authorized", b"permission denied", *asks)


def test_where_tokens_are_unknown_a_password_may_look_like_one() -> None:
    site = Site(users=Users(tokens=False))
    site.who(f"Authorization: {basic('ann', b'wd_0000000a_writer')}")
    assert site.users.asked[0][0] == Password("ann", b"wd_0000000a_writer")


def test_where_nobody_can_log_in_the_header_is_not_looked_at_and_nobody_is_asked() -> None:
    site = Site(users=Users(passwords=False, tokens=False))
    assert site.who(f"Authorization: {basic('ann', b'no')}").endswith(" nobody")
    site.host.now = settings_of(access=ANN_MAY)
    assert site.exchange(request(), secure=True) == fixed_answer(
        "401 read not authorized", b"permission denied"
    )
    assert site.users.asked == []


# --- where a login is asked for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "command", "status", "asks"),
    [
        (AccessRules(allow_push=("ann",)), "write", "401 push not authorized", True),
        (AccessRules(allow_push=("@devs",)), "write", "401 push not authorized", True),
        (AccessRules(), "write", "401 push not authorized", False),
        (AccessRules(allow_push=("ann",), deny_push=("*",)), "write", "401 push not", False),
        (AccessRules(allow_read=("ann",)), "who", "401 read not authorized", True),
        (AccessRules(deny_read=("bob",)), "who", "401 read not authorized", True),
        (AccessRules(deny_read=("*",)), "who", "401 read not authorized", False),
        (AccessRules(allow_pull=False), "who", "401 pull not authorized", False),
    ],
)
def test_a_login_is_asked_for_where_one_helps(
    access: AccessRules, command: str, status: str, *, asks: bool
) -> None:
    site = Site(access)
    answer = site.exchange(request(command=command), secure=True)
    assert answer.startswith(f"HTTP/1.1 {status}".encode())
    assert (b"WWW-Authenticate" in answer) is asks


def test_version_1_asks_as_well() -> None:
    site = Site(ANN_MAY)
    answer = site.exchange(ask("GET", "/?cmd=capabilities"), secure=True)
    assert answer == fixed_answer("401 read not authorized", b"0\nread not authorized\n", *ASK)


@pytest.mark.parametrize("command", ["who", "write"])
def test_who_has_logged_in_and_may_not_is_not_asked_again(command: str) -> None:
    site = Site(ANN_MAY)
    header = f"Authorization: {basic('bob')}"
    answer = site.exchange(request(header, command=command), secure=True)
    assert answer == fixed_answer("403 read not authorized", b"permission denied")


def test_a_read_only_token_is_refused_in_words() -> None:
    site = Site(ANN_MAY)
    reader = "Authorization: Bearer wd_0000000b_reader"
    assert site.who(reader).endswith(" ann ro")
    said = "403 push not authorized: this login may only read"
    assert site.who(reader, command="write") == said
    assert site.who("Authorization: Bearer wd_0000000a_writer", command="write").endswith(" ann")


# --- plain connections ---------------------------------------------------------------------------


@pytest.mark.parametrize("header", [basic("ann"), basic("ann", b"no"), "Bearer wd_0000000a_writer"])
def test_no_password_is_looked_at_that_others_could_read(header: str) -> None:
    site = Site()
    answer = site.exchange(request(f"Authorization: {header}"))
    body = b"passwords and tokens are accepted over TLS only\n"
    assert answer == text_answer("403 ssl required", body)
    assert site.users.asked == []


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [
        ("/?cmd=capabilities", b"0\nread not authorized\n", b"0\nssl required\n"),
        ("", b"permission denied", b"permission denied"),
    ],
)
def test_over_a_plain_connection_tls_is_asked_for_instead(
    target: str, before: bytes, after: bytes
) -> None:
    asked = ask("GET", target) if target else request()
    assert Site(ANN_MAY).exchange(asked, secure=True) == fixed_answer(
        "401 read not authorized", before, *ASK
    )
    assert Site(ANN_MAY).exchange(asked) == fixed_answer("403 ssl required", after)


def test_a_password_may_be_sent_on_this_machine_or_where_the_network_is_trusted() -> None:
    header = f"Authorization: {basic('ann')}"
    local = Site().who(header, secure=False, address=LOCAL)
    assert local == "127.0.0.1:54321 plain ann"
    trusting = Site(plain_passwords=True)
    assert trusting.who(header, secure=False) == "192.168.1.1:54321 plain ann"
    asked = Site(ANN_MAY, plain_passwords=True).exchange(request())
    assert asked == fixed_answer("401 read not authorized", b"permission denied", *ASK)


# --- logins that take time -----------------------------------------------------------------------


def test_a_request_waits_for_its_login_and_no_body_is_read_before() -> None:
    site = Site()
    site.users.is_slow = True
    connection = site.connect(secure=True)
    header = f"Authorization: {basic('ann')}"
    assert connection.exchange(request(header)[:-10]) == b""
    assert connection.transport.producerState == "paused"
    site.users.waiting[0].callback(None)
    assert connection.transport.producerState == "producing"
    assert shown(connection.exchange(request(header)[-10:])).endswith(" ann")
    site.users.is_slow = False
    assert shown(connection.exchange(request(header))).endswith(" ann")


@pytest.mark.parametrize(("password", "is_right"), [(None, True), (b"no", False)])
def test_a_known_head_waits_as_well(password: bytes | None, *, is_right: bool) -> None:
    site = Site()
    connection = site.connect(secure=True)
    header = f"Authorization: {basic('ann')}"
    connection.exchange(request(header))
    site.users.is_slow = True
    site.users.refusal = None if is_right else LoginError()
    assert connection.exchange(request(header) * 2) == b""
    site.users.is_slow = False
    site.users.waiting[0].callback(None)
    answer = connection.take()
    assert answer.count(b"192.168.1.1:54321 tls ann" if is_right else b"401 Unauth") == 2
    assert password is None or not is_right


@pytest.mark.parametrize("is_right", [True, False])
def test_continue_is_not_said_before_the_login_is_known(*, is_right: bool) -> None:
    site = Site()
    site.users.is_slow = True
    connection = site.connect(secure=True)
    header = f"Authorization: {basic('ann', None if is_right else b'no')}"
    assert connection.exchange(request(header, "Expect: 100-continue")[: -len(ONE)]) == b""
    site.users.waiting[0].callback(None)
    if is_right:
        assert connection.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert shown(connection.exchange(ONE)).endswith(" ann")
    else:
        refusal = text_answer("401 Unauthorized", WRONG, *ASK)
        closing = b"\r\nConnection: close\r\n\r\n"
        assert connection.take() == refusal.replace(b"\r\n\r\n", closing, 1)


def test_a_client_that_leaves_meanwhile_is_forgotten() -> None:
    site = Site()
    site.users.is_slow = True
    connection = site.connect(secure=True)
    connection.send(request(f"Authorization: {basic('ann')}"))
    with capturedLogs() as logged:
        connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert site.users.waiting[0].called
    assert (connection.take(), logged) == (b"", [])


def test_a_fault_of_ours_closes_the_connection() -> None:
    site = Site()
    site.users.is_slow = True
    connection = site.connect(secure=True)
    connection.send(request(f"Authorization: {basic('ann')}"))
    with capturedLogs() as logged:
        site.users.waiting[0].errback(ValueError("broken"))
    assert connection.is_closed
    assert connection.take() == b""
    assert len(logged) == 1


# --- known heads ---------------------------------------------------------------------------------


def test_a_known_head_is_one_users_and_asked_about_each_time() -> None:
    site = Site(ANN_MAY)
    connection = site.connect(secure=True)
    ann, bob = (request(f"Authorization: {basic(name)}") for name in ("ann", "bob"))
    for _ in range(3):
        assert shown(connection.exchange(ann)).endswith(" ann")
        assert shown(connection.exchange(bob)) == "403 read not authorized"
        assert shown(connection.exchange(request())) == "401 read not authorized"
    site.users.refusal = LoginError()
    assert shown(connection.exchange(ann)) == "401 Unauthorized"
    site.users.refusal = None
    assert shown(connection.exchange(ann)).endswith(" ann")


def test_groups_that_change_count_for_a_known_head() -> None:
    site = Site(AccessRules(allow_read=("@devs",)))
    connection = site.connect(secure=True)
    mia = request(f"Authorization: {basic('mia')}")
    assert shown(connection.exchange(mia)).endswith(" mia devs")
    site.users.groups = {}
    assert shown(connection.exchange(mia)) == "403 read not authorized"


def test_the_next_request_of_a_connection_within_a_second_asks_nobody() -> None:
    site = Site(ANN_MAY)
    site.users.is_changing = False
    ann, other = site.connect(secure=True), site.connect(secure=True)
    head = request(f"Authorization: {basic('ann')}")
    # Read, known, and known to the connection.
    for _ in range(4):
        assert shown(ann.exchange(head)).endswith(" ann")
    asked = len(site.users.asked)
    assert shown(ann.exchange(head)).endswith(" ann")
    assert len(site.users.asked) == asked
    # Another connection may be another client's.
    assert shown(other.exchange(head)).endswith(" ann")
    assert len(site.users.asked) == asked + 1
    site.now = 0.99
    assert shown(ann.exchange(head)).endswith(" ann")
    assert len(site.users.asked) == asked + 1
    site.now = 1.01
    assert shown(ann.exchange(head)).endswith(" ann")
    assert len(site.users.asked) == asked + 2


def test_files_that_change_and_failed_logins_end_what_a_connection_knows() -> None:
    site = Site(ANN_MAY)
    site.users.is_changing = False
    connection = site.connect(secure=True)
    head = request(f"Authorization: {basic('ann')}")
    for _ in range(3):
        assert shown(connection.exchange(head)).endswith(" ann")
    site.users.refusal = LoginError()
    assert shown(connection.exchange(head)).endswith(" ann")
    site.users.changes += 1
    assert shown(connection.exchange(head)) == "401 Unauthorized"


def test_what_a_connection_knows_is_for_the_same_credentials() -> None:
    site = Site(ANN_MAY)
    site.users.is_changing = False
    connection = site.connect(secure=True)
    ann, bob = (request(f"Authorization: {basic(name)}") for name in ("ann", "bob"))
    for _ in range(3):
        assert shown(connection.exchange(ann)).endswith(" ann")
        assert shown(connection.exchange(bob)) == "403 read not authorized"
        assert shown(connection.exchange(request())) == "401 read not authorized"


def test_heads_with_credentials_reach_no_plain_connection() -> None:
    site = Site(ANN_MAY)
    ann = request(f"Authorization: {basic('ann')}")
    for _ in range(2):
        assert shown(site.connect(secure=True).exchange(ann)).endswith(" ann")
        assert shown(site.connect().exchange(ann)) == "403 ssl required"


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (
            TooManyFailuresError("5 failures (login_failures)", 41.2),
            "429 too many failed logins: try again in 42 seconds",
        ),
        (
            LoginBusyError("too many at once (login_queue)", 1.0),
            "503 too many logins at once: try again in 1 seconds",
        ),
    ],
)
@pytest.mark.parametrize("is_slow", [False, True])
def test_who_must_wait_is_told_how_long(
    error: TooManyFailuresError, status: str, *, is_slow: bool
) -> None:
    site = Site()
    site.users.refusal = error
    site.users.is_slow = is_slow
    connection = site.connect(secure=True)
    connection.send(request(f"Authorization: {basic('ann')}"))
    if is_slow:
        site.users.waiting[0].callback(None)
    seconds = status.split()[-2]
    body = error.message.encode() + b"\n"
    assert connection.take() == text_answer(status, body, f"Retry-After: {seconds}")


# --- proxies -------------------------------------------------------------------------------------

PROXIES: Final = parse_proxies(["192.168.1.1"], user_header="X-User")
FORWARDED: Final = ("X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https")


def test_a_trusted_proxy_says_who_is_behind_it() -> None:
    site = Site(proxies=PROXIES)
    found = site.who(*FORWARDED, "X-User: mia", secure=False)
    assert found == "203.0.113.5:0 tls mia devs"
    assert site.users.asked[0] == (Named("mia"), "203.0.113.5")
    # What it passes on besides was meant for the proxy itself.
    found = site.who(
        *FORWARDED, "X-User: mia", f"Authorization: {basic('ann', b'no')}", secure=False
    )
    assert found == "203.0.113.5:0 tls mia devs"


def test_a_head_that_a_proxy_has_sent_is_read_when_another_sends_it() -> None:
    site = Site(proxies=PROXIES)
    line = f"Authorization: {basic('ann', b'no')}"
    for _ in range(2):
        proxy, other = site.connect(secure=True), site.connect(secure=True, address="10.0.0.1")
        same = request("X-User: mia", line)
        assert shown(proxy.exchange(same)).endswith(" mia devs")
        assert shown(other.exchange(same)) == "401 Unauthorized"


def test_each_request_of_a_proxy_is_another_clients() -> None:
    site = Site(AccessRules(allow_push=("ann",)), proxies=PROXIES)
    connection = site.connect()
    for _ in range(2):
        for user, scheme, status in [
            ("ann", "https", " tls ann"),
            ("ann", "http", "403 ssl required"),
            ("bob", "https", "403 push not authorized"),
            ("", "https", "401 push not authorized"),
        ]:
            lines = (f"X-Forwarded-Proto: {scheme}", f"X-User: {user}")
            found = shown(connection.exchange(request(*lines, command="write")))
            assert found.endswith(status)


@pytest.mark.parametrize("address", ["192.168.1.2", LOCAL])
def test_nobody_elses_headers_count(address: str) -> None:
    site = Site(proxies=PROXIES)
    found = site.who(*FORWARDED, "X-User: mia", secure=False, address=address)
    assert found == f"{address}:54321 plain nobody"
    assert site.users.asked == []


def test_no_login_of_a_proxys_request_is_known_to_the_next_one() -> None:
    site = Site(ANN_MAY, proxies=PROXIES)
    site.users.is_changing = False
    connection = site.connect(secure=True)
    line = f"Authorization: {basic('ann')}"
    for number in range(3):
        for host in ("203.0.113.5", "203.0.113.6"):
            lines = (f"X-Forwarded-For: {host}", FORWARDED[1], line)
            assert shown(connection.exchange(request(*lines))) == f"{host}:0 tls ann"
            assert site.users.asked[-1][1] == host, number
    assert len(site.users.asked) == 6


def test_a_password_behind_a_proxy_needs_https_in_front_of_it() -> None:
    site = Site(proxies=PROXIES)
    header = f"Authorization: {basic('ann')}"
    assert site.who(header, *FORWARDED, secure=False) == "203.0.113.5:0 tls ann"
    assert site.who(header, FORWARDED[0], secure=False) == "403 ssl required"
    plain = ("X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: http")
    assert site.who(header, *plain, secure=True) == "403 ssl required"
    assert site.users.asked[0][1] == "203.0.113.5"


def test_an_open_site_answers_as_one_without_users() -> None:
    plain = Web(ERA, host=FakeHost(COMMANDS))
    assert Site().exchange(request()) == plain.exchange(request())
    refused = Web(ERA, host=FakeHost(COMMANDS, settings=settings_of(access=AccessRules())))
    assert Site().exchange(request(command="write")) == refused.exchange(request(command="write"))
