"""Where the project is, and what a subprocess of a test is given of this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The project's folder."""

DUMMY_COMMANDS: Final = ROOT / "conf" / "examples" / "dummycommands.py"
"""The seeds' `customreadonly` and `customreadwrite`, for `[commands] load`."""

LOOPBACK: Final = "127.0.0.1"


def environment() -> dict[str, str]:
    """This process's environment for subprocesses: the project importable, no one's own hgrc."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "HGPLAIN": "1",
        "HGRCPATH": "",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
    }


def client_environment() -> dict[str, str]:
    """Return an environment in which names are UTF-8 and no proxy stands before loopback."""
    ours = {
        name: value for name, value in environment().items() if not name.lower().endswith("_proxy")
    }
    return {**ours, "HGENCODING": "utf-8", "HGMERGE": "false", "HGUSER": "Tést <test@example.org>"}
