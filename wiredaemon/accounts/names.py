"""The names that users and groups may have."""

from __future__ import annotations

import re
from typing import Final

LONGEST_NAME: Final = 255
"""The most characters of a name: what a name of the file system may have, and certificates too."""

_SEPARATORS: Final = re.compile(r"[\s:,]")


def name_problem(name: str) -> str | None:
    """Return why a user of a file, or a group, may not have a name; None if it may.

    The name must survive HTTP's Basic scheme (no colon), groups files (no white space) and lists of
    a hgrc (no comma).
    """
    if _SEPARATORS.search(name):
        return "a name has no white space, colon or comma"
    if name.startswith("#"):
        return "a name does not begin with #, as comments do"
    return vouched_name_problem(name)


def vouched_name_problem(name: str) -> str | None:
    """Return why a user whom a certificate or a proxy names may not have a name; None if it may.

    Lists of users give ``*`` and ``@group`` a meaning; control characters would end lines of a log.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        return f"a name has 1 to {LONGEST_NAME} characters"
    if name.startswith("@") or name == "*":
        return "a name does not begin with @ and is not *: lists of users give them a meaning"
    if not name.isprintable():
        return "a name has printable characters only"
    return None
