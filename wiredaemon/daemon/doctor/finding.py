"""What an examination finds: a text for people, how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wiredaemon.daemon.toml_table import ConfigurationError


_FILE: Final = "configuration"
"""The area of findings about the configuration file as a whole."""


class Level(Enum):
    """How bad a finding is."""

    FINE = "ok"
    """As it should be."""
    WARNING = "warning"
    """The daemon serves, but something is missing, or will be."""
    ERROR = "error"
    """The daemon does not start, or does not serve what the configuration says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of an examination."""

    level: Level
    area: str
    """The key of the configuration that it is about, or the part of the machine."""
    text: str
    remedy: str = ""
    """What a person does about it; empty where nothing is to be done."""


def fine(area: str, text: str) -> Finding:
    """Return a finding that something is as it should be."""
    return Finding(Level.FINE, area, text)


def warning(area: str, text: str, remedy: str) -> Finding:
    """Return a finding that the daemon can live with."""
    return Finding(Level.WARNING, area, text, remedy)


def error(area: str, text: str, remedy: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(Level.ERROR, area, text, remedy)


def of_mistake(mistake: ConfigurationError) -> Finding:
    """Return the finding that a configuration has a mistake."""
    remedy = f"accepted: {mistake.accepted}"
    if mistake.key:
        return error(mistake.key, mistake.problem, remedy)
    text = f"{mistake.file} {mistake.problem}"
    return error(_FILE, text, f"{remedy}; `wiredaemon init FOLDER` makes one")


def usable(file: Path | None) -> Finding:
    """Return the finding that a configuration has no mistake."""
    return fine(_FILE, f"{file} can be used")


def status_of(findings: Iterable[Finding]) -> int:
    """Return the exit status: 0 all is fine, 1 there are warnings, 2 there are errors."""
    levels = {finding.level for finding in findings}
    return 2 if Level.ERROR in levels else 1 if Level.WARNING in levels else 0
