"""Rounds of ``kill -9`` in the middle of pushes: ``python -m benchmarks.crash --help``.

In each round clients push side by side, at a random moment a worker or the whole daemon is killed,
and a killed daemon is started again. Then every client pushes once more, without any repair by
hand. The run is good if each push that a client saw succeed is in the repository, the repository
verifies clean, and the later pushes work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEADLINE: Final = 120.0
_POLL: Final = 0.002
_HTTP: Final = re.compile(r"\bhttp listening on (http://\S+)")
_RECOVERED: Final = re.compile(r"abandoned transaction of repository \S+ was rolled back")
_LARGEST_FILE: Final = 2_000_000
_FIRST_DELAYS: Final = (0.3, 1.5)
"""Seconds between which a push is killed blindly."""
_TRANSACTION_DELAYS: Final = (0.0, 0.05)
"""Seconds between which a push is killed, counted from the sight of an open transaction."""


@dataclass(kw_only=True)
class Counts:
    """The counts of all rounds."""

    rounds: int = 0
    workers_killed: int = 0
    daemons_killed: int = 0
    daemons_and_workers_killed: int = 0
    nothing_to_kill: int = 0
    """Rounds in which all pushes had ended before."""
    interrupted: int = 0
    """Pushes whose client saw a failure, or no answer."""
    acknowledged: int = 0
    transactions_left: int = 0
    """Kills that left an abandoned transaction."""
    recovered: int = 0
    """Transactions that were rolled back, by the daemon's log."""
    lost: int = 0
    """Acknowledged changesets that are missing."""
    damaged: int = 0
    """Rounds after which ``hg verify`` complained."""
    stuck: int = 0
    """Later pushes that failed."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, damaged or stuck."""
        return not (self.lost or self.damaged or self.stuck)


