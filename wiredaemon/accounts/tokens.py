"""Bearer tokens, and the file that holds a hash of each.

A token is ``wd_ID_SECRET``: its id is public and finds the line, its secret is 256 random bits, so
that one quick hash is enough. A line of the file is ``ID USER sha256:HASH``, then perhaps
``read-only`` and ``expires=TIME``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.files import AccountsFileError, lines_of
from wiredaemon.accounts.names import name_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOKEN_START: Final = b"wd_"
"""The beginning of every token, by which people and programs know one."""

LONGEST_TOKEN: Final = 128
"""Bytes of a presented token that are looked at; ours have 55."""

_TOKEN: Final = re.compile(rb"wd_(?P<id>[0-9a-f]{8})_[A-Za-z0-9_-]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ID: Final = re.compile(r"[0-9a-f]{8}")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_EXPIRES: Final = "expires="
_READ_ONLY: Final = "read-only"
_NOBODYS: Final = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """The entry of a token: all but the token itself."""

    id: str
    """The public part, eight hexadecimal digits."""
    user: str
    hash: str
    """The hash of the whole token, ``sha256:`` and hexadecimal digits."""
    read_only: bool = False
    expires: datetime | None = None
    """The time, in UTC, from which on it is refused; None for never."""

    def encode(self) -> str:
        """Return the line of the file."""
        parts = [self.id, self.user, self.hash]
        if self.read_only:
            parts.append(_READ_ONLY)
        if self.expires is not None:
            parts.append(f"{_EXPIRES}{self.expires:%Y-%m-%dT%H:%M:%SZ}")
        return " ".join(parts)

    def is_expired(self, now: float) -> bool:
        """Return whether it is refused at a time, in seconds since 1970."""
        return self.expires is not None and now >= self.expires.timestamp()


def make_token(
    user: str, *, read_only: bool = False, expires: datetime | None = None
) -> tuple[str, StoredToken]:
    """Return a new token, which nobody can find out again, and what is kept of it."""
    token_id = secrets.token_hex(4)
    token = f"wd_{token_id}_{secrets.token_urlsafe(32)}"
    stored = StoredToken(
        id=token_id,
        user=user,
        hash=hash_token(token.encode()),
        read_only=read_only,
        expires=expires,
    )
    return token, stored


def hash_token(token: bytes) -> str:
    """Return the hash of a token in the form of the file."""
    return f"sha256:{hashlib.sha256(token).hexdigest()}"


def find_token(tokens: Mapping[str, StoredToken], token: bytes) -> StoredToken | None:
    """Return what is stored of a token, expired or not; None if it is nobody's."""
    found = _TOKEN.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    stored = tokens.get(found["id"].decode("ascii")) if found else None
    kept = _NOBODYS if stored is None else stored.hash
    is_right = hmac.compare_digest(kept, hash_token(token[:LONGEST_TOKEN]))
    return stored if is_right else None


def parse_tokens(file: Path, text: str) -> Mapping[str, StoredToken]:
    """Return the tokens by their ids.

    Raises:
        AccountsFileError: A line is wrong; it is named.
    """
    tokens: dict[str, StoredToken] = {}
    for number, line in lines_of(text):
        try:
            token = _parse_line(line)
        except ValueError as error:
            raise AccountsFileError(file, str(error), number) from None
        if token.id in tokens:
            raise AccountsFileError(file, f"the id {token.id} is there twice", number)
        tokens[token.id] = token
    return tokens


def _parse_line(line: str) -> StoredToken:
    parts = line.split()
    if len(parts) < 3 or not (_ID.fullmatch(parts[0]) and _HASH.fullmatch(parts[2])):  # noqa: PLR2004 id, user, hash
        raise ValueError("a line is ID USER sha256:HASH, as `wiredaemon token create` writes it")
    token_id, user, hashed, *rest = parts
    if problem := name_problem(user):
        raise ValueError(problem)
    expires: datetime | None = None
    for part in rest:
        if part.startswith(_EXPIRES):
            expires = _parse_time(part.removeprefix(_EXPIRES))
        elif part != _READ_ONLY:
            raise ValueError(f"{part!r} is neither {_READ_ONLY} nor {_EXPIRES}TIME")
    return StoredToken(
        id=token_id, user=user, hash=hashed, read_only=_READ_ONLY in rest, expires=expires
    )


def _parse_time(text: str) -> datetime:
    try:
        # Four times as fast as strptime, and too generous alone.
        time = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        time = None
    if time is None:
        raise ValueError(f"{text!r} is no time such as 2030-12-31T23:59:59Z")
    return time
