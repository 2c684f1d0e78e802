"""Runs commands of one release of `hg`, each in a fork of a process that has loaded Mercurial.

The other side of `support.loaded_hg`, and a program of its own: the Python of the release runs it,
so it imports nothing of ours. A fork runs what people start, from its first line to its last.

    python hg_forks.py SOCKET HG    # or -m in place of the path of hg

A request on the socket is a JSON object with `arguments`, `folder`, `variables` and `umask`, and
three descriptors: the input, the output for both of a command's outputs, and a socket for the
answer. The answer is the exit code, in decimal. When the caller closes that socket, the command is
killed with all that it has started: nothing is left of tests that are killed themselves.
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
from typing import NoReturn

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
"""Modules that commands load while they run: most of the time of a short command."""


def load() -> None:
    """Load those of `MODULES` that a release has."""
    # Else Mercurial would load each module when it is first used, which is in the forks.
    os.environ["HGDEMANDIMPORT"] = "disable"
    for name in MODULES:
        with suppress(ModuleNotFoundError):
            import_module(f"mercurial.{name}")
    gc.collect()
    gc.freeze()


def run(program: str, text: bytes, given: int, output: int) -> NoReturn:
    """Become the command of a request, and end as Python ends a program."""
    code: object = 1
    try:
        _prepare(program, text, given, output)
        if program == "-m":
            runpy.run_module("mercurial", run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:  # noqa: BLE001 what Python does at the end of a program
        traceback.print_exc()
    finally:
        # Whatever has happened: a fork never goes on as the process that runs commands.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _prepare(program: str, text: bytes, given: int, output: int) -> None:
    """Give this process all that a program has of who starts it."""
    from mercurial import pycompat  # noqa: PLC0415 not before `load`

    os.dup2(given, sys.stdin.fileno())
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.closerange(sys.stderr.fileno() + 1, MOST_OPEN)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(text)
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv = [program, *request["arguments"]]
    pycompat.sysargv[:] = map(os.fsencode, sys.argv)


class Forks:
    """The commands that run."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._running: dict[socket.socket, int] = {}
        """Process ids, by the sockets for the answers."""
        self.ended, waker = socket.socketpair()
        """Can be read when some have ended."""
        self._waker = waker
        waker.settimeout(0)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    @property
    def callers(self) -> list[socket.socket]:
        """Sockets that can be read when a command is not waited for any more."""
        return list(self._running)

    def begin(self, text: bytes, given: int, output: int, answer: int) -> None:
        """Run a command, in a process group of its own."""
        process = os.fork()
        # Both do it: whichever is first, the group is there for what follows.
        os.setpgid(process, 0)
        if not process:
            run(self._program, text, given, output)
        os.close(given)
        os.close(output)
        self._running[socket.socket(fileno=answer)] = process

    def reap(self) -> None:
        """Answer the callers of commands that have ended."""
        self.ended.recv(LARGEST)
        for caller, process in list(self._running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                self._answer(caller, status)

    def kill(self, caller: socket.socket) -> None:
        """Kill a command and all that it has started, unless it has just ended."""
        process = self._running.get(caller)
        if process is not None:
            os.killpg(process, signal.SIGKILL)
            self._answer(caller, os.waitpid(process, 0)[1])

    def _answer(self, caller: socket.socket, status: int) -> None:
        del self._running[caller]
        with caller, suppress(OSError):
            caller.send(b"%d" % os.waitstatus_to_exitcode(status))


def serve(requests: socket.socket, forks: Forks) -> None:
    """Run commands until the other side is gone."""
    while True:
        ready, _, _ = select.select([requests, forks.ended, *forks.callers], [], [])
        if forks.ended in ready:
            forks.reap()
        for caller in ready:
            if caller not in {requests, forks.ended}:
                forks.kill(caller)
        if requests in ready:
            text, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 3)
            if not text:
                return
            forks.begin(text, *descriptors)


def main(requests: socket.socket, program: str) -> None:
    """Load the release and run commands; at the end none of them is left."""
    del sys.path[0]  # this folder, whose names are also others'
    load()
    forks = Forks(program)
    try:
        serve(requests, forks)
    finally:
        for caller in forks.callers:
            forks.kill(caller)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
