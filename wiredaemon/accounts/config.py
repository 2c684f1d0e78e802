"""The ``[auth]`` table of the configuration as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATE_USERS: Final = ("cn", "san:email", "san:dns")
"""The parts of a client certificate that may name its user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """The files of accounts, all paths absolute, and what is said of users in certificates."""

    htpasswd: Path | None = None
    """Users and their bcrypt hashes; None: nobody has a password."""
    tokens: Path | None = None
    """Tokens' hashes; None: there are no tokens."""
    groups: Path | None = None
    """Groups and their members; None: there are no groups."""
    certificate_user: str = "cn"
    """The part of a client certificate that names its user, one of ``CERTIFICATE_USERS``."""
    realm: str = "wiredaemon"
    """The name that HTTP's Basic scheme shows to people."""
