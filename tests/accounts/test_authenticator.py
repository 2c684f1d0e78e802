from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_twisted
from support.accounts import add_token, rewrite, write_htpasswd
from support.logs import observed, texts_of
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.accounts.login import Login, LoginError
from wiredaemon.accounts.make import make_authenticator
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.accounts.authenticator import Authenticator

HOME = "192.0.2.1"


def make(config: AuthConfig, now: float = 0.0) -> Authenticator:
    return make_authenticator(config, Limits(), reactor, lambda: now)


@pytest.fixture
def config(tmp_path: Path) -> AuthConfig:
    """A user ann in the group crew, no tokens."""
    return AuthConfig(
        htpasswd=write_htpasswd(tmp_path / "users", ann="secret"),
        tokens=rewrite(tmp_path / "tokens", ""),
        groups=rewrite(tmp_path / "groups", "crew: ann bob\n"),
    )


async def outcome(authenticator: Authenticator, credentials: Password | Token | Named) -> Login:
    result = authenticator.authenticate(credentials, HOME)
    return await result if isinstance(result, Deferred) else result


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_password_gives_its_user_with_groups(config: AuthConfig) -> None:
    login = await outcome(make(config), Password("ann", b"secret"))
    assert login == Login(user="ann", groups=frozenset({"crew"}))


@pytest.mark.parametrize(
    "wrong", [Password("ann", b"other"), Password("eve", b"secret"), Password("ann", b"secret\0")]
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_wrong_names_and_passwords_have_one_text(config: AuthConfig, wrong: Password) -> None:
    with pytest.raises(LoginError) as caught:
        await outcome(make(config), wrong)
    assert caught.value.message == "wrong user name or password"


def test_a_token_gives_its_user_at_once(config: AuthConfig) -> None:
    assert config.tokens is not None
    token, _ = add_token(config.tokens, "bob", read_only=True)
    login = make(config).authenticate(Token(token), HOME)
    assert login == Login(user="bob", groups=frozenset({"crew"}), read_only=True)


def test_a_token_under_another_users_name_is_in_the_log(config: AuthConfig) -> None:
    authenticator = make(config)
    with observed("wiredaemon.accounts") as events:
        authenticator.note_other_name(Login(user="ann"), "eve", HOME)
        authenticator.note_other_name(Login(user="ann"), "eve", HOME)
        authenticator.write_counts()
    assert texts_of(events) == [
        "login of 'eve' by a token of 'ann' from 192.0.2.1 failed",
        "more logins from 192.0.2.1 in the last 60 s: 1 failed, 0 were refused unseen",
    ]


def test_a_token_is_refused_from_its_expiry_on(config: AuthConfig) -> None:
    assert config.tokens is not None
    expires = datetime(2026, 1, 2, tzinfo=UTC)
    token, _ = add_token(config.tokens, "bob", expires=expires)
    early = make(config, expires.timestamp() - 1).authenticate(Token(token), HOME)
    assert isinstance(early, Login)
    with pytest.raises(LoginError, match=r"^wrong user name or password$"):
        make(config, expires.timestamp()).authenticate(Token(token), HOME)


@pytest.mark.parametrize("wrong", [b"", b"wd_00000000_x", b"wd_\xff", b"x" * 100_000])
def test_a_token_that_nobody_has_is_refused(config: AuthConfig, wrong: bytes) -> None:
    with pytest.raises(LoginError, match=r"^wrong user name or password$"):
        make(config).authenticate(Token(wrong), HOME)


def test_a_token_with_one_other_character_is_refused(config: AuthConfig) -> None:
    assert config.tokens is not None
    token, _ = add_token(config.tokens, "bob")
    other = token[:-1] + (b"A" if token[-1:] != b"A" else b"B")
    with pytest.raises(LoginError, match=r"^wrong user name or password$"):
        make(config).authenticate(Token(other), HOME)


def test_a_user_whom_somebody_vouches_for_is_in(config: AuthConfig) -> None:
    login = make(config).authenticate(Named("bob"), HOME)
    assert login == Login(user="bob", groups=frozenset({"crew"}))


@pytest.mark.parametrize("name", ["", "*", "@crew", "a\nb", "x" * 256])
def test_a_name_with_another_meaning_is_refused(config: AuthConfig, name: str) -> None:
    with pytest.raises(LoginError):
        make(config).authenticate(Named(name), HOME)


def test_it_says_what_it_accepts(config: AuthConfig) -> None:
    everything, nothing = make(config), make(AuthConfig())
    assert (everything.is_open, everything.accepts_passwords, everything.accepts_tokens) == (
        True,
        True,
        True,
    )
    assert (nothing.is_open, nothing.accepts_passwords, nothing.accepts_tokens) == (
        False,
        False,
        False,
    )


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_without_any_file_everybody_is_refused() -> None:
    authenticator = make(AuthConfig())
    for credentials in (Password("ann", b"secret"), Token(b"wd_00000000_x")):
        with pytest.raises(LoginError, match=r"^wrong user name or password$"):
            await outcome(authenticator, credentials)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_changed_files_count_at_once(config: AuthConfig) -> None:
    assert config.htpasswd is not None
    assert config.groups is not None
    authenticator = make(config)
    assert (await outcome(authenticator, Password("ann", b"secret"))).groups == {"crew"}
    rewrite(config.groups, "admins: ann\n")
    assert (await outcome(authenticator, Password("ann", b"secret"))).groups == {"admins"}
    write_htpasswd(config.htpasswd, ann="new")
    with pytest.raises(LoginError):
        await outcome(authenticator, Password("ann", b"secret"))
    assert (await outcome(authenticator, Password("ann", b"new"))).user == "ann"


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_another_configuration_counts_from_then_on(
    config: AuthConfig, tmp_path: Path
) -> None:
    authenticator = make(config)
    await outcome(authenticator, Password("ann", b"secret"))
    authenticator.reload(AuthConfig(htpasswd=write_htpasswd(tmp_path / "others", bob="secret")))
    assert (authenticator.accepts_passwords, authenticator.accepts_tokens) == (True, False)
    assert (await outcome(authenticator, Password("bob", b"secret"))).groups == frozenset()
    with pytest.raises(LoginError):
        await outcome(authenticator, Password("ann", b"secret"))


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_wrong_configuration_changes_nothing(config: AuthConfig, tmp_path: Path) -> None:
    authenticator = make(config)
    with pytest.raises(AccountsFileError):
        authenticator.reload(replace(config, htpasswd=None, groups=tmp_path / "nosuch"))
    login = await outcome(authenticator, Password("ann", b"secret"))
    assert login.groups == {"crew"}


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_look_shows_changes_and_failures_and_nothing_else(config: AuthConfig) -> None:
    authenticator = make(config)
    first = authenticator.look()
    await outcome(authenticator, Password("ann", b"secret"))
    assert authenticator.look() == first
    with pytest.raises(LoginError):
        await outcome(authenticator, Password("ann", b"wrong"))
    failed = authenticator.look()
    assert failed != first
    with pytest.raises(LoginError):
        await outcome(authenticator, Token(b"wd_00000000_nobody"))
    assert authenticator.look() not in {first, failed}
    before = authenticator.look()
    assert config.groups is not None
    rewrite(config.groups, "crew: bob carl\n")
    assert authenticator.look() != before
