"""The seeds' own scripts through ``wiredaemon debugwireproto``: ``python -m seeds.replay``.

Each here-document of a transcript is the standard input of one run of the tool, against a daemon
that was started from the transcript's hgrc, and all that the run prints is compared with all that
the transcript shows.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seeds.transcript import AUTHORITY, exchanges, load
from support.configuration import configuration
from support.daemon import Daemon
from support.environment import environment
from support.repositories import make_repository, write_hgrc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seeds.transcript import Exchange

DIALECTS: Final = ("0002", "0003")
DEADLINE: Final = 60.0
"""Seconds for one run of the tool."""

_GLOB: Final = " (glob)"
_STAND_INS: Final = {
    "Server: testing stub value": r"Server: \S+",
    "$HTTP_DATE$": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
}
"""What Mercurial's test suite prints in the place of values that no transcript can know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One run of the tool beside its transcript."""

    exchange: Exchange
    printed: tuple[str, ...]
    authority: str

    @property
    def globs(self) -> int:
        """The lines of the transcript whose `*` stands for anything."""
        return sum(_is_glob(line) for line in self.exchange.shown)

    @property
    def stand_ins(self) -> int:
        """The lines with a stand-in for the server's name or the date."""
        return sum(any(text in line for text in _STAND_INS) for line in self.exchange.shown)

    def differences(self) -> list[str]:
        """Return the lines of a diff; none if all lines fit."""
        wanted = [
            line if not self._fits(line, got) else got
            for line, got in zip(self.exchange.shown, self.printed, strict=False)
        ]
        wanted += self.exchange.shown[len(wanted) :]
        where = f"line {self.exchange.line}: {self.exchange.slug}"
        return list(difflib.unified_diff(wanted, self.printed, where, "printed", lineterm=""))

    def _fits(self, line: str, printed: str) -> bool:
        pattern = re.escape(line.removesuffix(_GLOB))
        if _is_glob(line):
            pattern = pattern.replace(r"\*", ".*")
        pattern = pattern.replace(re.escape(AUTHORITY.decode()), re.escape(self.authority))
        for text, stands_for in _STAND_INS.items():
            pattern = pattern.replace(re.escape(text), stands_for)
        return re.fullmatch(pattern, printed) is not None


def _is_glob(line: str) -> bool:
    # The host line is marked, too, but what stands in it are variables.
    return line.endswith(_GLOB) and "*" in line


def replay(dialect: str, folder: Path) -> list[Comparison]:
    """Run all scripts of a seed against a daemon of their own.

    Args:
        dialect: The seed, by its dialect.
        folder: For the daemon; it exists.
    """
    repository = make_repository(folder / "server")
    text = configuration(
        data=folder / "data", repository=repository, framings={"exp-http-v2-0001": [dialect]}
    )
    compared = []
    with Daemon.start(text, folder) as daemon:
        authority = f"127.0.0.1:{daemon.port()}"
        for exchange in exchanges(load(dialect)):
            write_hgrc(repository, exchange.hgrc)
            printed = run_tool(dialect, exchange, f"http://{authority}/")
            compared.append(Comparison(exchange=exchange, printed=printed, authority=authority))
    return compared


def run_tool(dialect: str, exchange: Exchange, url: str) -> tuple[str, ...]:
    """Return the lines that the tool prints, errors included."""
    how = ["--peer", "raw"] if exchange.is_raw else ["--nologhandshake", "--peer", "http2"]
    command = [sys.executable, "-m", "wiredaemon", "debugwireproto", "--verbose"]
    finished = subprocess.run(
        [*command, "--dialect", dialect, *how, url],
        input=exchange.script.encode(),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=False,
    )
    return tuple(finished.stdout.decode("utf-8").removesuffix("\n").split("\n"))


def summary(dialect: str, compared: Sequence[Comparison]) -> str:
    """Return a line with the numbers of what was compared."""
    lines = sum(len(one.exchange.shown) for one in compared)
    globs = sum(one.globs for one in compared)
    stand_ins = sum(one.stand_ins for one in compared)
    different = sum(bool(one.differences()) for one in compared)
    return (
        f"seed {dialect}: {len(compared)} scripts, {lines} lines compared, {globs} of them with a "
        f"wildcard and {stand_ins} with a stand-in, {different} scripts differ"
    )


def main() -> int:
    """Replay both seeds, print what differs, and return the exit status."""
    status = 0
    for dialect in DIALECTS:
        with tempfile.TemporaryDirectory() as folder:
            compared = replay(dialect, Path(folder))
        for one in compared:
            for line in one.differences():
                status = 1
                sys.stdout.write(f"{line}\n")
        sys.stdout.write(f"{summary(dialect, compared)}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
