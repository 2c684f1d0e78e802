"""Passwords that were right a moment ago, so that they need not be checked at each request."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.login import ANY_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.accounts.credentials import Password
    from wiredaemon.accounts.login import Login


@dataclass(frozen=True, slots=True)
class _Verified:
    digest: bytes
    login: Login
    at: float


class VerifiedLogins:
    """The logins of verified passwords, one for each user: no more than the file has users.

    Passwords are not kept, only a hash under a key that this process alone has, and forgets.

    Args:
        seconds: The time that a login is kept; 0 keeps none.
        now: Returns the time in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._key: Final = secrets.token_bytes(32)
        self._verified: dict[str, _Verified] = {}

    def digest(self, credentials: Password) -> bytes:
        """Return what stands for a name and a password, and says nothing about them."""
        name = credentials.name.encode(*ANY_TEXT)
        # The length stands in front, so that no other name and password are joined to the same.
        text = b"%d:%b%b" % (len(name), name, credentials.password)
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()

    def find(self, user: str, digest: bytes) -> Login | None:
        """Return the login that a digest gave; None if there is none, or if it is too old."""
        verified = self._verified.get(user)
        if verified is None or not hmac.compare_digest(verified.digest, digest):
            return None
        # A clock that was set back makes no login older than it is.
        if 0 <= self._now() - verified.at < self._seconds:
            return verified.login
        del self._verified[user]
        return None

    def keep(self, digest: bytes, login: Login) -> None:
        """Keep a login that has just been verified."""
        if self._seconds:
            self._verified[login.user] = _Verified(digest, login, self._now())

    def clear(self) -> None:
        """Forget all logins: the files have changed."""
        self._verified.clear()
