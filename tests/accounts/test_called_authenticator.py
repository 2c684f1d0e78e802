"""Logins that functions decide: their answers, and the limits around them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from wiredaemon.accounts.called_authenticator import CalledAuthenticator
from wiredaemon.accounts.credentials import Named, Password, Token
from wiredaemon.accounts.login import (
    Login,
    LoginError,
    LoginFaultError,
    TooManyFailuresError,
)
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
        self.faults: list[tuple[object, str, str]] = []
        """Type and text of each fault that was logged, and whose login it was."""
        self.clock = Clock()
        self.authenticator = CalledAuthenticator(
            Limits(**limits), self.clock, self._check, self._check, log_fault=self._log
        )

    def _log(self, failure: Failure, who: str) -> None:
        self.faults.append((type(failure.value), failure.getErrorMessage(), who))

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


def login(**fields: Any) -> Login:
    return Login(**{"user": "ann", **fields})


_ANSWER = "a user's name, a Login or None is expected, not "
_GROUPS = "the groups of a Login are a frozenset of str, not "


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (5, _ANSWER + "5"),
        (b"ann", _ANSWER + "b'ann'"),
        (True, _ANSWER + "True"),
        (("ann", ()), _ANSWER + "('ann', ())"),
        (login(user=b"ann"), "the user of a Login is a str, not b'ann'"),
        (login(user=None), "the user of a Login is a str, not None"),
        (login(groups=[1, None]), _GROUPS + "[1, None]"),
        (login(groups=["devs"]), _GROUPS + "['devs']"),
        (login(groups="devs"), _GROUPS + "'devs'"),
        (login(groups=frozenset({1})), _GROUPS + "frozenset({1})"),
        (login(read_only="no"), "read_only of a Login is a bool, not 'no'"),
    ],
)
def test_another_answer_is_a_fault_of_the_program(answer: Any, fault: str) -> None:
    asked = Asked(answer)
    assert isinstance(asked.token(), LoginFaultError)
    assert isinstance(asked.password(), LoginFaultError)
    assert asked.faults == [
        (TypeError, fault, "nobody by a token"),
        (TypeError, fault, "'ann'"),
    ]


def test_a_fault_of_the_program_counts_for_no_limit_and_is_logged_for_each_call() -> None:
    asked = Asked(RuntimeError("down"), login_failures=1)
    with capturedLogs() as events:
        for _ in range(3):
            assert isinstance(asked.token(), LoginFaultError)
            assert asked.password().message == "the login could not be checked"
    assert (
        asked.faults
        == [
            (RuntimeError, "down", "nobody by a token"),
            (RuntimeError, "down", "'ann'"),
        ]
        * 3
    )
    assert events == []


def test_who_ask_the_same_share_one_fault() -> None:
    deferred: Deferred[Any] = Deferred()
    asked = Asked(deferred)
    both = [asked.authenticator.authenticate(Password("ann", b"secret"), HERE) for _ in range(2)]
    deferred.errback(RuntimeError("down"))
    assert [type(outcome(each)) for each in both] == [LoginFaultError] * 2
    assert asked.faults == [(RuntimeError, "down", "'ann'")]


def test_what_the_program_itself_cancels_is_its_fault() -> None:
    for ask in (Asked.password, Asked.token):
        asked = Asked(Deferred())
        asked.answer.cancel()
        assert isinstance(ask(asked), LoginFaultError)
        assert [kind for kind, _, _ in asked.faults] == [CancelledError]


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
    waiting.cancel()
    assert isinstance(outcome(waiting), CancelledError)
    assert len(cancelled) == 1
    assert asked.faults == []


def test_without_a_function_nobody_is_known() -> None:
    clock = Clock()
    nobody = CalledAuthenticator(Limits(), clock, None, None, log_fault=print)
    assert (nobody.is_open, nobody.accepts_tokens) == (False, False)
    for credentials in (Password("ann", b"secret"), Token(b"secret")):
        with pytest.raises(LoginError):
            nobody.authenticate(credentials, HERE)
    tokens = CalledAuthenticator(Limits(), clock, None, lambda _: "ann", log_fault=print)
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
