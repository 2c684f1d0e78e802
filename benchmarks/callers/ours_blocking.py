"""The client for scripts, one call at a time: `python -m benchmarks.callers.ours_blocking URL`."""

from __future__ import annotations

import sys

from benchmarks.callers.orders import DATA, check, obey
from wiredaemon.client import blocking


def main(url: str) -> None:
    """Call `echo` as ordered."""
    arguments = {"data": DATA}
    with blocking.connect(url) as connection:

        def calls(count: int) -> None:
            for _ in range(count):
                check(connection.call("echo", arguments).result())

        obey(calls)


if __name__ == "__main__":
    main(sys.argv[1])
