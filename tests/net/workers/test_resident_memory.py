"""What a worker's process is bound to."""

from __future__ import annotations

import os
import subprocess
import sys

from wiredaemon.net.workers.resident_memory import let_others_first


def test_a_worker_lets_the_daemon_go_first() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        let_others_first(process.pid)
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(ours + 5, 19)
        assert process.stdin is not None
        process.stdin.write(b"\n")
    let_others_first(process.pid)
