from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.accounts import ThreadsByHand, quick_hash, rewrite

from wiredaemon.accounts.accounts import Accounts
from wiredaemon.accounts.checkers import PasswordChecker
from wiredaemon.accounts.config import AuthConfig
from wiredaemon.accounts.credentials import Password
from wiredaemon.accounts.login import LoginError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twisted.internet.defer import Deferred


class Hashes(ThreadsByHand):
    """Notes the hashes that passwords are compared with."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[str] = []

    def call(
        self, check: Callable[[bytes, str], bool], password: bytes, hashed: str
    ) -> Deferred[bool]:
        self.compared.append(hashed)
        return super().call(check, password, hashed)


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    lines = "".join(f"user{number}:{quick_hash(b'secret')}\n" for number in range(20))
    return Accounts(AuthConfig(htpasswd=rewrite(tmp_path / "users", lines)))


def test_an_unknown_user_is_compared_with_one_users_hash_always_the_same(
    accounts: Accounts,
) -> None:
    threads = Hashes()
    checker = PasswordChecker(accounts, threads.call)
    for name in ("eve", "eve", "eve", *(f"eve{number}" for number in range(50))):
        checker.requestAvatarId(Password(name, b"x")).addErrback(lambda _: None)
    known = {accounts.htpasswd.find(name, 0)[1] for name in accounts.htpasswd}
    assert len(set(threads.compared[:3])) == 1
    assert set(threads.compared) <= known
    assert len(set(threads.compared)) > 5


def test_an_unknown_user_is_refused_with_the_right_password_of_that_user(
    accounts: Accounts,
) -> None:
    threads = Hashes()
    errors: list[object] = []
    asked = PasswordChecker(accounts, threads.call).requestAvatarId(Password("eve", b"secret"))
    asked.addErrback(lambda failure: errors.append(failure.type))
    threads.run()
    assert errors == [LoginError]
