"""Stops and reloads at random moments under load: ``python -m benchmarks.stops --help``.

Clients read over kept and over new connections, others write to a repository whose hook sleeps.
The run is good if no stop needs ``kill -9``, no process is left behind a stop, and no request fails
because of a reload.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.crash import hg
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN_SECONDS: Final = 1.0
"""As short as half of the hooks last, so that each other stop has something to break off."""
_SPARE_SECONDS: Final = 15.0
"""Behind `DRAIN_SECONDS` the daemon has ended."""
_DEADLINE: Final = 60.0
_POLL: Final = 0.005
_HTTP: Final = re.compile(r"\bhttp listening on http://127\.0\.0\.1:(\d+)/")
_RELOADED: Final = "the configuration was read again"
_READERS: Final = 4
_WRITERS: Final = 2
_HOOK: Final = "import random, time; time.sleep(random.uniform(0, 2))"


@dataclass(kw_only=True)
class Counts:
    """The counts of a run."""

    stops: int = 0
    reloads: int = 0
    killed: int = 0
    """Stops that needed ``kill -9``."""
    left: int = 0
    """Processes that ran on behind a stop."""
    hooks: int = 0
    """Stops with a running hook."""
    slowest_stop: float = 0.0
    """Seconds."""
    answered: int = 0
    """Requests that were answered while the configuration was read again and again."""
    failed: int = 0
    """Requests that were not."""
    errors: list[str] = field(default_factory=list)
    """The first errors of those."""

    @property
    def is_good(self) -> bool:
        """Whether all stops and reloads were clean."""
        return not (self.killed or self.left or self.failed)


class Process:
    """A daemon that serves one repository, whose hook sleeps, for everybody to write to."""

    def __init__(self, folder: Path) -> None:
        """Make the repository; nothing is started."""
        self.repository = folder / "repository"
        hg("init", str(self.repository))
        hook = f"{sys.executable} -c '{_HOOK}'"
        hgrc = self.repository / ".hg" / "hgrc"
        hgrc.write_text(f"[hooks]\nprepushkey.wait = {hook}\n", encoding="utf-8")
        self._data = folder / "data"
        self._file = folder / "wiredaemon.toml"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.port = 0

    def configure(self, number: int) -> None:
        """Write the configuration; odd ones have one more listener and other limits."""
        more = ', "tcp:0:interface=127.0.0.1:backlog=9"' if number % 2 else ""
        self._file.write_text(
            f"[data]\nfolder = {json.dumps(str(self._data))}\n"
            f'[listen]\nhttp = ["tcp:0:interface=127.0.0.1"{more}]\n'
            f"[limits]\nhead = {16384 + number}\n"
            f"[server]\ndrain_seconds = {DRAIN_SECONDS}\n"
            '[web]\npush_ssl = false\nallow-push = ["*"]\n'
            f'[paths]\n"/" = {json.dumps(str(self.repository))}\n',
            encoding="utf-8",
        )

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        self.configure(0)
        twistd = Path(sysconfig.get_path("scripts"), "twistd")
        command = [str(twistd), "--nodaemon", "--pidfile=", "wiredaemon", "--config"]
        with self._log.open("ab") as log:
            self._seen = log.tell()
            self._process = subprocess.Popen([*command, str(self._file)], stdout=log, stderr=log)
        self.wait_for(lambda: "wiredaemon is ready" in self.log)
        found = _HTTP.search(self.log)
        if found is None:
            raise BenchmarkError("the daemon does not say where it listens")
        self.port = int(found[1])

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None  # noqa: S101 started
        return self._process.pid

    @property
    def log(self) -> str:
        """The log since the last start."""
        with self._log.open("rb") as file:
            file.seek(self._seen)
            return file.read().decode("utf-8", "backslashreplace")

    def wait_for(self, has_happened: Callable[[], bool]) -> None:
        """Wait for something that a running daemon does.

        Raises:
            BenchmarkError: It has ended, or takes too long.
        """
        assert self._process is not None  # noqa: S101 started
        end = time.monotonic() + _DEADLINE
        while not has_happened():
            if time.monotonic() > end or self._process.poll() is not None:
                raise BenchmarkError(f"the daemon does not go on: {self.log[-2000:]}")
            time.sleep(_POLL)

    def reload(self, number: int) -> None:
        """Let it read another configuration, and wait until it has."""
        before = self.log.count(_RELOADED)
        self.configure(number)
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for(lambda: self.log.count(_RELOADED) > before)

    def stop(self) -> bool:
        """Stop it, and return whether that was enough; otherwise it is killed."""
        assert self._process is not None  # noqa: S101 started
        self._process.terminate()
        try:
            self._process.wait(DRAIN_SECONDS + _SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


def below(pid: int) -> dict[int, str]:
    """Return all processes below one: their numbers, and when each was started."""
    found: dict[int, str] = {}
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        # A process may end at any time.
        with suppress(OSError):
            for child in map(int, file.read_text("ascii").split()):
                found |= {child: _started(child), **below(child)}
    return found


def _started(pid: int) -> str:
    """Return when a process was started, in a form of its own; empty if it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


