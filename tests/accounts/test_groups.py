from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.accounts.groups import parse_groups

FILE: Final = Path("groups")


def test_groups_are_found_by_user_and_may_have_several_lines() -> None:
    text = "# teams\ncrew: ann bob\n\nadmins:ann\ncrew:\tcarl\nempty:\n"
    assert parse_groups(FILE, text) == {
        "ann": frozenset({"crew", "admins"}),
        "bob": frozenset({"crew"}),
        "carl": frozenset({"crew"}),
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("crew", "a line is GROUP: USER USER"),
        (": ann", "a name has 1 to 255 characters"),
        ("@crew: ann", "a name does not begin with @"),
        ("a b: ann", "a name has no white space, colon or comma"),
        ("crew: ann, bob", "a name has no white space, colon or comma"),
        ("crew: @other", "a name does not begin with @"),
        ("crew: *", "is not *"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_it(line: str, problem: str) -> None:
    with pytest.raises(AccountsFileError, match="groups line 2: ") as caught:
        parse_groups(FILE, f"right: ann\n{line}\n")
    assert problem in caught.value.problem
