"""``wiredaemon`` and ``python -m wiredaemon``: the console script."""

from __future__ import annotations

import gc
import sys

from wiredaemon.daemon.interrupts import end_at_signals


def main() -> int:
    """Run a subcommand and return the exit status."""
    # Before anything large is imported: an interrupt is quiet then as well.
    end_at_signals()

    from wiredaemon.daemon.cli import main as run  # noqa: PLC0415 after the line above

    try:
        return run()
    finally:
        # The process ends: what it has loaded is not looked over once more for garbage, which took
        # a seventh of the time of a short call.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
