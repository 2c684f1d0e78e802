"""Does tasks from the documentation alone, in a fresh environment.

A wheel of the project is built, and the pages of each task are followed word by word, the
installation too. Of what they say only the ports of their servers are changed, so that tasks may
run beside other servers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.newcomer.follow import follow, variables
from tools.newcomer.tasks import DOCUMENTS, TASKS
from tools.newcomer.wheels import build_wheel, pack_installed

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Do the tasks that are named, or all; 0 if each ends as its pages say."""
    parser = argparse.ArgumentParser(prog="python -m tools.newcomer", description=__doc__)
    names = [task.name for task in TASKS]
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="install from wheels that are made of what this environment has, not from an index",
    )
    arguments = parser.parse_args(words)
    if unknown := set(arguments.tasks) - set(names):
        parser.error(f"no such task: {', '.join(sorted(unknown))} (there are {', '.join(names)})")
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="newcomer-") as made:
        top = Path(made)
        wheels = top / "wheels"
        wheels.mkdir()
        wheel = build_wheel(wheels)
        if arguments.offline:
            pack_installed(wheels, wheel)
        environment = variables(top / "home", wheels, has_index=not arguments.offline)
        print("| task | pages | files written | lines run | ends as the page says | seconds |")
        print("|---|---|---|---|---|---|")
        for task in TASKS:
            # The first one installs: all others need it.
            if task is not TASKS[0] and arguments.tasks and task.name not in arguments.tasks:
                continue
            begun = time.monotonic()
            outcome = follow(
                [DOCUMENTS / page for page in task.pages], top / task.name, environment
            )
            answer = "no" if outcome.failure else "yes"
            seconds = time.monotonic() - begun
            pages = ", ".join(task.pages)
            counts = f"{outcome.files} | {outcome.lines} | {answer} | {seconds:.1f}"
            print(f"| {task.goal} | {pages} | {counts} |", flush=True)
            if outcome.failure:
                failures.append(f"{task.name}: {outcome.failure}")
    print("", *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
