"""Logins, and the errors of credentials that give none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twisted.cred.error import LoginFailed
from zope.interface import Interface, implementer

WRONG: Final = "wrong user name or password"
"""The one text for all wrong credentials, so that nobody learns which users and tokens exist."""

ANY_TEXT: Final = ("utf-8", "surrogatepass")
"""The codec that makes bytes of any name, also of one that is no text."""

# twisted.cred passes bytes from checker to realm and nothing beside them.
_READ_ONLY: Final = b"ro:"
_FULL: Final = b"rw:"


class ILogin(Interface):
    """A user who has logged in: what the portal gives for credentials."""


@implementer(ILogin)
@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user who has logged in."""

    user: str
    groups: frozenset[str] = frozenset()
    """The groups that the user is in, without ``@``."""
    read_only: bool = False
    """The user logged in with something that allows reading only, such as a read-only token."""


def encode_avatar_id(user: str, *, read_only: bool = False) -> bytes:
    """Return the avatar id that a checker gives for a user whom it has verified."""
    return (_READ_ONLY if read_only else _FULL) + user.encode(*ANY_TEXT)


def parse_avatar_id(avatar_id: bytes) -> tuple[str, bool]:
    """Return the user of an avatar id, and whether the login is read-only."""
    start = len(_FULL)
    return avatar_id[start:].decode(*ANY_TEXT), avatar_id[:start] == _READ_ONLY


class LoginError(LoginFailed):
    """There is no login for these credentials.

    Attributes:
        message: The reason, in words that may be sent to the peer.
    """

    def __init__(self, message: str = WRONG) -> None:
        super().__init__(message)
        self.message = message


class LoginFaultError(LoginError):
    """The credentials could not be checked: a fault of the program, which was logged."""

    def __init__(self) -> None:
        """Say so without the reason, which is nothing for peers."""
        super().__init__("the login could not be checked")


class RetryLaterError(LoginError):
    """The credentials were not looked at; they may be right.

    Attributes:
        retry_after: The time after which another attempt makes sense, in seconds.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyFailuresError(RetryLaterError):
    """The address, or the user's name, has had too many failures."""


class LoginBusyError(RetryLaterError):
    """More logins wait to be verified than there are places."""
