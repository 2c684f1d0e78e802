"""Loads that are programs of `benchmarks.callers`: a library's own client, a process each."""

from __future__ import annotations

import select
import subprocess
import sys
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.processes import environment

_SECONDS: Final = 60
"""The longest wait for an answer: the start of the program, or the calls of one order."""


class Caller:
    """A program that makes so many calls for each exchange."""

    def __init__(self, module: str, *arguments: str, calls: int) -> None:
        """Start the program, on the cores of this process.

        Args:
            module: The name of a module of `benchmarks.callers`.
            arguments: The arguments of the program.
            calls: The number of calls of an exchange.
        """
        self._calls = calls
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.callers.{module}", *arguments],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._process.pid

    def exchange(self) -> int:
        """Have the calls made, and return their number.

        Raises:
            BenchmarkError: The program ended, or took too long: its standard error says why.
        """
        return self.order(self._calls)

    def order(self, count: int) -> int:
        """Have so many calls made, and return their number.

        Raises:
            BenchmarkError: The program ended, or took too long: its standard error says why.
        """
        process = self._process
        assert process.stdin is not None  # noqa: S101 for mypy: both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkError(f"{self._name} has ended") from None
        readable, _, _ = select.select([process.stdout], [], [], _SECONDS)
        if not readable:
            raise BenchmarkError(f"{self._name} took more than {_SECONDS} s")
        if process.stdout.readline() != f"{count}\n":
            raise BenchmarkError(f"{self._name} has failed")
        return count

    def close(self) -> None:
        """End the program."""
        try:
            # No further order: the program ends by itself.
            self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
