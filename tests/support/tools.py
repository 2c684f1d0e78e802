"""Runs the tools that call servers: in a thread beside the server, or in a process of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from support.environment import environment
from twisted.internet.threads import deferToThread

from wiredaemon.daemon.bench_subcommand import bench
from wiredaemon.daemon.call_subcommand import call
from wiredaemon.daemon.cli import _parse
from wiredaemon.daemon.client_run import Console, Outcome, run_tool
from wiredaemon.daemon.list_subcommand import describe, list_commands
from wiredaemon.daemon.ping_subcommand import ping
from wiredaemon.daemon.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

TOOLS: Any = {
    "call": call,
    "list": list_commands,
    "describe": describe,
    "ping": ping,
    "bench": bench,
}


class Told(NamedTuple):
    """What a tool has told."""

    status: int
    output: bytes
    errors: str
    """Text and progress."""
    line: str
    """The error in one line."""


async def told(
    name: str,
    *words: str,
    output: BytesIO | None = None,
    errors: TextIO | None = None,
    is_coloured: bool = False,
) -> Told:
    """Run a tool in a thread of its own, so that the server in this one can answer."""
    options = _parse([name, "--timeout", "20", *words])
    written = BytesIO() if output is None else output
    said = StringIO() if errors is None else errors

    def run() -> Outcome:
        console = Console(written, Terminal(said, written), is_coloured=is_coloured)
        return asyncio.run(run_tool(TOOLS[name], options, console))

    status, line = await deferToThread(run)
    return Told(status, written.getvalue(), getattr(said, "getvalue", str)(), line)


def start(*arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start ``wiredaemon`` in a process of its own, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "wiredaemon", *arguments],
        env={**environment(), **(variables or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
