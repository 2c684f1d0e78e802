"""The checkers of the portal: one for each kind of credentials."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from wiredaemon.accounts.bcrypt_hashes import is_password
from wiredaemon.accounts.credentials import INamed, IPassword, IToken
from wiredaemon.accounts.login import ANY_TEXT, LoginError, encode_avatar_id
from wiredaemon.accounts.names import vouched_name_problem
from wiredaemon.accounts.tokens import find_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.accounts.accounts import Accounts
    from wiredaemon.accounts.credentials import Named, Password, Token

    class CallInThread(Protocol):
        """Runs a check in a thread."""

        def __call__(
            self, check: Callable[[bytes, str], bool], password: bytes, hashed: str
        ) -> Deferred[bool]:
            """Call the check with its two arguments."""
            ...


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Verifies passwords, in a thread.

    A user whom nobody knows takes as long as one of the known ones: which one depends on the name
    alone, so that hashes of different costs give nothing away either.
    """

    credentialInterfaces = (IPassword,)

    def __init__(self, accounts: Accounts, call_in_thread: CallInThread) -> None:
        self._accounts = accounts
        self._call_in_thread = call_in_thread
        # Of this process alone, so that nobody outside knows whose hash stands in for a name.
        self._key: Final = secrets.token_bytes(16)

    def requestAvatarId(self, credentials: Password) -> Deferred[bytes | tuple[()]]:  # noqa: D102 of ICredentialsChecker
        digest = hashlib.blake2b(credentials.name.encode(*ANY_TEXT), key=self._key).digest()
        is_known, hashed = self._accounts.htpasswd.find(
            credentials.name, int.from_bytes(digest[:8], "big")
        )

        def identify(is_right: bool) -> bytes | tuple[()]:  # noqa: FBT001 a callback
            # Both in the end: the hash of an unknown name is another user's, whose password may be
            # the one that was sent.
            if is_right and is_known:
                return encode_avatar_id(credentials.name)
            raise LoginError

        checked = self._call_in_thread(is_password, credentials.password, hashed)
        return checked.addCallback(identify)


@implementer(ICredentialsChecker)
class TokenChecker:
    """Verifies tokens.

    Args:
        accounts: The tokens.
        now: Returns the time, in seconds since 1970.
    """

    credentialInterfaces = (IToken,)

    def __init__(self, accounts: Accounts, now: Callable[[], float]) -> None:
        self._accounts = accounts
        self._now = now

    def requestAvatarId(self, credentials: Token) -> Deferred[bytes | tuple[()]]:  # noqa: D102 of ICredentialsChecker
        token = find_token(self._accounts.tokens, credentials.secret)
        if token is None or token.is_expired(self._now()):
            raise LoginError
        return succeed(encode_avatar_id(token.user, read_only=token.read_only))


@implementer(ICredentialsChecker)
class NamedChecker:
    """Accepts the users whom somebody else has verified, unless their names mean something else."""

    credentialInterfaces = (INamed,)

    def requestAvatarId(self, credentials: Named) -> Deferred[bytes | tuple[()]]:  # noqa: D102 of ICredentialsChecker
        if problem := vouched_name_problem(credentials.name):
            raise LoginError(f"this is no name of a user: {problem}")
        return succeed(encode_avatar_id(credentials.name))