class Hosting:
    """A daemon that serves one repository for everybody to push to."""

    def __init__(self, folder: Path) -> None:
        """Make the repository and start the daemon."""
        self.repository = folder / "repository"
        hg("init", str(self.repository))
        self._log = folder / "log"
        self._file = folder / "wiredaemon.toml"
        self._file.write_text(
            f"[data]\nfolder = {json.dumps(str(folder / 'data'))}\n"
            '[listen]\nhttp = ["tcp:0:interface=127.0.0.1"]\n'
            '[web]\npush_ssl = false\nallow-push = ["*"]\n'
            f'[paths]\n"/" = {json.dumps(str(self.repository))}\n',
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        twistd = Path(sysconfig.get_path("scripts"), "twistd")
        command = [str(twistd), "--nodaemon", "--pidfile=", "wiredaemon", "--config"]
        with self._log.open("ab") as log:
            # The log goes on over all starts; readiness is that of this start.
            self._seen = log.tell()
            self._process = subprocess.Popen(
                [*command, str(self._file)], stdout=log, stderr=log, env=_environment()
            )
        end = time.monotonic() + _DEADLINE
        while "wiredaemon is ready" not in (said := self.log[self._seen :]):
            if time.monotonic() > end or self._process.poll() is not None:
                raise BenchmarkError(f"the daemon does not start: {said[-1000:]}")
            time.sleep(_POLL)
        found = _HTTP.search(said)
        if found is None:
            raise BenchmarkError("the daemon does not say where it listens")
        self.url = found[1]

    @property
    def log(self) -> str:
        """The daemon's log, over all starts."""
        return self._log.read_text(encoding="utf-8", errors="backslashreplace")

    @property
    def journal(self) -> Path:
        """The file that exists while there is a transaction."""
        return self.repository / ".hg" / "store" / "journal"

    def kill(self, *, with_workers: bool) -> None:
        """Kill the daemon, and start it again once its workers have gone as well."""
        assert self._process is not None  # noqa: S101 started
        workers = self.workers()
        self._process.kill()
        if with_workers:
            kill_all(workers)
        self._process.wait()
        # Workers that were not killed finish their push and end: nothing reads their answers.
        wait_for_end(workers)
        self.start()

    def stop(self) -> None:
        """End the daemon."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self._process is not None  # noqa: S101 started
        pid = self._process.pid
        with suppress(FileNotFoundError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            return [int(child) for child in children.split()]
        return []


def kill_all(pids: Sequence[int]) -> None:
    """Kill processes; some may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for_end(pids: Sequence[int]) -> None:
    """Wait until processes are gone."""
    end = time.monotonic() + _DEADLINE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            raise BenchmarkError("a worker does not end")
        time.sleep(_POLL)


def _environment() -> dict[str, str]:
    # No user's hgrc, and the same output in every locale.
    return {**os.environ, "HGRCPATH": "", "HGPLAIN": "1", "HGENCODING": "utf-8"}


def hg(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run one ``hg`` command.

    Raises:
        subprocess.CalledProcessError: A checked command failed.
    """
    return subprocess.run(
        [sys.executable, "-m", "mercurial", "--config", "ui.username=crash", *arguments],
        env=_environment(),
        capture_output=True,
        timeout=_DEADLINE,
        check=check,
    )


class Client:
    """A clone that pushes to a branch of its own."""

    def __init__(self, number: int, folder: Path, dice: random.Random) -> None:
        """Make an empty repository."""
        self._folder = folder / f"client-{number}"
        self._dice = dice
        self._hg = ("-R", str(self._folder))
        self._commits = 0
        hg("init", str(self._folder))
        hg(*self._hg, "branch", f"client-{number}")
        self.acknowledged: set[str] = set()

    def commit(self) -> None:
        """Commit a new file of random size, for pushes that take various times."""
        self._commits += 1
        file = self._folder / f"file-{self._commits % 5}"
        file.write_bytes(self._dice.randbytes(self._dice.randrange(1000, _LARGEST_FILE)))
        hg(*self._hg, "commit", "-A", "-m", f"{self._commits}")

    def push(self, url: str) -> bool:
        """Push everything, and remember it if the server says so."""
        nodes = hg(*self._hg, "log", "-T", "{node}\n").stdout.decode().split()
        done = hg(*self._hg, "push", "--force", "--new-branch", url, check=False)
        # 1: there was nothing left to push, which the server has said as well.
        if done.returncode in {0, 1} and b"abort" not in done.stderr:
            self.acknowledged |= set(nodes)
            return True
        self.said = done.stderr.decode("utf-8", "replace")
        return False

    said = ""
    """The output of the last push that failed."""


def run_rounds(rounds: int, folder: Path, *, clients: int = 3, seed: int = 1) -> Counts:
    """Run rounds and return their counts.

    Args:
        rounds: The number of rounds.
        folder: An empty folder.
        clients: The number of clients that push side by side.
        seed: The seed of all random choices; the machine's own speed stays random.
    """
    dice = random.Random(seed)  # noqa: S311 no secrets
    counts = Counts()
    hosting = Hosting(folder)
    pushers = [
        Client(number, folder, random.Random(seed + number))  # noqa: S311 no secrets
        for number in range(clients)
    ]
    try:
        with ThreadPoolExecutor(clients) as threads:
            for _ in range(rounds):
                _run_round(hosting, pushers, threads, dice, counts)
    finally:
        hosting.stop()
    counts.acknowledged = len(set().union(*(pusher.acknowledged for pusher in pushers)))
    counts.recovered = len(_RECOVERED.findall(hosting.log))
    return counts


def _run_round(
    hosting: Hosting,
    pushers: Sequence[Client],
    threads: ThreadPoolExecutor,
    dice: random.Random,
    counts: Counts,
) -> None:
    """Push from all clients, kill in the middle, push again, and verify the repository."""
    counts.rounds += 1
    list(threads.map(Client.commit, pushers))
    url = hosting.url
    pushing = [threads.submit(pusher.push, url) for pusher in pushers]

    def is_over() -> bool:
        return all(push.done() for push in pushing)

    # Half of the kills hit an open transaction; blind ones rarely do.
    if dice.random() < 0.5:  # noqa: PLR2004 half of them
        while not hosting.journal.exists() and not is_over():
            time.sleep(_POLL)
        time.sleep(dice.uniform(*_TRANSACTION_DELAYS))
    else:
        time.sleep(dice.uniform(*_FIRST_DELAYS))
    victim = dice.choice(("workers", "daemon", "both"))
    if is_over():
        counts.nothing_to_kill += 1
    else:
        _kill(victim, hosting, counts)
    # Before the pushes below, which have it rolled back.
    counts.transactions_left += hosting.journal.exists()
    counts.interrupted += sum(not push.result() for push in pushing)
    _push_again(hosting, pushers, counts)
    _verify(hosting, pushers, counts)


def _kill(victim: str, hosting: Hosting, counts: Counts) -> None:
    """Kill ``"workers"``, the ``"daemon"`` or ``"both"``."""
    if victim == "workers":
        workers = hosting.workers()
        counts.workers_killed += len(workers)
        kill_all(workers)
        wait_for_end(workers)
    elif victim == "daemon":
        counts.daemons_killed += 1
        hosting.kill(with_workers=False)
    else:
        counts.daemons_and_workers_killed += 1
        hosting.kill(with_workers=True)


def _push_again(hosting: Hosting, pushers: Sequence[Client], counts: Counts) -> None:
    """Push from each client once more, which must work without any repair."""
    for pusher in pushers:
        if not pusher.push(hosting.url):
            counts.stuck += 1
            print(f"a later push failed: {pusher.said}", flush=True)


def _verify(hosting: Hosting, pushers: Sequence[Client], counts: Counts) -> None:
    """Verify the repository, and count the acknowledged changesets that are missing."""
    repository = str(hosting.repository)
    verified = hg("-R", repository, "verify", "-q", check=False)
    if verified.returncode or hosting.journal.exists():
        counts.damaged += 1
        print(f"damaged: {(verified.stdout + verified.stderr).decode()}", flush=True)
    present = set(hg("-R", repository, "log", "-T", "{node}\n").stdout.decode().split())
    counts.lost += sum(len(pusher.acknowledged - present) for pusher in pushers)


def main() -> int:
    """Run the rounds, print the counts, and return the exit code: 1 if all is not well."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        counts = run_rounds(
            options.rounds, Path(folder), clients=options.clients, seed=options.seed
        )
    for name, count in asdict(counts).items():
        print(f"{name.replace('_', ' '):20}{count:8}")
    return 0 if counts.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
