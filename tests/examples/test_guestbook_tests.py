"""The tests that are examples pass, in the programs that people run them with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from subprocess import CompletedProcess

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples" / "embedded_site"


def run(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """Run a module of Python in an empty folder, with the examples to import."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{ROOT}",
        # Only those that are named: this checkout may be installed or not.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_trial_runs_its_example(tmp_path: Path) -> None:
    found = run(tmp_path, "twisted.trial", "test_guestbook_trial")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "PASSED (successes=3)" in found.stdout


def test_pytest_runs_its_example_with_the_fixture_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    found = run(
        tmp_path,
        "pytest",
        *("-c", "pytest.ini"),
        *("-p", "pytest_twisted", "-p", "wiredaemon.testing.pytest_plugin"),
        *("-p", "no:cacheprovider"),
        str(EXAMPLES / "test_guestbook_pytest.py"),
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"\b6 passed\b", found.stdout)
