"""What is left of a daemon or a worker that is killed while a hook runs: nothing."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from support.commands_over_http import PUSHKEY, send_command
from support.configuration import configuration
from support.daemon import Daemon
from support.repositories import make_repository, write_hgrc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DEADLINE: Final = 30.0
SLEEPS: Final = "sleep 1000"
REFUSES_TO_END: Final = "trap '' TERM; sleep 1000"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are watched by pidfds")


class Watched:
    """Processes whose end can be waited for, even if their numbers are used again."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._descriptors = {os.pidfd_open(pid): pid for pid in pids}

    def wait_for_end(self) -> None:
        left = dict(self._descriptors)
        poll = select.poll()
        for descriptor in left:
            poll.register(descriptor, select.POLLIN)
        while left:
            ended = poll.poll(DEADLINE * 1000)
            assert ended, f"still running: {sorted(left.values())}"
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                del left[descriptor]

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)


def serve(folder: Path, hook: str) -> str:
    """Make a repository whose hook names its processes in a pipe, and return a configuration."""
    repository = make_repository(folder / "repository")
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    write_hgrc(
        repository,
        "[web]\npush_ssl = false\nallow-push = *\n"
        f"[hooks]\nprepushkey.wait = (echo $PPID $$ > {pipe}; {hook})\n",
    )
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        load=(),
    )
    return text.replace("false", "true")


@pytest.mark.parametrize("hook", [SLEEPS, REFUSES_TO_END], ids=["sleeps", "refuses to end"])
@pytest.mark.parametrize("victim", ["daemon", "worker"])
def test_nothing_outlives_a_kill(tmp_path: Path, hook: str, victim: str) -> None:
    text = serve(tmp_path, hook)
    with Daemon.start(text, tmp_path) as daemon, daemon.connect() as connection:
        daemon.wait_for_log(r"repository worker (\d+) is ready")
        send_command(connection, "rw", "pushkey", PUSHKEY)
        # The hook writes when it runs.
        worker, shell = map(int, (tmp_path / "pipe").read_text(encoding="ascii").split())
        with closing(Watched([worker, shell, *children(shell)])) as watched:
            os.kill(daemon.pid if victim == "daemon" else worker, signal.SIGKILL)
            watched.wait_for_end()


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123 no path of ours
        return [int(child) for child in file.read().split()]
