"""Output whose reader has gone, as that of ``wiredaemon list URL | head -1``."""

from __future__ import annotations

import os
import sys
from typing import Final

UNREAD: Final = 141
"""The exit status of a program that SIGPIPE ended."""


def drop_output() -> None:
    """Keep Python from flushing standard output at its end, and from saying that it failed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
