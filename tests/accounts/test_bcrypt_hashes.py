from __future__ import annotations

import pytest
from support.accounts import quick_hash

from wiredaemon.accounts.bcrypt_hashes import (
    DECOY,
    NEW_COST,
    hash_password,
    hash_problem,
    is_password,
    password_problem,
)


def test_a_hash_that_we_make_is_one_that_we_accept() -> None:
    hashed = hash_password("pässword".encode())
    assert hash_problem(hashed) is None
    assert hashed.startswith(f"$2b${NEW_COST}$")
    assert is_password("pässword".encode(), hashed)
    assert not is_password(b"password", hashed)


@pytest.mark.parametrize("kind", ["$2a$", "$2b$", "$2y$"])
def test_all_spellings_of_bcrypt_are_compared(kind: str) -> None:
    hashed = quick_hash(b"secret").replace("$2b$", kind)
    assert hash_problem(hashed) is None
    assert is_password(b"secret", hashed)
    assert not is_password(b"Secret", hashed)


def test_bytes_that_bcrypt_does_not_see_make_no_difference_and_no_error() -> None:
    hashed = quick_hash(b"x" * 72)
    assert is_password(b"x" * 72 + b"more", hashed)
    assert not is_password(b"x" * 71, hashed)
    assert not is_password(b"y" * 100_000, hashed)


def test_a_password_with_a_nul_byte_is_none() -> None:
    assert not is_password(b"secret\0", quick_hash(b"secret"))
    assert not is_password(b"\0", quick_hash(b" "))
    assert not is_password(b"x" * 72 + b"\0", quick_hash(b"x" * 72))


def test_the_decoy_is_a_hash_like_those_that_we_make() -> None:
    assert hash_problem(DECOY) is None
    assert DECOY.startswith(f"$2b${NEW_COST}$")
    assert not is_password(b"", DECOY)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        (b"", "empty"),
        (b"x" * 73, "more than 72 bytes"),
        (b"a\nb", "control characters"),
        (b"a\0", "control characters"),
        (b"wd_secret", "does not begin with wd_"),
        (b"x" * 72, None),
        ("ö ß".encode(), None),
    ],
)
def test_what_may_become_a_password(password: bytes, problem: str | None) -> None:
    found = password_problem(password)
    assert found is None if problem is None else found is not None and problem in found
