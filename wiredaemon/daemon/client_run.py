"""What all tools that call servers share: their run, their connection and their exit statuses."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypeAlias

from wiredaemon.client import (
    BrokenProtocolError,
    ClientError,
    ClientOptions,
    ConnectError,
    ConnectionLostError,
    DeadlineError,
    HttpAnswerError,
    LoginRefusedError,
    NotOfferedError,
    SilentError,
    UntrustedError,
    UrlError,
    aio,
)
from wiredaemon.client.trust import Trust
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.daemon.call_files import ArgumentError
from wiredaemon.daemon.call_login import read_login
from wiredaemon.daemon.call_output import OutputError, one_line
from wiredaemon.daemon.client_status import Status
from wiredaemon.daemon.interrupts import end_at_signals
from wiredaemon.daemon.terminal import Terminal
from wiredaemon.daemon.unread import drop_output
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from wiredaemon.client import Connection

# Mercurial's own texts, which raw connections give as errors of the command (http, section 5).
_DENIED: Final = re.compile(r"(read|pull|push) not authorized\b|ssl required\b")
_NOT_ALLOWED: Final = frozenset({401, 403, 407, 429})
_AWAY: Final = frozenset({502, 503, 504})
_UNAUTHORIZED: Final = 401
_WRONG: Final = "401 Unauthorized"
"""Begins the answer to a login that was wrong."""


@dataclass(frozen=True, slots=True)
class Console:
    """Where a tool writes."""

    output: BinaryIO
    """Standard output."""
    terminal: Terminal
    """Texts and progress, on standard error."""
    is_coloured: bool = False
    """Escapes for colours may be written to the output."""

    def write(self, data: bytes) -> None:
        """Write to the output at once: whoever reads a pipe from us waits for it."""
        self.terminal.clear()
        self.output.write(data)
        self.output.flush()

    def write_line(self, text: str) -> None:
        """Write one line of text to the output."""
        self.write(f"{text}\n".encode())


Tool: TypeAlias = "Callable[[argparse.Namespace, Console], Coroutine[Any, Any, Status]]"


class Outcome(NamedTuple):
    """The outcome of a tool: its exit status and error text."""

    status: Status
    text: str = ""
    """The error in one line; empty where nothing needs to be said."""


def run(tool: Tool, options: argparse.Namespace) -> int:
    """Run a tool in this process, and return its exit status."""
    end_at_signals()
    terminal = Terminal(sys.stderr, sys.stdout.buffer)
    console = Console(sys.stdout.buffer, terminal, is_coloured=_is_coloured(options.color))
    try:
        outcome = asyncio.run(_quietly(run_tool(tool, options, console)))
    except KeyboardInterrupt:
        # While a password was asked for.
        sys.stderr.write("\n")
        outcome = Outcome(Status.INTERRUPTED)
    if outcome.text:
        sys.stderr.write(f"wiredaemon: {outcome.text}\n")
    if outcome.status is Status.UNREAD:
        drop_output()
    return outcome.status


def _is_coloured(wish: str) -> bool:
    if wish != "auto":
        return wish == "always"
    # Of any value but an empty one (no-color.org).
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _has_colours()


def _has_colours() -> bool:
    return os.environ.get("TERM", "dumb") != "dumb"


async def _quietly(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    # What goes wrong with a connection is the tool's own error; asyncio would say it once more.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    return await running


async def run_tool(tool: Tool, options: argparse.Namespace, console: Console) -> Outcome:
    """Run a tool in the running event loop, and return its outcome."""
    try:
        return Outcome(await tool(options, console))
    except (ArgumentError, UrlError) as error:
        return Outcome(Status.WRONG_ARGUMENTS, one_line(str(error)))
    except BrokenPipeError:
        return Outcome(Status.UNREAD)
    except (ClientError, CommandError, ServerError, OutputError, OSError) as error:
        return Outcome(status_of(error), describe_error(error))
    finally:
        console.terminal.clear()


def status_of(error: Exception) -> Status:
    """Return the exit status that an error of a call stands for."""
    match error:
        case HttpAnswerError(status=status):
            if status in _NOT_ALLOWED:
                return Status.NOT_ALLOWED
            return Status.NOT_REACHED if status in _AWAY else Status.FAILED
        case CommandError() if _DENIED.match(str(error)):
            return Status.NOT_ALLOWED
        case _:
            kinds = (known for kind, known in _KINDS if isinstance(error, kind))
            return next(kinds, Status.FAILED)


_KINDS: Final[Sequence[tuple[type[Exception], Status]]] = (
    (DeadlineError, Status.DEADLINE),
    (LoginRefusedError, Status.NOT_ALLOWED),
    # Before ConnectError, of which it is one.
    (UntrustedError, Status.NOT_TRUSTED),
    (ConnectError, Status.NOT_REACHED),
    (ConnectionLostError, Status.NOT_REACHED),
    (SilentError, Status.NOT_REACHED),
    (BrokenProtocolError, Status.PROTOCOL),
    (NotOfferedError, Status.PROTOCOL),
)
"""The errors of a client, and what they are to scripts; the first match counts."""


def describe_error(error: Exception) -> str:
    """Return what an error says, as one line, and what to do where an option helps."""
    text = str(error)
    if isinstance(error, UntrustedError):
        text += "; give its authority with --ca FILE, or do without trust with --insecure"
    # Where credentials were wrong it says so itself.
    is_refused = isinstance(error, HttpAnswerError) and error.status == _UNAUTHORIZED
    if is_refused and _WRONG not in text:
        text += "; log in with --user NAME, --token-file FILE or --cert FILE"
    if isinstance(error, OSError):
        subject = f"{error.filename}: " if error.filename else ""
        text = f"{subject}{error.strerror or error}"
    return one_line(text) or "the command failed and does not say why"


@asynccontextmanager
async def connected(
    options: argparse.Namespace,
    content_encodings: Sequence[bytes] = (),
    most_connections: int = 1,
) -> AsyncIterator[Connection]:
    """Connect as the options of the command line say, for as long as an ``async with`` lasts.

    Args:
        options: Those of the command line.
        content_encodings: Those to offer.
        most_connections: The most at the same time, over HTTP.

    Raises:
        ClientError: The server cannot be reached, or does not offer what is asked for.
        ArgumentError: The options do not go together.
        OSError: A file cannot be read.
    """
    times: dict[str, Any] = {}
    if options.timeout is not None:
        times = {"connect_seconds": options.timeout, "silent_seconds": options.timeout}
    given = ClientOptions(
        dialect=None if options.dialect is None else DIALECTS[options.dialect],
        authorities=options.ca,
        trusts_anybody=options.insecure,
        credentials=read_login(options),
        certificate=options.cert,
        private_key=options.key,
        sends_plainly=options.plain_password,
        content_encodings=content_encodings,
        most_connections=most_connections,
        **times,
    )
    if options.ca or options.cert:
        _try_files(given)
    async with await aio.connect(options.url, given) as connection:
        yield connection


def _try_files(options: ClientOptions) -> None:
    """Read the files of certificates and keys.

    Raises:
        OSError: One cannot be read or used: no server is to blame for that.
    """
    try:
        Trust().context(options, ())
    except ConnectError as error:
        raise OSError(str(error)) from error
