"""Users who can log in, without files and without time: what a test knows of each stands here.

Stands in for `Authenticator`, whose own tests read real files and hash real passwords.
"""

from __future__ import annotations

import base64
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.login import Login, LoginError
from wiredaemon.net.http.identification import Identification
from wiredaemon.net.logins import Logins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.net.http.proxies import Proxies

GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "mia": frozenset({"devs"}),
    "out": frozenset({"devs", "locked"}),
}
"""The groups of users who are in any."""

TOKENS: Final[Mapping[bytes, Login]] = {
    b"wd_0000000a_writer": Login(user="ann"),
    b"wd_0000000b_reader": Login(user="ann", read_only=True),
    b"wd_0000000c_limited": Login(user="writer", read_only=True),
}


class Users:
    """Everybody's password is the name backwards; `TOKENS` are the tokens."""

    def __init__(self, *, passwords: bool = True, tokens: bool = True) -> None:
        self.accepts_passwords = passwords
        self.accepts_tokens = tokens
        self.refusal: LoginError | None = None
        """Is given instead of any login."""
        self.is_slow = False
        """Logins are not known at once."""
        self.waiting: list[Deferred[None]] = []
        """A Deferred for each login that is not known yet."""
        self.other_names: list[tuple[str, str, str]] = []
        """Users of tokens that came under another name, with that name and the address."""
        self.asked: list[tuple[Any, str]] = []
        """What was asked for, with the address."""
        self.groups: dict[str, frozenset[str]] = dict(GROUPS)
        self.changes = 0
        """Changes of files and failed logins so far."""
        self.is_changing = True
        """Something changes between any two looks."""

    @property
    def is_open(self) -> bool:
        """There is a way to log in."""
        return self.accepts_passwords or self.accepts_tokens

    def look(self) -> tuple[int, int]:
        """Return a number that changes when a login may be another."""
        self.changes += self.is_changing
        return self.changes, 0

    def note_other_name(self, login: Login, name: str, address: str) -> None:
        """Note it."""
        self.other_names.append((login.user, name, address))

    def authenticate(
        self, credentials: Password | Token | Named, address: str
    ) -> Login | Deferred[Login]:
        """Return the login."""
        self.asked.append((credentials, address))
        if not self.is_slow:
            return self._login(credentials)
        gate: Deferred[None] = Deferred()
        self.waiting.append(gate)
        return gate.addCallback(lambda _: self._login(credentials))

    def _login(self, credentials: Password | Token | Named) -> Login:
        if self.refusal is not None:
            raise self.refusal
        match credentials:
            case Password(name, password) if self.accepts_passwords:
                if password != password_of(name):
                    raise LoginError
                return self._named(name)
            case Token(secret) if self.accepts_tokens and secret in TOKENS:
                return TOKENS[secret]
            case Named(name):
                return self._named(name)
        raise LoginError

    def _named(self, name: str) -> Login:
        return Login(user=name, groups=self.groups.get(name, frozenset()))


def password_of(name: str) -> bytes:
    """Return the password of a user."""
    return name[::-1].encode()


def logins_of(
    users: Users,
    *,
    plain_passwords: bool = False,
    certificate_user: str = "cn",
    seconds: Callable[[], float] = monotonic,
) -> Logins:
    """Return what logs peers in."""
    anybody: Any = users
    return Logins(
        anybody,
        plain_passwords=plain_passwords,
        certificate_user=certificate_user,
        seconds=seconds,
    )


def identification_of(
    users: Users,
    *,
    proxies: Proxies | None = None,
    plain_passwords: bool = False,
    seconds: Callable[[], float] = monotonic,
) -> Identification:
    """Return what finds out who sends a request."""
    logins = logins_of(users, plain_passwords=plain_passwords, seconds=seconds)
    return Identification(logins, realm="test", proxies=proxies)


def basic(name: str, password: bytes | None = None) -> str:
    """Return the value of `Authorization` for a user and a password, by default the right one."""
    secret = password_of(name) if password is None else password
    return f"Basic {base64.b64encode(name.encode() + b':' + secret).decode()}"
