"""Logs peers in, on every transport: who may send a password, and what comes of it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from wiredaemon.accounts.credentials import Password, Token
from wiredaemon.accounts.login import Login, LoginError
from wiredaemon.accounts.tokens import TOKEN_START
from wiredaemon.commands import Peer
from wiredaemon.net.certificate_users import certificate_user
from wiredaemon.net.peer import host_of, is_local

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from wiredaemon.accounts.credentials import Named


AGAIN_SECONDS: Final = 1.0
"""Seconds after which a login is looked at again, or `Limits.login_cache_seconds` if that is less.

Looking takes some 10 us, and hashing of a token."""


class LoginSource(Protocol):
    """Finds out who a peer is: the daemon's `Authenticator`, or the functions of a program."""

    @property
    def accepts_tokens(self) -> bool:
        """A token can be right."""

    @property
    def is_open(self) -> bool:
        """A password or a token can be right at all."""

    def look(self) -> tuple[int, int]:
        """Return numbers that change when what is known has changed, or a login has failed."""

    def authenticate(
        self, credentials: Password | Token | Named, address: str
    ) -> Login | Deferred[Login]:
        """Return the login that credentials give; raises `LoginError`, or fails with it."""

    def note_other_name(self, login: Login, name: str, address: str) -> None:
        """Log that a right token came under another user's name."""


class Moment(NamedTuple):
    """The time of a login."""

    until: float
    """The time at which another must take its place."""
    seen: tuple[int, int]
    """The numbers of `LoginSource.look` then."""


class Logins:
    """The logins of all listeners.

    Args:
        authenticator: Knows users, passwords, tokens and groups.
        plain_passwords: Accept passwords and tokens also over connections that others could read.
        certificate_user: The part of a client certificate that names its user.
        again: Seconds for which a login may be known without a look at all that speaks against it.
        seconds: Returns the time.
    """

    def __init__(
        self,
        authenticator: LoginSource,
        *,
        plain_passwords: bool = False,
        certificate_user: str = "cn",
        again: float = AGAIN_SECONDS,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._authenticator = authenticator
        self._plain_passwords = plain_passwords
        self._certificate_user = certificate_user
        self._again = min(again, AGAIN_SECONDS)
        self._seconds = seconds
        self.is_open = authenticator.is_open
        """A password or a token can be right at all."""
        self.accepts_tokens = authenticator.accepts_tokens
        """A token can be right."""

    def may_send(self, peer: Peer) -> bool:
        """Return whether a peer may send passwords and tokens: nobody between can read them."""
        return peer.is_secure or self._plain_passwords or is_local(peer.address)

    def certificate_user(self, transport: Any) -> str | None:  # noqa: ANN401 zope interfaces do not intersect
        """Return the user that a client's certificate names; None if there is none."""
        return certificate_user(transport, self._certificate_user)

    def moment(self) -> Moment:
        """Return until when a login of now is known, if nothing changes."""
        return Moment(self._seconds() + self._again, self._authenticator.look())

    def still_counts(self, moment: Moment) -> bool:
        """Return whether a login of that moment is known without another."""
        return self._seconds() < moment.until and self._authenticator.look() == moment.seen

    def log_in(self, credentials: Password | Token | Named, peer: Peer) -> Peer | Deferred[Peer]:
        """Return the peer, logged in; at once where the result is known.

        A token may come as the password of its user, for clients that know nothing else.

        Raises, or fails with:
            LoginError: The credentials are wrong, or cannot be verified now.
        """
        name = None
        if (
            isinstance(credentials, Password)
            # `hg` has a place for a password and none for a token. No password begins so:
            # `password_problem` refuses it.
            and credentials.password.startswith(TOKEN_START)
            and self._authenticator.accepts_tokens
        ):
            name, credentials = credentials.name, Token(credentials.password)
        asked = self._authenticator.authenticate(credentials, host_of(peer))
        if isinstance(asked, Login):
            return self._logged_in(peer, asked, name)
        return asked.addCallback(lambda login: self._logged_in(peer, login, name))

    def _logged_in(self, peer: Peer, login: Login, name: str | None) -> Peer:
        # A token is a user's own: it must not get another name past those who read logs.
        if name is not None and name != login.user:
            self._authenticator.note_other_name(login, name, host_of(peer))
            raise LoginError
        return _peer_of(peer, login)


def _peer_of(peer: Peer, login: Login) -> Peer:
    return Peer(
        address=peer.address,
        is_secure=peer.is_secure,
        user=login.user,
        groups=login.groups,
        read_only=login.read_only,
    )
