"""Compares what was printed with what a page shows."""

from __future__ import annotations

import re


def matches(expected: str, printed: str, *, goes_on: bool = False) -> bool:
    """Return whether a text is as expected, where ``...`` is anything on a line, or whole lines.

    Args:
        expected: What a page shows; empty lines at its ends do not count.
        printed: What a program has printed; those at its end do not count.
        goes_on: Whether the program may print more lines than those.
    """
    pattern = ""
    for line in expected.strip("\n").split("\n"):
        anything = r"[^\n]*".join(re.escape(part) for part in line.split("..."))
        pattern += r"(?:[^\n]*\n)*?" if line == "..." else rf"{anything}\n"
    found = re.match if goes_on else re.fullmatch
    return found(pattern, f"{printed.rstrip()}\n") is not None