class Load:
    """Clients that ask as fast as they are answered."""

    def __init__(self, port: int, seed: int) -> None:
        """Begin."""
        self._port = port
        self._is_over = threading.Event()
        self.answered = 0
        self.errors: list[str] = []
        makes: list[Callable[[random.Random], None]] = [self._read] * _READERS
        makes += [self._write] * _WRITERS
        self._threads = [
            threading.Thread(target=make, args=[random.Random(seed + number)])  # noqa: S311 no secrets
            for number, make in enumerate(makes)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let all clients end."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _read(self, dice: random.Random) -> None:
        connection = self._connect()
        while not self._is_over.is_set():
            if dice.random() < 0.1:  # noqa: PLR2004 one in ten
                connection.close()
            self._ask(connection, "GET", "/?cmd=heads", None)
        connection.close()

    def _write(self, dice: random.Random) -> None:
        connection = self._connect()
        while not self._is_over.is_set():
            key = f"mark{dice.randrange(10)}"
            arguments = f"namespace=bookmarks&key={key}&old=&new={'0' * 40}"
            headers = {"X-HgArgs-Post": str(len(arguments))}
            self._ask(connection, "POST", "/?cmd=pushkey", arguments, headers)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_DEADLINE)

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: str | None,
        headers: dict[str, str] | None = None,
    ) -> None:
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(f"{method} {target}: {error!r}")
            connection.close()
            # A daemon that stops refuses all, which needs no processor.
            self._is_over.wait(_POLL)
            return
        if response.status == http.HTTPStatus.OK:
            self.answered += 1
        else:
            self.errors.append(f"{method} {target}: {response.status} {response.reason}")


def run(stops: int, reloads: int, folder: Path, *, seed: int = 1) -> Counts:
    """Reload one daemon under load, then start and stop daemons under load; return the counts.

    Args:
        stops: The number of stops.
        reloads: The number of reloads.
        folder: An empty folder.
        seed: The seed of all random choices; the machine's own speed stays random.
    """
    dice = random.Random(seed)  # noqa: S311 no secrets
    counts = Counts()
    process = Process(folder)
    process.start()
    _reload(process, reloads, dice, counts)
    for number in range(stops):
        if number:
            process.start()
        _stop(process, dice, counts)
    if not stops:
        process.stop()
    return counts


def _reload(process: Process, reloads: int, dice: random.Random, counts: Counts) -> None:
    load = Load(process.port, dice.randrange(1000))
    try:
        for number in range(1, reloads + 1):
            time.sleep(dice.uniform(0, 0.3))
            process.reload(number)
            counts.reloads += 1
    finally:
        load.end()
    counts.answered = load.answered
    counts.failed = len(load.errors)
    counts.errors = load.errors[:5]


def _stop(process: Process, dice: random.Random, counts: Counts) -> None:
    load = Load(process.port, dice.randrange(1000))
    try:
        time.sleep(dice.uniform(0, 2))
        ours = below(process.pid)
        began = time.monotonic()
        counts.killed += not process.stop()
        took = time.monotonic() - began
    finally:
        load.end()
    counts.stops += 1
    counts.hooks += len(ours) > 1
    counts.slowest_stop = round(max(counts.slowest_stop, took), 1)
    counts.left += sum(started == _started(pid) != "" for pid, started in ours.items())


def main() -> int:
    """Run, print the counts, and return the exit code: 1 if all is not well."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stops-") as folder:
        counts = run(options.stops, options.reloads, Path(folder), seed=options.seed)
    print(json.dumps(asdict(counts), indent=2))
    return 0 if counts.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
