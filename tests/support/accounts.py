"""Files of accounts for tests, with hashes that are quick to check."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

import bcrypt
from twisted.internet.defer import Deferred

from wiredaemon.accounts.tokens import StoredToken, make_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path


def quick_hash(password: bytes) -> str:
    """Return a bcrypt hash of the lowest cost: a check takes 1 ms."""
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode("ascii")


def write_htpasswd(file: Path, **passwords: str) -> Path:
    """Write users and their passwords."""
    lines = [f"{name}:{quick_hash(password.encode())}\n" for name, password in passwords.items()]
    return rewrite(file, "".join(lines))


def rewrite(file: Path, text: str) -> Path:
    """Replace a file's text so that it counts as changed, however quickly that is done."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text, "utf-8")
    if file.exists():
        before = file.stat().st_mtime_ns
        os.utime(new, ns=(before + 1_000_000, before + 1_000_000))
    new.replace(file)
    return file


def add_token(
    file: Path, user: str, *, read_only: bool = False, expires: datetime | None = None
) -> tuple[bytes, StoredToken]:
    """Append a token to a file, and return it and what is stored of it."""
    token, stored = make_token(user, read_only=read_only, expires=expires)
    text = file.read_text("utf-8") if file.exists() else ""
    rewrite(file, f"{text}{stored.encode()}\n")
    return token.encode(), stored


class ThreadsByHand:
    """Checks that wait until a test lets them run."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Deferred[bool], Callable[[], bool]]] = deque()
        self.calls = 0

    def call(
        self, check: Callable[[bytes, str], bool], password: bytes, hashed: str
    ) -> Deferred[bool]:
        self.calls += 1
        done: Deferred[bool] = Deferred()
        self.waiting.append((done, lambda: check(password, hashed)))
        return done

    def run_one(self) -> None:
        """Run the check that has waited for the longest time."""
        done, check = self.waiting.popleft()
        done.callback(check())

    def run(self) -> None:
        """Run all checks, also those that are begun meanwhile."""
        while self.waiting:
            self.run_one()
