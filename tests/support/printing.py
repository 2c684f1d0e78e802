"""What programs print, where they must succeed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def printed_by(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> str:
    """What a program prints, errors too, which is given no input.

    Raises:
        AssertionError: It has failed; the text is all that it has printed.
    """
    finished = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout
