"""Prints findings: for people, in colours where they can see them, or as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TextIO

from wiredaemon.daemon.doctor.finding import Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.daemon.doctor.finding import Finding

_COLOURS: Final[Mapping[Level, str]] = {
    Level.FINE: "32",
    Level.WARNING: "33",
    Level.ERROR: "31",
}
"""Green, yellow and red, as ECMA-48 numbers them."""


def has_colours(output: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether colours are wanted: on terminals, unless ``NO_COLOR`` is set and not empty."""
    dumb = environment.get("TERM") == "dumb"
    return output.isatty() and not environment.get("NO_COLOR") and not dumb


def write_json(findings: Sequence[Finding], output: TextIO) -> None:
    """Write an object for each finding, one on each line."""
    for each in findings:
        shown = {
            "level": each.level.value,
            "area": each.area,
            "text": each.text,
            "remedy": each.remedy,
        }
        output.write(f"{json.dumps(shown)}\n")


def write_text(findings: Sequence[Finding], output: TextIO, *, colours: bool) -> None:
    """Write findings for people, then how many there are of each level.

    Args:
        findings: In the order in which they are written.
        output: Receives the text.
        colours: Levels are coloured.
    """
    for each in findings:
        level = f"{each.level.value:7}"
        if colours:
            level = f"\x1b[{_COLOURS[each.level]}m{level}\x1b[0m"
        output.write(f"{level} {_shown(each.area)}: {_shown(each.text)}\n")
        if each.remedy:
            output.write(f"        -> {_shown(each.remedy)}\n")
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    errors, warnings = (
        f"{counts[level]} {level.value}{'s' * (counts[level] != 1)}"
        for level in (Level.ERROR, Level.WARNING)
    )
    output.write(f"{errors}, {warnings}, {counts[Level.FINE]} fine\n")


def _shown(text: str) -> str:
    """Return a text that changes nothing of the terminal, whatever a file's name has in it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
