from __future__ import annotations

from twisted.internet.task import Clock

from wiredaemon.accounts.credentials import Password
from wiredaemon.accounts.login import Login
from wiredaemon.accounts.verified_logins import VerifiedLogins

ANN = Login(user="ann")


def test_a_login_is_found_for_its_time_by_the_same_credentials_only() -> None:
    clock = Clock()
    verified = VerifiedLogins(60.0, clock.seconds)
    digest = verified.digest(Password("ann", b"secret"))
    verified.keep(digest, ANN)
    assert verified.find("ann", digest) is ANN
    assert verified.find("ann", verified.digest(Password("ann", b"other"))) is None
    assert verified.find("bob", digest) is None
    clock.advance(59.5)
    assert verified.find("ann", digest) is ANN
    clock.advance(0.5)
    assert verified.find("ann", digest) is None


def test_nothing_is_found_after_it_was_cleared() -> None:
    verified = VerifiedLogins(60.0, Clock().seconds)
    digest = verified.digest(Password("ann", b"secret"))
    verified.keep(digest, ANN)
    verified.clear()
    assert verified.find("ann", digest) is None


def test_a_time_of_zero_keeps_nothing() -> None:
    verified = VerifiedLogins(0.0, Clock().seconds)
    digest = verified.digest(Password("ann", b"secret"))
    verified.keep(digest, ANN)
    assert verified.find("ann", digest) is None


def test_a_clock_that_is_set_back_ends_a_login() -> None:
    now = [1000.0]
    verified = VerifiedLogins(60.0, lambda: now[0])
    digest = verified.digest(Password("ann", b"secret"))
    verified.keep(digest, ANN)
    now[0] = 0.0
    assert verified.find("ann", digest) is None


def test_name_and_password_cannot_be_joined_differently() -> None:
    verified = VerifiedLogins(60.0, Clock().seconds)
    pairs = [("a", b"b:c"), ("a:b", b"c"), ("", b"a:b:c"), ("a\ud800", b"")]
    assert len({verified.digest(Password(*pair)) for pair in pairs}) == len(pairs)


def test_another_process_makes_other_digests() -> None:
    credentials = Password("ann", b"secret")
    clock = Clock()
    one, two = (VerifiedLogins(60.0, clock.seconds).digest(credentials) for _ in range(2))
    assert one != two
