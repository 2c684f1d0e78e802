"""The groups file: a line ``name: user user`` for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.accounts.files import AccountsFileError, lines_of
from wiredaemon.accounts.names import name_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def parse_groups(file: Path, text: str) -> Mapping[str, frozenset[str]]:
    """Return the groups of each user who is in any; a group may have several lines.

    Raises:
        AccountsFileError: A line is wrong; it is named.
    """
    groups_of: dict[str, set[str]] = {}
    for number, line in lines_of(text):
        group, colon, members = line.partition(":")
        group = group.strip()
        problem = name_problem(group) if colon else "a line is GROUP: USER USER"
        for member in members.split():
            if member in groups_of:
                groups_of[member].add(group)
            else:
                problem = problem or name_problem(member)
                groups_of[member] = {group}
        if problem is not None:
            raise AccountsFileError(file, problem, number)
    return {user: frozenset(groups) for user, groups in groups_of.items()}
