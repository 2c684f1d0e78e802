"""The terminals of a README, run as its reader runs them.

Each block of the language `console` is one terminal. Its lines run one behind the other, and print
what stands below them: `...` is anything on a line, or any lines, and `[2]` an exit status. The
last line of each block but the last one goes on running, while those behind it run, until Ctrl-C.

Ports are chosen by the system: each one that a line or a file of the configuration asks for becomes
0, and each that is shown stands for the one of the README from then on.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sysconfig
from typing import TYPE_CHECKING, Final

from support.environment import environment

from tools.newcomer.page import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE: Final = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
"""A shell line, and what stands below it."""
PORT: Final = r"\d{4,5}"
ASKED_PORT: Final = re.compile(r"\btcp:\d{4}:")
SHOWN_PORT: Final = re.compile(r"(?:(?<=127\.0\.0\.1:)|(?<=localhost:))\d{4}\b")


class Ports:
    """The ports of the README, and those that stand for them."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def place(self, line: str) -> str:
        """Return a line with ports that the system chooses, or has chosen."""
        free = ASKED_PORT.sub("tcp:0:", line)
        return SHOWN_PORT.sub(lambda found: self._real.get(found[0], found[0]), free)

    def matches(self, expected: str, shown: str) -> bool:
        """Tell whether a line is as expected, and remember the port that it shows."""
        pattern, places = "", []
        for number, part in enumerate(re.split(rf"({SHOWN_PORT.pattern}|\.\.\.)", expected)):
            if part == "...":
                pattern += ".*"
            elif number % 2:
                known = self._real.get(part)
                pattern += f"({known or PORT})"
                places.append(part)
            else:
                pattern += re.escape(part)
        found = re.fullmatch(pattern, shown)
        if found:
            self._real.update(zip(places, found.groups(), strict=True))
        return found is not None


class Shown:
    """What one shell line prints, compared while it comes."""

    def __init__(self, line: str, expected: str, folder: Path, ports: Ports) -> None:
        for file in folder.rglob("*.toml"):
            file.write_text(ASKED_PORT.sub("tcp:0:", file.read_text("utf-8")), "utf-8")
        self._expected = expected.strip("\n").split("\n") if expected.strip("\n") else []
        self._ports = ports
        self._all: list[str] = []
        variables = environment()
        self._process = subprocess.Popen(
            ["bash", "-c", ports.place(line)],
            cwd=folder,
            env={**variables, "PATH": f"{sysconfig.get_path('scripts')}:{variables['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        self._lines = self._read()

    def _read(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._all.append(line.rstrip("\n"))
            yield self._all[-1]
        if self._process.wait() > 0:
            self._all.append(f"[{self._process.returncode}]")
            yield self._all[-1]

    def see(self) -> None:
        """Read until the next line that is expected has come, past others where it says so.

        Raises:
            AssertionError: There is another line, or none.
        """
        skips = self._expected[:1] == ["..."]
        if skips:
            del self._expected[0]
        if not self._expected:
            return
        expected = self._expected.pop(0)
        for line in self._lines:
            if self._ports.matches(expected, line):
                return
            if not skips:
                break
        raise AssertionError(f"no {expected!r} in its place, in {self._all}")

    def see_all(self) -> None:
        """Read what is expected."""
        while self._expected and self._expected != ["..."]:
            self.see()

    def end(self) -> None:
        """Read to the end, where nothing may come that is not expected.

        Raises:
            AssertionError: There is more.
        """
        self.see_all()
        rest = list(self._lines)
        assert self._expected == ["..."] or not rest, self._all

    def interrupt(self) -> None:
        """Send what Ctrl-C sends, to all processes of the line, unless it has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """Leave nothing behind, however the test ends."""
        with self._process:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)


def run_terminals(readme: Path, folder: Path) -> None:
    """Run all terminals of a README in a folder.

    Raises:
        AssertionError: Something else is printed than stands there.
    """
    found = blocks_of(readme)
    terminals = [LINE.findall(block.text) for block in found if block.language == "console"]
    ports = Ports()
    running: list[Shown] = []
    started: list[Shown] = []
    try:
        for place, lines in enumerate(terminals, 1):
            for number, (line, expected) in enumerate(lines, 1):
                shown = Shown(line, expected, folder, ports)
                started.append(shown)
                if number == len(lines) and place < len(terminals):
                    running.append(shown)
                    shown.see()
                else:
                    shown.end()
        for shown in reversed(running):
            shown.see_all()
        for shown in reversed(running):
            shown.interrupt()
            shown.end()
    finally:
        for shown in started:
            shown.close()
