"""The test session itself: tests end in time, and a session that cannot go on says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

WAITS: Final = """
import pytest_twisted
from twisted.internet.defer import Deferred

@pytest_twisted.ensureDeferred
async def test_waits_for_ever():
    await Deferred()

def test_comes_next():
    pass
"""
RUNS: Final = """
def test_runs_for_ever():
    while True:
        pass

def test_comes_next():
    pass
"""
STOPS: Final = """
import os, signal
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

@pytest_twisted.ensureDeferred
async def test_ends_the_reactor():
    os.kill(os.getpid(), signal.SIGTERM)
    await deferLater(reactor, 0.1, lambda: None)

def test_comes_next():
    pass
"""

INTERRUPTS: Final = """
import signal
import subprocess

def test_interrupts_a_program():
    ended = subprocess.run(["sh", "-c", "kill -INT $$; exit 3"])
    assert ended.returncode == -signal.SIGINT
"""


def run(folder: Path, tests: str, *options: str, **environment: str) -> tuple[int, str]:
    """Run tests in a session of their own: the exit status, and what was printed."""
    (folder / "conftest.py").write_text(
        'pytest_plugins = ["support.session", "support.time_limit"]\n', "utf-8"
    )
    (folder / "test_it.py").write_text(tests, "utf-8")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)],
        cwd=folder,
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder of tests whose package is this checkout's."""
    (tmp_path / "wiredaemon").symlink_to(ROOT / "wiredaemon")
    return tmp_path


@pytest.mark.parametrize("tests", [WAITS, RUNS], ids=["waits", "runs"])
def test_a_test_that_does_not_end_fails_and_the_next_one_runs(inside: Path, tests: str) -> None:
    status, printed = run(inside, tests, "--timeout=1")
    assert "1 failed, 1 passed" in printed, printed
    assert "TimeLimitError" in printed
    assert status == 1


def test_a_reactor_that_a_signal_has_stopped_ends_the_session(inside: Path) -> None:
    _, printed = run(inside, STOPS)
    assert "the reactor was stopped, by a signal" in printed, printed


def test_programs_can_be_interrupted_also_in_the_background_of_a_shell(inside: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status, printed = run(inside, INTERRUPTS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 0, printed


def test_tests_of_another_checkout_are_refused(tmp_path: Path) -> None:
    # With the plugin that pytest loads before it reads any file of tests.
    testing = tmp_path / "wiredaemon" / "testing"
    testing.mkdir(parents=True)
    for file in (testing.with_name("__init__.py"), testing / "__init__.py"):
        file.write_text("", "utf-8")
    (testing / "pytest_plugin.py").write_text("", "utf-8")
    status, printed = run(tmp_path, WAITS)
    assert "use this checkout's own environment, run `make test`" in printed, printed
    assert status == 4
