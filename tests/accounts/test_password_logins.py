"""Logins by password with a clock and threads that the test moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.accounts import ThreadsByHand, add_token, rewrite, write_htpasswd
from support.logs import observed, texts_of
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wiredaemon.accounts.accounts import Accounts
from wiredaemon.accounts.check_threads import THREADS
from wiredaemon.accounts.config import AuthConfig
from wiredaemon.accounts.credentials import Password, Token
from wiredaemon.accounts.login import Login, LoginBusyError, LoginError, TooManyFailuresError
from wiredaemon.accounts.make import join
from wiredaemon.accounts.places import place_of
from wiredaemon.wire.limits import Limits

RIGHT: Final = Password("ann", b"secret")
WRONG: Final = Password("ann", b"other")
HOME: Final = "192.0.2.1"
AWAY: Final = "198.51.100.7"
ATTACKER: Final = "203.0.113.66"


class Door:
    """An authenticator with ann and bob, and what moves it."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.htpasswd = write_htpasswd(folder / "users", ann="secret", bob="secret2")
        self.tokens = rewrite(folder / "tokens", "")
        self.clock = Clock()
        self.threads = ThreadsByHand()
        accounts = Accounts(AuthConfig(htpasswd=self.htpasswd, tokens=self.tokens))
        self.authenticator = join(
            accounts, limits, self.clock, self.threads.call, self.clock.seconds
        )

    def ask(self, credentials: Password, address: str = HOME) -> list[object]:
        """Present credentials; return a list that gets the login or the error, if it comes."""
        outcomes: list[object] = []
        try:
            login = self.authenticator.authenticate(credentials, address)
        except LoginError as error:
            return [error]
        if isinstance(login, Login):
            return [login]
        login.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.value))
        return outcomes

    def log_in(self, credentials: Password, address: str = HOME) -> object:
        """Present credentials, let all checks run, and return the login or the error."""
        outcomes = self.ask(credentials, address)
        self.threads.run()
        return outcomes[0]

    def fail(self, times: int, address: str, name: str = "ann") -> list[type]:
        """Present wrong passwords one after the other; return the types of the errors."""
        wrong = [Password(name, b"wrong %d" % number) for number in range(times)]
        return [type(self.log_in(each, address)) for each in wrong]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, Limits())


def is_ann(outcome: object) -> bool:
    return isinstance(outcome, Login) and outcome.user == "ann"


# --- what is kept ------------------------------------------------------------------------------


def test_a_verified_password_is_not_checked_again_for_a_minute(door: Door) -> None:
    assert is_ann(door.log_in(RIGHT))
    door.clock.advance(59)
    assert is_ann(door.ask(RIGHT, AWAY)[0])
    assert door.threads.calls == 1
    door.clock.advance(1)
    assert door.ask(RIGHT) == []
    assert door.threads.calls == 2


def test_a_changed_file_ends_what_was_kept(door: Door) -> None:
    door.log_in(RIGHT)
    write_htpasswd(door.htpasswd, ann="new")
    assert isinstance(door.log_in(RIGHT), LoginError)
    assert is_ann(door.log_in(Password("ann", b"new")))


def test_a_check_during_which_the_file_changed_is_not_kept(door: Door) -> None:
    before = door.ask(RIGHT)
    write_htpasswd(door.htpasswd, ann="new")
    after = door.ask(RIGHT)
    door.threads.run()
    assert is_ann(before[0])
    assert isinstance(after[0], LoginError)
    assert isinstance(door.log_in(RIGHT), LoginError)


# --- what is shared ----------------------------------------------------------------------------


def test_the_same_credentials_at_the_same_time_are_one_check(door: Door) -> None:
    asked = [door.ask(RIGHT, address) for address in (HOME, AWAY, HOME)]
    assert door.threads.calls == 1
    door.threads.run()
    assert all(is_ann(each[0]) for each in asked)


def test_one_wrong_password_sent_many_times_at_once_is_one_failure_of_each_place(
    door: Door,
) -> None:
    asked = [door.ask(WRONG, AWAY) for _ in range(50)]
    door.threads.run()
    assert {type(each[0]) for each in asked} == {LoginError}
    assert door.fail(5, AWAY, "bob") == [LoginError] * 4 + [TooManyFailuresError]


def test_who_leaves_does_not_end_the_check_of_others(door: Door) -> None:
    leaving = door.authenticator.authenticate(RIGHT, HOME)
    staying = door.ask(RIGHT)
    assert isinstance(leaving, Deferred)
    left: list[object] = []
    leaving.addErrback(lambda failure: left.append(failure.type))
    leaving.cancel()
    door.threads.run()
    assert left == [CancelledError]
    assert is_ann(staying[0])


