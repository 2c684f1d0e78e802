"""Ends a session of tests that cannot pass, with a message that says why."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_WHERE: Final = "import wiredaemon; print(wiredaemon.__file__)"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Check the package, and watch the reactor until the session ends."""
    # Shells have what runs in the background ignore Ctrl-C, and programs hand that on: those that
    # tests interrupt would go on for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _check_package(session.config.rootpath)
    _stop_with_reactor(session)
    _remember_versions(session.config)


def _check_package(root: Path) -> None:
    """Leave pytest unless subprocesses import the same package as the tests.

    The workers of a pool are started with `python -P`, which finds nothing in the current folder.
    A pool whose workers end at once starts them again for ever, and its test would only say that
    it waited too long.
    """
    found = subprocess.run(
        [sys.executable, "-P", "-c", _WHERE], capture_output=True, check=False, encoding="utf-8"
    )
    if found.returncode:
        pytest.exit(
            "wiredaemon is not installed in this environment: run `make test`", returncode=4
        )
    ours = root / "wiredaemon" / "__init__.py"
    if not ours.samefile(found.stdout.strip()):
        pytest.exit(
            f"the tests of {root} would start workers of {found.stdout.strip()}:"
            " use this checkout's own environment, run `make test`",
            returncode=4,
        )


def _stop_with_reactor(session: pytest.Session) -> None:
    """End the session when a signal stops the reactor, without which all later tests would fail."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    def stop() -> None:
        session.shouldfail = "the reactor was stopped, by a signal: no further test can run"

    running: Any = reactor
    running.addSystemEventTrigger("before", "shutdown", stop)


def _remember_versions(config: pytest.Config) -> None:
    """Read the version of a distribution once: pytest asks for Twisted's at each test.

    That was a third of what pytest itself takes for a test.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(importlib.metadata, "version", cache(importlib.metadata.version))
    config.add_cleanup(patch.undo)
