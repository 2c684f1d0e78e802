"""``wiredaemon check-config``: its arguments, and all mistakes of a configuration at once.

Exit statuses: 0 it can be used, 1 it cannot, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

# What runs it is imported when it runs, as by ``cli``.
# ruff: noqa: PLC0415


def add_check_config(commands: Any) -> None:  # noqa: ANN401 has no public name
    """Add ``check-config`` to the subcommands of a parser."""
    check_config = commands.add_parser(
        "check-config",
        help="say whether a configuration can be used",
        description="Read a configuration and all the files that it names, as the start of the "
        "daemon does, and say all that is wrong. Nothing is changed or opened.",
        epilog="The exit status is 0 if the configuration can be used, also with warnings, and 1 "
        "if it cannot.",
    )
    check_config.add_argument("file", metavar="FILE", type=Path, help="configuration file (TOML)")
    check_config.add_argument(
        "--output",
        choices=["pretty", "json"],
        default="pretty",
        help="pretty (the default) for people, json: an object on a line for each finding, as "
        "`wiredaemon doctor` prints them",
    )
    check_config.set_defaults(run=run, ends_at_signals=True)


def run(options: argparse.Namespace) -> int:
    """Read the configuration, print what is wrong, and return the exit status."""
    from twisted.internet import reactor

    from wiredaemon.daemon.check import read_all
    from wiredaemon.daemon.doctor.finding import of_mistake, usable
    from wiredaemon.daemon.doctor.folders import examine_paths
    from wiredaemon.daemon.doctor.output import write_json

    file = options.file
    config, wrong = read_all(file, reactor)
    warnings = [] if config is None else list(examine_paths(config, "the daemon's user"))
    if options.output == "json":
        found = [of_mistake(each) for each in wrong] or [usable(file)]
        write_json([*found, *warnings], sys.stdout)
        return bool(wrong)
    doubts = [f"{file}: warning: {each.area}: {each.text}" for each in warnings]
    for text in [*map(str, wrong), *doubts]:
        sys.stderr.write(f"wiredaemon: {text}\n")
    if not wrong:
        sys.stdout.write(f"{file}: OK\n")
    return bool(wrong)