def test_a_check_for_which_nobody_waits_any_more_is_not_made(door: Door) -> None:
    running = [door.ask(Password("bob", b"%d" % number), AWAY) for number in range(2)]
    waiting = [
        door.authenticator.authenticate(Password("ann", b"%d" % number), HOME)
        for number in range(64)
    ]
    assert isinstance(door.ask(RIGHT)[0], LoginBusyError)
    for each in waiting:
        assert isinstance(each, Deferred)
        each.addErrback(lambda _: None)
        each.cancel()
    door.threads.run()
    assert (len(running), door.threads.calls) == (2, 2)
    assert is_ann(door.log_in(RIGHT))


def test_who_leaves_during_the_check_has_failed_all_the_same(door: Door) -> None:
    for number in range(5):
        leaving = door.authenticator.authenticate(Password("ann", b"%d" % number), ATTACKER)
        assert isinstance(leaving, Deferred)
        leaving.addErrback(lambda _: None)
        leaving.cancel()
        door.threads.run()
    assert isinstance(door.log_in(RIGHT, ATTACKER), TooManyFailuresError)


# --- what is limited ---------------------------------------------------------------------------


def test_an_address_has_five_failures_a_minute_whatever_the_names(door: Door) -> None:
    kinds = [door.fail(1, ATTACKER, f"user{number}")[0] for number in range(7)]
    assert kinds == [LoginError] * 5 + [TooManyFailuresError] * 2
    assert is_ann(door.log_in(RIGHT, HOME))
    door.clock.advance(12)
    assert door.fail(2, ATTACKER, "user9") == [LoginError, TooManyFailuresError]


def test_a_name_has_five_failures_a_minute_whatever_the_addresses(door: Door) -> None:
    kinds = [door.fail(1, f"203.0.113.{number}")[0] for number in range(7)]
    assert kinds == [LoginError] * 5 + [TooManyFailuresError] * 2
    assert isinstance(door.log_in(Password("bob", b"secret2"), HOME), Login)


def test_a_name_that_nobody_has_is_limited_like_any_other(door: Door) -> None:
    kinds = [door.fail(1, f"203.0.113.{number}", "nobody")[0] for number in range(6)]
    assert kinds == [LoginError] * 5 + [TooManyFailuresError]


def test_the_error_names_limit_and_value_and_says_when_to_come_back(door: Door) -> None:
    door.fail(5, ATTACKER)
    error = door.log_in(WRONG, ATTACKER)
    assert isinstance(error, TooManyFailuresError)
    assert error.message == (
        "too many failed logins, more than 5 per 60 seconds; try again in 12 seconds"
        " (login_failures)"
    )
    assert error.retry_after == 12.0


def test_a_right_password_is_not_told_from_a_wrong_one_at_the_limit(door: Door) -> None:
    door.log_in(RIGHT, HOME)
    door.fail(5, ATTACKER)
    calls = door.threads.calls
    errors = [door.ask(each, ATTACKER)[0] for each in (RIGHT, WRONG)]
    assert [type(each) for each in errors] == [TooManyFailuresError] * 2
    assert str(errors[0]) == str(errors[1])
    assert door.threads.calls == calls


def test_guesses_side_by_side_have_no_more_failures_than_threads_beyond_the_limit(
    door: Door,
) -> None:
    asked = [door.ask(Password("ann", b"%d" % number), ATTACKER) for number in range(60)]
    door.threads.run()
    kinds = [type(each[0]) for each in asked]
    assert kinds.count(LoginError) <= 6
    assert kinds.count(TooManyFailuresError) >= 54
    assert door.threads.calls <= 6


def test_a_neighbour_in_an_ipv6_network_shares_its_limit(door: Door) -> None:
    kinds = [door.fail(1, f"2001:db8::{number}", f"user{number}")[0] for number in range(6)]
    assert kinds == [LoginError] * 5 + [TooManyFailuresError]


def test_tables_do_not_grow_with_attackers(tmp_path: Path) -> None:
    door = Door(tmp_path, replace(Limits(), login_records=10))
    for number in range(100):
        door.fail(1, f"203.0.113.{number}", f"user{number}")
    failures = door.authenticator.failures
    assert (len(failures._places), len(failures._names), len(failures._pairs)) == (10, 10, 0)


# --- who is not locked out ---------------------------------------------------------------------


def test_failures_elsewhere_do_not_keep_a_user_out_where_she_has_logged_in(door: Door) -> None:
    door.log_in(RIGHT, HOME)
    for number in range(20):
        door.fail(1, f"203.0.113.{number}")
    assert is_ann(door.ask(RIGHT, HOME)[0])
    # Not even when it has to be checked again, with the attack going on.
    door.clock.advance(61)
    for number in range(20):
        door.fail(1, f"203.0.113.{number}")
    assert is_ann(door.log_in(RIGHT, HOME))


