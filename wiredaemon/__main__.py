"""``wiredaemon`` and ``python -m wiredaemon``: the console script."""

from __future__ import annotations

import sys

from wiredaemon.daemon.interrupts import end_at_signals


def main() -> int:
    """Run a subcommand and return the exit status."""
    # Before anything large is imported: an interrupt is quiet then as well.
    end_at_signals()

    from wiredaemon.daemon.cli import main as run  # noqa: PLC0415 behind the line above

    return run()


if __name__ == "__main__":
    sys.exit(main())
