from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def create(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wiredaemon.worker.create", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_empty_repository_is_made(tmp_path: Path) -> None:
    made = create(tmp_path / "new")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    log = [sys.executable, "-m", "mercurial", "-R", str(tmp_path / "new"), "log"]
    assert subprocess.run(log, capture_output=True, check=True).stdout == b""


def test_a_second_one_in_its_place_is_refused_in_mercurials_words(tmp_path: Path) -> None:
    create(tmp_path / "new")
    refused = create(tmp_path / "new")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"repository {tmp_path / 'new'} already exists\n",
    )
