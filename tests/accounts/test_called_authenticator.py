"""Logins that functions decide: their answers, and the limits around them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wiredaemon.accounts.called_authenticator import CalledAuthenticator
from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.login import Login, LoginError, TooManyFailuresError
from wiredaemon.wire.limits import Limits

HERE = "192.0.2.1"
ANN = Login(user="ann", groups=frozenset({"devs"}), read_only=True)


def outcome(asked: Any) -> Any:
    """The login of what has one already, or its error."""
    if not isinstance(asked, Deferred):
        return asked
    found: list[Any] = []
    asked.addBoth(found.append)
    return found[0].value if isinstance(found[0], Failure) else found[0]


class Asked:
    """An authenticator whose functions answer as the test says."""

    def __init__(self, answer: Any = None, **limits: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[object, ...]] = []
        self.clock = Clock()
        self.authenticator = CalledAuthenticator(
            Limits(**limits), self.clock, self._check, self._check
        )

    def _check(self, *credentials: object) -> Any:
        self.calls.append(credentials)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def password(self, password: bytes = b"secret", address: str = HERE) -> Any:
        return self._outcome(Password("ann", password), address)

    def token(self, address: str = HERE) -> Any:
        return self._outcome(Token(b"secret"), address)

    def _outcome(self, credentials: Any, address: str) -> Any:
        try:
            return outcome(self.authenticator.authenticate(credentials, address))
        except LoginError as error:
            return error


@pytest.mark.parametrize(
    ("answer", "login"),
    [("ann", Login(user="ann")), (ANN, ANN), (Deferred[Any](), None)],
)
def test_a_name_or_a_login_is_one_at_once_or_later(answer: Any, login: Login | None) -> None:
    for ask in (Asked.password, Asked.token):
        asked = Asked(answer)
        if login is None:
            asked.answer = Deferred()
            asked.answer.callback("ann")
        assert ask(asked) == (login or Login(user="ann"))


def test_functions_are_called_with_what_was_sent() -> None:
    asked = Asked("ann")
    asked.password()
    asked.token()
    assert asked.calls == [("ann", b"secret"), (b"secret",)]


def test_none_is_one_refusal_for_all() -> None:
    asked = Asked(None)
    with capturedLogs() as events:
        assert asked.password().message == asked.token().message == "wrong user name or password"
    assert [event["who"] for event in events] == ["'ann'"]


@pytest.mark.parametrize("name", ["", "@devs", "*", "a\nb", "a" * 256])
def test_a_name_with_another_meaning_is_none(name: str) -> None:
    assert "this is no name of a user" in Asked(name).token().message


@pytest.mark.parametrize("answer", [5, b"ann", True, ("ann", ())])
def test_another_answer_is_a_fault_of_the_program(answer: Any) -> None:
    error = Asked(answer).token()
    assert isinstance(error, TypeError)
    assert str(error).startswith("a user's name, a Login or None is expected, not ")


def test_a_fault_of_the_program_counts_for_no_limit() -> None:
    asked = Asked(RuntimeError("down"), login_failures=1)
    for _ in range(3):
        assert isinstance(asked.token(), RuntimeError)


def test_wrong_passwords_and_wrong_tokens_count_together_for_their_place() -> None:
    asked = Asked(None, login_failures=2)
    asked.password()
    asked.token()
    asked.answer = "ann"
    assert isinstance(asked.password(), TooManyFailuresError)
    assert isinstance(asked.token(), TooManyFailuresError)
    assert asked.token("192.0.2.2") == Login(user="ann")
    assert len(asked.calls) == 3


def test_a_password_that_was_right_is_known_for_a_while() -> None:
    asked = Asked("ann", login_cache_seconds=60.0)
    asked.password()
    asked.clock.advance(59)
    asked.password()
    assert len(asked.calls) == 1
    asked.clock.advance(2)
    asked.password()
    assert len(asked.calls) == 2


def test_who_waits_no_longer_cancels_the_function_of_a_token() -> None:
    cancelled: list[Deferred[Any]] = []
    asked = Asked(Deferred(cancelled.append))
    waiting: Any = asked.authenticator.authenticate(Token(b"secret"), HERE)
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    assert len(cancelled) == 1


def test_without_a_function_nobody_is_known() -> None:
    clock = Clock()
    nobody = CalledAuthenticator(Limits(), clock, None, None)
    assert (nobody.is_open, nobody.accepts_tokens) == (False, False)
    for credentials in (Password("ann", b"secret"), Token(b"secret")):
        with pytest.raises(LoginError):
            nobody.authenticate(credentials, HERE)
    tokens = CalledAuthenticator(Limits(), clock, None, lambda _: "ann")
    assert (tokens.is_open, tokens.accepts_tokens) == (True, True)


def test_who_a_certificate_names_is_a_user() -> None:
    asked = Asked()
    assert asked.authenticator.authenticate(Named("ann"), HERE) == Login(user="ann")


def test_a_token_under_another_name_is_logged() -> None:
    with capturedLogs() as events:
        Asked().authenticator.note_other_name(ANN, "bob", HERE)
    assert [event["who"] for event in events] == ["'bob' by a token of 'ann'"]


def test_stopping_leaves_no_timer() -> None:
    asked = Asked(None)
    asked.token()
    assert len(asked.clock.getDelayedCalls()) == 1
    asked.authenticator.stop()
    assert asked.clock.getDelayedCalls() == []
