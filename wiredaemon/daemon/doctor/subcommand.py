"""``wiredaemon doctor``: its arguments, and its run in a process of its own.

Exit statuses: 0 all is fine, 1 there are warnings, 2 there are errors, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.daemon.interrupts import INTERRUPTED

if TYPE_CHECKING:
    import argparse

    from twisted.python.failure import Failure

    from wiredaemon.daemon.doctor.finding import Finding

# What runs it is imported when it runs, as by ``cli``.
# ruff: noqa: PLC0415

DEFAULT_FILE: Final = "wiredaemon.toml"
"""The configuration where none is named: that of the current folder, as ``init`` names it."""


def add_doctor(commands: Any) -> None:  # noqa: ANN401 has no public name
    """Add ``doctor`` to the subcommands of a parser."""
    doctor = commands.add_parser(
        "doctor",
        help="say what would keep a daemon from serving a configuration",
        description="Examine a configuration and all that it needs of this machine: repositories, "
        "commands, rights, certificates, passwords, ports, disks. All is looked at, and each "
        "finding says what to do. Nothing is changed; a running daemon is not disturbed.",
        epilog="The exit status is 0 if all is fine, 1 for warnings, 2 for errors.",
    )
    doctor.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path(DEFAULT_FILE),
        help=f"configuration file (default: {DEFAULT_FILE} in the current folder)",
    )
    doctor.add_argument(
        "--user",
        metavar="NAME",
        help="look at rights as this user, as whom `twistd --uid` will run; needs root",
    )
    doctor.add_argument(
        "--output",
        choices=["pretty", "json"],
        default="pretty",
        help="pretty (the default) for people, json: an object on a line for each finding",
    )
    doctor.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Examine, print and return the exit status."""
    # Before anything of others' is imported: nothing is to be written beside it. Workers see the
    # variable.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

    from wiredaemon.daemon.doctor.finding import status_of
    from wiredaemon.daemon.doctor.output import has_colours, write_json, write_text

    findings = _examine(options)
    if findings is None:
        return INTERRUPTED
    if options.output == "json":
        write_json(findings, sys.stdout)
    else:
        write_text(findings, sys.stdout, colours=has_colours(sys.stdout, os.environ))
    return status_of(findings)


def _examine(options: argparse.Namespace) -> list[Finding] | None:
    """Run the reactor for as long as the examination takes; None if it was interrupted."""
    from twisted.internet.defer import CancelledError, Deferred
    from twisted.internet.task import react
    from twisted.logger import globalLogBeginner

    from wiredaemon.daemon.doctor.examination import examine

    # What workers print is a finding.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    found: list[list[Finding]] = []
    failures: list[Failure] = []

    def work(reactor: Any) -> Deferred[None]:  # noqa: ANN401 zope interfaces do not intersect
        now = datetime.now(UTC)
        examining = Deferred.fromCoroutine(
            examine(options.config, reactor, user=options.user, now=now)
        )
        ended = examining.addCallbacks(found.append, failures.append)

        def interrupt() -> Deferred[None]:
            examining.cancel()
            return ended  # the reactor waits for it, and so for the end of the worker

        reactor.addSystemEventTrigger("before", "shutdown", interrupt)
        return ended

    # `react` ends the process by itself; the status is to be the findings'.
    with suppress(SystemExit):
        react(work)
    for failure in failures:
        if failure.check(CancelledError) is None:
            failure.raiseException()
    return found[0] if found else None
