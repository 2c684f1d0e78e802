from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.accounts.tokens import find_token, make_token, parse_tokens

FILE: Final = Path("tokens")
HASH: Final = "sha256:" + "ab" * 32


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("expires", [None, datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_what_is_stored_of_a_token_is_read_as_it_was_written(
    read_only: bool,  # noqa: FBT001 a parameter
    expires: datetime | None,
) -> None:
    token, stored = make_token("ann", read_only=read_only, expires=expires)
    text = f"# mine\n\n{stored.encode()}\n"
    assert parse_tokens(FILE, text) == {stored.id: stored}
    assert find_token({stored.id: stored}, token.encode()) is stored
    assert token not in text
    assert token.rpartition("_")[2] not in text


def test_each_token_is_another_one() -> None:
    made = [make_token("ann") for _ in range(100)]
    assert len({token for token, _ in made}) == len({stored.id for _, stored in made}) == 100


def test_a_token_under_the_id_of_another_is_not_found() -> None:
    (one, stored), (_, other) = make_token("ann"), make_token("bob")
    tokens = {stored.id: stored, other.id: other}
    assert find_token(tokens, one.encode()) is stored
    assert find_token(tokens, one.replace(stored.id, other.id).encode()) is None
    assert find_token({}, one.encode()) is None


def test_the_hash_of_a_token_is_no_token() -> None:
    _, stored = make_token("ann")
    assert find_token({stored.id: stored}, stored.hash.encode()) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0123abcd ann", "a line is ID USER sha256:HASH"),
        (f"0123ABCD ann {HASH}", "a line is ID USER sha256:HASH"),
        (f"0123abcd ann {HASH}0", "a line is ID USER sha256:HASH"),
        (f"0123abcd @crew {HASH}", "a name does not begin with @"),
        (f"0123abcd ann {HASH} readonly", "'readonly' is neither read-only nor expires=TIME"),
        (f"0123abcd ann {HASH} expires=soon", "'soon' is no time such as"),
        (f"0123abcd ann {HASH} expires=2030-02-30T00:00:00Z", "is no time such as"),
        (f"0123abcd ann {HASH} expires=2030-01-01", "is no time such as"),
        (f"00000000 ann {HASH}", "the id 00000000 is there twice"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_it(line: str, problem: str) -> None:
    with pytest.raises(AccountsFileError, match="tokens line 2: ") as caught:
        parse_tokens(FILE, f"00000000 bob {HASH}\n{line}\n")
    assert problem in caught.value.problem
