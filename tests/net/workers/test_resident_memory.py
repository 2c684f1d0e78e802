"""What a worker's process is bound to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from wiredaemon.net.workers import resident_memory
from wiredaemon.net.workers.resident_memory import ResidentMemory, let_others_first

if TYPE_CHECKING:
    import pytest


def test_a_worker_lets_the_daemon_go_first() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        let_others_first(process.pid)
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(ours + 5, 19)
        assert process.stdin is not None
        process.stdin.write(b"\n")
    let_others_first(process.pid)


def test_the_size_of_a_moment_ago_counts_and_an_older_one_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, sizes = [0.0], [10, 20, 30]
    monkeypatch.setattr(resident_memory, "monotonic", lambda: now[0])
    monkeypatch.setattr(ResidentMemory, "read", lambda _: sizes.pop(0))
    memory = ResidentMemory(os.getpid())
    assert memory.recent() == 10
    now[0] = 0.019
    assert memory.recent() == 10
    now[0] = 0.021
    assert memory.recent() == 20
    memory.close()


def test_the_memory_of_a_process_is_what_the_system_says() -> None:
    memory = ResidentMemory(os.getpid())
    assert memory.recent() > 1024 * 1024
    memory.close()
    assert memory.read() == 0
