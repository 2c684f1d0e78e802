"""Credentials: a password, a token, or a name that somebody vouches for, for ``twisted.cred``."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.cred.credentials import ICredentials
from zope.interface import implementer


class IPassword(ICredentials):
    """A name and a password."""


class IToken(ICredentials):
    """A token that stands for a user."""


class INamed(ICredentials):
    """A name that somebody else has verified."""


@implementer(IPassword)
@dataclass(frozen=True, slots=True)
class Password:
    """A user's name and password."""

    name: str
    password: bytes


@implementer(IToken)
@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as it was sent."""

    secret: bytes


@implementer(INamed)
@dataclass(frozen=True, slots=True)
class Named:
    """The name of a user whom a client certificate or a trusted proxy vouches for."""

    name: str
