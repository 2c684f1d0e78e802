"""Examines the commands: every module and file is loaded, as the start of the daemon does."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Final

from wiredaemon.commands.registry import (
    CommandLoadError,
    load_commands,
    load_installed_commands,
)
from wiredaemon.daemon.check import source_exists
from wiredaemon.daemon.doctor.finding import error, fine
from wiredaemon.daemon.kept import registries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wiredaemon.commands.declaration import Command
    from wiredaemon.daemon.config import Config
from wiredaemon.daemon.doctor.finding import Finding

_AREA: Final = "commands.load"


def examine_commands(config: Config) -> Iterator[Finding]:
    """Yield what is to be said of the sources of commands.

    Their code runs; what it prints goes to standard error. Sources that are missing are left out:
    ``daemon.check`` reports them.
    """
    commands: list[Command] = []
    sources: list[tuple[str, Callable[[], list[Command]]]] = [
        *(
            (str(each), lambda each=each: load_commands([str(each)]))
            for each in config.commands.load
            if source_exists(each)
        ),
        ("installed distributions", load_installed_commands),
    ]
    for name, load in sources:
        try:
            with redirect_stdout(sys.stderr):
                loaded = load()
        except CommandLoadError as wrong:
            yield error(_AREA, str(wrong), f"mend it, or take {name} out of the configuration")
            continue
        commands += loaded
        if loaded:
            yield fine(_AREA, f"{name}: {', '.join(sorted({each.name for each in loaded}))}")
    try:
        registries_of(commands)
    except CommandLoadError as wrong:
        yield error(_AREA, str(wrong), "give one of them another name")