def test_failures_of_others_at_her_address_do_not_keep_her_out_either(door: Door) -> None:
    door.log_in(RIGHT, HOME)
    assert door.fail(6, HOME, "bob")[-1] is TooManyFailuresError
    assert is_ann(door.ask(RIGHT, HOME)[0])
    door.clock.advance(61)
    assert door.fail(6, HOME, "bob")[-1] is TooManyFailuresError
    assert is_ann(door.log_in(RIGHT, HOME))


def test_her_own_name_is_still_limited_where_she_has_logged_in(door: Door) -> None:
    door.log_in(RIGHT, HOME)
    assert door.fail(6, HOME) == [LoginError] * 5 + [TooManyFailuresError]
    assert isinstance(door.ask(RIGHT, HOME)[0], TooManyFailuresError)


def test_a_crowd_of_strangers_does_not_keep_known_users_waiting(door: Door) -> None:
    door.log_in(RIGHT, HOME)
    door.clock.advance(61)
    crowd = [door.ask(Password(f"u{number}", b"x"), f"203.0.113.{number}") for number in range(100)]
    assert [type(each[0]) for each in crowd if each] == [LoginBusyError] * 34
    ann = door.ask(RIGHT, HOME)
    for _ in range(3):
        door.threads.run_one()
    assert is_ann(ann[0])


# --- tokens ------------------------------------------------------------------------------------


def test_wrong_tokens_are_limited_by_address_and_right_ones_never(door: Door) -> None:

    token, _ = add_token(door.tokens, "bob")
    kinds: list[type] = []
    for number in range(7):
        with pytest.raises(LoginError) as caught:
            door.authenticator.authenticate(Token(b"wd_00000000_%d" % number), ATTACKER)
        kinds.append(caught.type)
    assert kinds == [LoginError] * 5 + [TooManyFailuresError] * 2
    assert isinstance(door.authenticator.authenticate(Token(token), ATTACKER), Login)


# --- what is written ---------------------------------------------------------------------------


def test_twenty_wrong_passwords_are_one_line_and_one_with_counts(door: Door) -> None:
    with observed("wiredaemon.accounts") as events:
        door.fail(20, ATTACKER)
        door.clock.advance(60)
    assert texts_of(events) == [
        f"login of 'ann' from {ATTACKER} failed",
        f"more logins from {ATTACKER} in the last 60 s: 4 failed, 15 were refused unseen",
    ]


def test_what_was_counted_is_written_at_the_end(door: Door) -> None:
    with observed("wiredaemon.accounts") as events:
        door.fail(3, ATTACKER)
        door.authenticator.write_counts()
        door.authenticator.write_counts()
    assert len(texts_of(events)) == 2
    assert "2 failed" in texts_of(events)[1]


def test_no_line_has_a_password_or_a_token(door: Door) -> None:
    with observed() as events:
        door.fail(3, ATTACKER)
        door.log_in(RIGHT)
        with pytest.raises(LoginError):
            door.authenticator.authenticate(Token(b"wd_00000000_verysecret"), AWAY)
        door.clock.advance(60)
    text = "\n".join(texts_of(events))
    assert text
    assert not [word for word in ("wrong", "secret", "verysecret") if word in text]


def test_a_crowd_that_is_too_large_has_its_lines_too(door: Door) -> None:
    with observed("wiredaemon.accounts") as events:
        for number in range(67):
            door.ask(Password(f"u{number}", b"x"), f"203.0.113.{number}")
    assert texts_of(events) == ["login of 'u66' from 203.0.113.66 was refused unseen"]


# --- whatever strangers do ---------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "eve"]),
            st.sampled_from([ATTACKER, AWAY, "2001:db8::1", "2001:db8::2"]),
            st.integers(0, 12),
            st.booleans(),
        ),
        min_size=20,
        max_size=100,
    )
)
def test_no_name_and_no_place_learns_of_more_failures_than_the_limit(
    steps: list[tuple[str, str, int, bool]],
) -> None:
    failed: dict[str, list[float]] = {}
    waiting: list[tuple[str, str, list[object]]] = []
    with TemporaryDirectory() as folder:
        door = Door(Path(folder), Limits())
        for number, (name, address, seconds, runs) in enumerate(steps):
            door.clock.advance(seconds)
            guess = Password(name, b"%d" % number)
            waiting.append((name, place_of(address), door.ask(guess, address)))
            if runs:
                door.threads.run()
            for each in [each for each in waiting if each[2]]:
                waiting.remove(each)
                if type(each[2][0]) is LoginError:
                    for key in each[:2]:
                        failed.setdefault(key, []).append(door.clock.seconds())
    for key, times in failed.items():
        for start in times:
            window = [time for time in times if start <= time < start + 60]
            # A full bucket, what comes back meanwhile, and what ran side by side.
            assert len(window) <= 5 + 5 + THREADS - 1, key
