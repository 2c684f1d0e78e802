"""A release of Mercurial that stays loaded: commands of `hg` in processes of their own, but quick.

Starting `hg` takes 0.15 s of a processor, and tests start it thousands of times. Here one process
loads Mercurial and forks for each command (`support.hg_forks`); what runs then is the release's
own program, unchanged.
"""

from __future__ import annotations

import atexit
import json
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
            python, program = [command[0]], "-m"
        else:
            (program,) = command
            with Path(program).open(encoding="utf-8") as file:
                python = file.readline().removeprefix("#!").split()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*python, str(_PROGRAM), str(theirs.fileno()), program],
                env=client_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C is for the tests, which then kill what they wait for.
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def run(
        self, arguments: Sequence[str], *, folder: Path, deadline: float, given: bytes = b""
    ) -> tuple[int, bytes]:
        """Run a command to its end.

        Args:
            arguments: The arguments after the program's name.
            folder: Where it runs.
            deadline: Seconds that it may take.
            given: The bytes of its standard input.

        Returns:
            Its exit code, negative if it was killed, and what it has printed to both outputs.

        Raises:
            TimeoutError: It did not end, and was killed.
            EOFError: The process that runs commands has ended; its standard error says why.
        """
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "variables": client_environment(),
            "umask": _umask(),
        }
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
        """End it, and the commands that still run."""
        self._requests.close()
        self._process.wait()


def _wait(answers: socket.socket, deadline: float) -> int:
    """Return the exit code of a command; kill it if it takes too long, or if we are interrupted."""
    answers.settimeout(deadline)
    try:
        code = answers.recv(20)
    except BaseException:
        answers.shutdown(socket.SHUT_WR)
        answers.settimeout(None)
        answers.recv(20)
        raise
    if not code:
        raise EOFError("the process that runs the commands of hg has ended")
    return int(code)


def _umask() -> int:
    # Python can only read it by setting it, which other threads would notice.
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("\nUmask:")[2].split()[0], 8)


@cache
def loaded_hg(command: tuple[str, ...]) -> LoadedHg:
    """Return the one of this process, started when it is first used."""
    return LoadedHg(command)
