"""Signals to a worker and to all that its hooks have started."""

from __future__ import annotations

import os
import signal


def signal_group(pid: int | None, name: str) -> bool:
    """Send a worker's process group a signal; return whether there is such a group.

    There is none until the worker has begun to run.
    """
    if pid is None:
        return False
    try:
        # The group, because a hook may have started programs that hold our pipes. The worker makes
        # one of its own as it begins (`worker/lifeline`).
        os.killpg(pid, signal.Signals[f"SIG{name}"])
    # macOS answers the second for a group whose processes have all ended.
    except (ProcessLookupError, PermissionError):
        return False
    return True
