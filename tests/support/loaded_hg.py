"""A release of Mercurial that stays loaded: commands of `hg` in processes of their own, but quick.

Starting `hg` takes 0.15 s of a processor, and tests start it thousands of times. Here one process
loads Mercurial and forks for each command (`support.hg_forks`); what runs then is the release's
own program, unchanged.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from support.environment import client_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAM: Final = Path(__file__).with_name("hg_forks.py")


class LoadedHg:
    """A process that runs commands of one release; any thread may ask for one."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it.

        Args:
            command: What people start: the path of `hg`, or Python, `-m` and `mercurial`.
        """
        if command[1:] == ("-m", "mercurial"):
            python, what = [command[0]], "-m"
        else:
            (what,) = command
            with Path(what).open(encoding="utf-8") as file:
                python = file.readline().removeprefix("#!").split()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*python, str(_PROGRAM), str(theirs.fileno()), what],
                env=client_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def run(
        self, arguments: Sequence[str], *, folder: Path, deadline: float, given: bytes = b""
    ) -> tuple[int, bytes]:
        """Run a command to its end.

        Args:
            arguments: Behind the program's name.
            folder: Where it runs.
            deadline: Seconds that it may take.
            given: What it reads.

        Returns:
            Its exit code, negative if it was killed, and what it has printed to both outputs.

        Raises:
            TimeoutError: It did not end, and was killed.
        """
        request = {"arguments": arguments, "folder": str(folder), "variables": client_environment()}
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with TemporaryFile() as read, TemporaryFile() as output, answers:
            read.write(given)
            read.seek(0)
            with theirs:
                files = [read.fileno(), output.fileno(), theirs.fileno()]
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
            code = _wait(answers, deadline)
            output.seek(0)
            return code, output.read()

    def close(self) -> None:
        """End it, once the commands that it runs have ended."""
        self._requests.close()
        self._process.wait()


def _wait(answers: socket.socket, deadline: float) -> int:
    process = int(answers.recv(20))
    answers.settimeout(deadline)
    try:
        code = answers.recv(20)
    except BaseException:
        os.kill(process, signal.SIGKILL)
        raise
    return int(code)


@cache
def loaded_hg(command: tuple[str, ...]) -> LoadedHg:
    """Return the one of this process, started when it is first used."""
    return LoadedHg(command)
