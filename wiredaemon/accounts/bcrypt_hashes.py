"""Passwords and their bcrypt hashes: the one place that knows the library."""

from __future__ import annotations

import re
from typing import Final

import bcrypt

from wiredaemon.accounts.tokens import TOKEN_START

NEW_COST: Final = 12
"""The cost of hashes that we make: 0.2 to 0.3 s for each check, and the library's own default."""

HIGHEST_COST: Final = 16
"""The highest cost that is accepted: one check takes 3 to 5 s, one more doubles that."""

LONGEST_PASSWORD: Final = 72
"""Bytes of a password that bcrypt looks at."""

DECOY: Final = "$2b$12$x0yUvi5DlRV0ZCT3yt67teJ/ehL2.53e94Nuu5fJ/FxUSshttKVGO"
"""The hash that unknown users are checked against where the file has none: nobody's password."""

_HASH: Final = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_KINDS: Final = {
    "$apr1$": "MD5",
    "{SHA}": "SHA-1",
    "{SSHA}": "salted SHA-1",
    "$1$": "MD5",
    "$5$": "SHA-256",
    "$6$": "SHA-512",
    "$argon2": "Argon2",
    "$2x$": "faulty bcrypt",
}


def hash_problem(hashed: str) -> str | None:
    """Return why something is no hash that we accept; None if it is one."""
    found = _HASH.fullmatch(hashed)
    if found is None:
        kind = other_kind(hashed)
        if kind is None and hashed.startswith("$2"):
            return "the bcrypt hash is damaged"
        return f"this is {'no bcrypt hash' if kind is None else f'a hash of the kind {kind}'}"
    if not 4 <= int(found["cost"]) <= HIGHEST_COST:  # noqa: PLR2004 the lowest that bcrypt knows
        return f"the cost of the bcrypt hash is not between 4 and {HIGHEST_COST}"
    return None


def other_kind(hashed: str) -> str | None:
    """Return the kind of a hash that other programs accept and we refuse; None for all else."""
    return next((name for start, name in _KINDS.items() if hashed.startswith(start)), None)


def password_problem(password: bytes) -> str | None:
    """Return why something may not become a password; None if it may."""
    if not password:
        return "the password is empty"
    if len(password) > LONGEST_PASSWORD:
        return f"the password has more than {LONGEST_PASSWORD} bytes, which bcrypt would ignore"
    if any(byte < ord(" ") for byte in password):
        return "the password has control characters"
    if password.startswith(TOKEN_START):
        return "a password does not begin with wd_, as tokens do: they may stand in its place"
    return None


def hash_password(password: bytes) -> str:
    """Return the bcrypt hash of a password in which ``password_problem`` found nothing wrong."""
    return bcrypt.hashpw(password, bcrypt.gensalt(NEW_COST)).decode("ascii")


def is_password(password: bytes, hashed: str) -> bool:
    """Return whether a hash is a password's. This takes a while, in which other threads run.

    Bytes after ``LONGEST_PASSWORD`` are not looked at, as bcrypt has it: other programs made such
    hashes. A password with a NUL byte is none.
    """
    matches = bcrypt.checkpw(password[:LONGEST_PASSWORD].replace(b"\0", b" "), hashed.encode())
    return matches and b"\0" not in password
