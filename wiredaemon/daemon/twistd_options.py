"""The options of ``twistd wiredaemon``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from wiredaemon import __version__
from wiredaemon.daemon.pid_file import remove_stale_pid_file


class Options(TwistedOptions):
    """The options after ``wiredaemon`` on the command line of ``twistd``."""

    synopsis: Final = "[--config FILE | --data FOLDER]"
    longdesc: Final = (
        "Serves commands and Mercurial repositories over hgrpc. Without --config it serves an"
        " embedded default on loopback, with what it needs made in the data folder."
    )
    optParameters: Final = [
        ["config", "c", None, "Configuration file (TOML).", Path],
        [
            "data",
            "d",
            None,
            "Data folder of the embedded default. [default: $XDG_DATA_HOME/wiredaemon]",
            Path,
        ],
    ]

    def postOptions(self) -> None:
        """Refuse a data folder beside a configuration, which names its own.

        Also remove a stale pid file: the options are complete now, and `twistd` looks for its pid
        file next.
        """
        if self["config"] is not None and self["data"] is not None:
            raise UsageError("--data is for the embedded default: --config names its own folder")
        pid_file = self.parent.get("pidfile") if self.parent is not None else None
        if pid_file:
            remove_stale_pid_file(Path(pid_file), own=os.getpid())

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"wiredaemon {__version__}")  # noqa: T201 (the answer to --version)
        raise SystemExit(0)
