"""Runs commands of one release of `hg`, each in a fork of a process that has loaded Mercurial.

The other side of `support.loaded_hg`, and a program of its own: the Python of the release runs it,
so it imports nothing of ours. A fork runs what people start, from its first line to its last.

    python hg_forks.py SOCKET HG    # or -m in place of the path of hg

On the socket come requests: JSON, the descriptors of the input and of both outputs, and that of a
socket for the answers: the process id when the command begins, its exit code when it is gone.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any

LARGEST = 1 << 17
"""Bytes of a request."""

MOST_OPEN = 1000
"""Descriptors of this process: one for each command that runs, and a few."""

MODULES = (
    "commands",
    "debugcommands",
    "hgweb",
    "httppeer",
    "localrepo",
    "streamclone",
    "templatefuncs",
    "treediscovery",
    "verify",
    "wireprotov1peer",
    "wireprotov2peer",
)
"""What commands load while they run, with all that it loads: the most of what a short one does."""


def load() -> None:
    """Load all of what a release has of `MODULES`."""
    # Mercurial loads each of its modules when it is first used: too late.
    os.environ["HGDEMANDIMPORT"] = "disable"
    for name in MODULES:
        with suppress(ModuleNotFoundError):
            import_module(f"mercurial.{name}")
    gc.collect()
    gc.freeze()


def run(program: str, request: dict[str, Any], given: int, output: int) -> int:
    """Run a command in this process, which is its own, and return its exit code."""
    from mercurial import pycompat  # noqa: PLC0415 not before `load`

    os.dup2(given, sys.stdin.fileno())
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.closerange(sys.stderr.fileno() + 1, MOST_OPEN)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv = [program, *request["arguments"]]
    pycompat.sysargv[:] = map(os.fsencode, sys.argv)
    code = 0
    try:
        if program == "-m":
            runpy.run_module("mercurial", run_name="__main__")
        else:
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 what Python does at the end of a program
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


class Forks:
    """The commands that run."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._answers: dict[int, socket.socket] = {}
        self.ended, waker = socket.socketpair()
        """Can be read when some have ended."""
        self._waker = waker
        waker.settimeout(0)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def begin(self, text: bytes, given: int, output: int, answer: int) -> None:
        """Run a command."""
        process = os.fork()
        if not process:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os._exit(run(self._program, json.loads(text), given, output))
        os.close(given)
        os.close(output)
        self._answers[process] = socket.socket(fileno=answer)
        self._answers[process].send(b"%d" % process)

    def answer(self) -> None:
        """Say of those that have ended how they did."""
        self.ended.recv(LARGEST)
        while self._answers:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            with self._answers.pop(process) as answering, suppress(OSError):
                answering.send(b"%d" % os.waitstatus_to_exitcode(status))

    def wait(self) -> None:
        """Wait for those that still run."""
        for process in self._answers:
            os.waitpid(process, 0)


def main(requests: socket.socket, program: str) -> None:
    """Run commands until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del sys.path[0]  # this folder, whose names are also others'
    load()
    forks = Forks(program)
    while True:
        ready, _, _ = select.select([requests, forks.ended], [], [])
        if forks.ended in ready:
            forks.answer()
        if requests in ready:
            text, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 3)
            if not text:
                break
            forks.begin(text, *descriptors)
    forks.wait()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
