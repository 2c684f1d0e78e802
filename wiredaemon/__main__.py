"""``python -m wiredaemon``: the console script."""

from __future__ import annotations

import sys

from wiredaemon.daemon.cli import main

if __name__ == "__main__":
    sys.exit(main())
