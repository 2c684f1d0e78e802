"""The login of one raw connection: the client certificate, then the built-in command ``login``.

A raw connection has no head that each request could bring credentials in. So it logs in once, and
who it is counts for all later requests. Credentials are looked at again from time to time: a user
who was removed, or has left a group, does not keep a right because a connection stays open.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.login import LoginError, LoginFaultError, RetryLaterError
from wiredaemon.commands import (
    Argument,
    ArgumentType,
    Command,
    CommandError,
    Peer,
    Permission,
    ServerError,
    TextForm,
)
from wiredaemon.commands.registry import Registry
from wiredaemon.commands.running import read_arguments
from wiredaemon.net.hosting.access import SECURE, AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import CommandsOnly
from wiredaemon.net.logins import AGAIN_SECONDS
from wiredaemon.net.peer import peer_of
from wiredaemon.net.responding.context import Origin
from wiredaemon.net.responding.interfaces import Admitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.commands import Context, Value
    from wiredaemon.net.logins import Logins
    from wiredaemon.wire.dialects import Dialect

LOGIN: Final = b"login"
_log: Final = Logger()


def _login(context: Context, name: bytes, password: bytes, token: bytes) -> Value:  # noqa: ARG001 admission has used them
    """Return who the peer is now."""
    peer = context.peer
    groups: list[Value] = [group.encode() for group in sorted(peer.groups)]
    shown: dict[bytes, Value] = {b"user": (peer.user or "").encode(), b"groups": groups}
    shown[b"read-only"] = peer.read_only
    return shown


_ARGUMENT: Final = Argument(type=ArgumentType.BYTES, default=b"")
_COMMAND: Final = Command(
    name=LOGIN.decode(),
    permission=Permission.RO,
    function=_login,
    arguments={"name": _ARGUMENT, "password": _ARGUMENT, "token": _ARGUMENT},
    text=TextForm(result=lambda result: result[b"user"]),
    module=__name__,
)
"""Its result is a map: ``user`` (byte string), ``groups`` (array), ``read-only`` (boolean)."""

_HOST: Final = CommandsOnly(Registry([_COMMAND]), ApiSwitches(), AccessRules())
"""The command belongs to no repository, and everybody may call it."""


class RawLogin:
    """The login of the peer of one raw connection.

    Args:
        logins: Logs peers in.
        transport: The connection, whose TLS handshake, if any, is done.
        seconds: Returns the time.
        again: ``login_cache_seconds``.
    """

    def __init__(
        self,
        logins: Logins,
        transport: Any,  # noqa: ANN401 zope interfaces do not intersect
        seconds: Callable[[], float],
        again: float,
    ) -> None:
        self._logins = logins
        self._seconds = seconds
        self._again = min(again, AGAIN_SECONDS)
        self._client = peer_of(transport)
        self._credentials: Password | Token | Named | None = None
        self._asked: Deferred[Peer] | None = None
        self._due = math.inf
        """The time at which the credentials are looked at again."""
        self.peer = self._client
        """The peer as it is logged in now."""
        named = logins.certificate_user(transport)
        if named is not None:
            self._credentials = Named(named)
            self._renew()

    @property
    def is_offered(self) -> bool:
        """Whether there is a command to log in with."""
        return self._logins.is_open

    def admit(self, arguments: object, dialect: Dialect) -> Admitted | Deferred[Admitted]:
        """Return the command ``login``, once the login has succeeded.

        A login that fails leaves the peer as it was.

        Raises, or fails with:
            CommandError: The login failed; it says why.
            ServerError: The credentials could not be checked.
        """
        if not self._logins.may_send(self._client):
            raise CommandError(SECURE)
        credentials = _read(read_arguments(_COMMAND, arguments, dialect))

        def succeed(peer: Peer) -> Admitted:
            self._asked, self._credentials = None, credentials
            self._learn(peer)
            return self._admitted(dialect)

        def fail(failure: Failure) -> Admitted:
            self._asked = None
            if failure.check(CancelledError):
                raise CommandError("the connection was lost")
            raise _refusal(failure.value)

        try:
            asked = self._logins.log_in(credentials, self._client)
        except LoginError as error:
            raise _refusal(error) from None
        if isinstance(asked, Peer):
            return succeed(asked)
        self._asked = asked
        return asked.addCallbacks(succeed, fail)

    def _admitted(self, dialect: Dialect) -> Admitted:
        origin = Origin(
            host=_HOST,
            settings=_HOST.settings(),
            framings=[dialect],
            dialect=dialect,
            peer=self.peer,
            permission=Permission.RO,
        )
        return Admitted(_COMMAND, origin)

    # --- again -------------------------------------------------------------------------------

    def renew(self) -> None:
        """Look at the credentials again, if it is time; until that is done, the peer stays."""
        if self._seconds() >= self._due and self._asked is None:
            self._renew()

    def _renew(self) -> None:
        if self._credentials is None:
            return
        self._due = self._seconds() + self._again
        try:
            asked = self._logins.log_in(self._credentials, self._client)
        except LoginError as error:
            self._lose(error)
            return
        if isinstance(asked, Peer):
            self._learn(asked)
            return
        self._asked = asked
        asked.addCallbacks(self._renewed, self._not_renewed)
        asked.addErrback(lambda failure: _log.failure("a login was not looked at again", failure))

    def _renewed(self, peer: Peer) -> None:
        self._asked = None
        self._learn(peer)

    def _not_renewed(self, failure: Failure) -> Failure | None:
        self._asked = None
        if failure.check(CancelledError):
            return None
        self._lose(failure.value)
        return None if failure.check(LoginError) else failure

    def _learn(self, peer: Peer) -> None:
        self.peer = peer
        self._due = self._seconds() + self._again

    def _lose(self, error: BaseException | None) -> None:
        """Make the peer nobody again, unless its credentials just cannot be looked at now."""
        if isinstance(error, RetryLaterError):
            return
        self.peer, self._credentials, self._due = self._client, None, math.inf

    def stop(self) -> None:
        """Wait for no check any longer: the connection is lost."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()


def _read(given: dict[str, Any]) -> Password | Token:
    name, password, token = given["name"], given["password"], given["token"]
    if token and not (name or password):
        return Token(token)
    if token or not name:
        raise CommandError("login needs either name and password, or token")
    try:
        return Password(name.decode(), password)
    except UnicodeDecodeError:
        raise CommandError("the name must be UTF-8") from None


def _refusal(error: BaseException | None) -> CommandError | ServerError:
    """Return the error of a login that failed; a fault of ours is raised as it is."""
    if not isinstance(error, LoginError):
        raise error or TypeError
    if isinstance(error, LoginFaultError):
        return ServerError(error.message)
    return CommandError(error.message.replace("%", "%%"))
