from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from wiredaemon.accounts.bcrypt_hashes import DECOY
from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.accounts.htpasswd import Htpasswd, parse_htpasswd

FILE: Final = Path("users")
# Written out: it is in the names of tests, which must not change from one run to the next.
HASH: Final = "$2b$04$6CEthihliYOQZvgGpWZlTOT3qYxyRt.UaIw8qB2SatDYj/stUKo/S"


def test_users_are_read_past_comments_and_empty_lines() -> None:
    other = HASH.replace("$2b$", "$2y$")
    text = f"# people\n\nann:{HASH}\r\n  b.o-b@example.org:{other}  \n"
    users = parse_htpasswd(FILE, text)
    assert list(users) == ["ann", "b.o-b@example.org"]
    assert users.find("ann", 0) == (True, HASH)
    assert users.find("b.o-b@example.org", 0) == (True, other)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ann", "a line is NAME:HASH"),
        (":x", "a name has 1 to 255 characters"),
        (f"@crew:{HASH}", "a name does not begin with @"),
        (f"a b:{HASH}", "a name has no white space, colon or comma"),
        (f"first:{HASH}", "first is there twice"),
        (
            "ann:$apr1$abc$def",
            "this is a hash of the kind MD5; make it with `wiredaemon user passwd`",
        ),
        ("ann:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "a hash of the kind SHA-1"),
        ("ann:$6$abc$def", "a hash of the kind SHA-512"),
        ("ann:$argon2id$v=19$x", "a hash of the kind Argon2"),
        ("ann:secret", "this is no bcrypt hash"),
        ("ann:", "this is no bcrypt hash"),
        (f"ann:{HASH[:-1]}", "the bcrypt hash is damaged"),
        (f"ann:{HASH}:ann@example.org", "the bcrypt hash is damaged"),
        (f"ann:{HASH.replace('$04$', '$31$')}", "the cost of the bcrypt hash is not between 4 and"),
        (f"ann:{HASH.replace('$04$', '$03$')}", "the cost of the bcrypt hash is not between 4 and"),
        (f"ann:$2x{HASH[3:]}", "a hash of the kind faulty bcrypt"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_it(line: str, problem: str) -> None:
    with pytest.raises(AccountsFileError) as caught:
        parse_htpasswd(FILE, f"first:{HASH}\n# why\n{line}\nlast:x\n")
    assert str(caught.value).startswith("users line 3: ")
    assert problem in caught.value.problem


def test_the_error_does_not_show_what_stands_for_the_password() -> None:
    with pytest.raises(AccountsFileError) as caught:
        parse_htpasswd(FILE, "ann:opensesame\n")
    assert "opensesame" not in str(caught.value)


def test_an_unknown_user_gets_one_of_the_hashes_by_the_number() -> None:
    users = Htpasswd({"ann": "a", "bob": "b"})
    assert [users.find("eve", number) for number in range(3)] == [
        (False, "a"),
        (False, "b"),
        (False, "a"),
    ]
    assert Htpasswd({}).find("eve", 7) == (False, DECOY)
