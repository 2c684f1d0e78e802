"""``wiredaemon call``: one command of a server, from a terminal or a script.

Exit statuses: 0 done, 1 not done, 2 wrong arguments, 130 interrupted, 141 no reader of the output.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, aclosing, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner

from wiredaemon.client import (
    ClientError,
    ClientOptions,
    HttpAnswerError,
    UntrustedError,
    UrlError,
    connect,
)
from wiredaemon.commands import CommandError, Permission, ServerError
from wiredaemon.daemon.call_arguments import ArgumentError, convert, read_word
from wiredaemon.daemon.call_input import Input
from wiredaemon.daemon.call_login import read_login
from wiredaemon.daemon.call_output import FORMS, OutputError, Terminal, one_line
from wiredaemon.wire.dialects import DIALECTS, RequestForm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from wiredaemon.client import Connection, Credentials
    from wiredaemon.commands import ArgumentType, Value
    from wiredaemon.daemon.call_arguments import Given

DONE: Final = 0
NOT_DONE: Final = 1
WRONG_ARGUMENTS: Final = 2
# 128 and the number of SIGINT, as shells report it.
INTERRUPTED: Final = 130
UNREAD: Final = 141
"""The exit status of a program that SIGPIPE ended."""

_STANDARD_INPUT: Final = "-"
_UNAUTHORIZED: Final = 401
_WRONG: Final = "401 Unauthorized"
"""Begins the answer to a login that was wrong."""


class Outcome(NamedTuple):
    """The outcome of a call: its exit status and error text."""

    status: int
    text: str = ""
    """The error in one line; empty where nothing needs to be said."""


_INTERRUPTED: Final = Outcome(INTERRUPTED)


def call(options: argparse.Namespace) -> int:
    """Run the subcommand and return its exit status."""
    # Broken connections are reported as the call's error; Twisted's log would say it twice.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    outcomes: list[Outcome] = []

    async def run(reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        calling = Deferred.fromCoroutine(run_call(reactor, options, sys.stdout.buffer, sys.stderr))
        # A signal stops the reactor: the errors of calls that this breaks are not to be printed.
        reactor.addSystemEventTrigger("before", "shutdown", outcomes.append, _INTERRUPTED)
        reactor.addSystemEventTrigger("before", "shutdown", calling.cancel)
        outcomes.append(await calling)

    # `react` ends the process by itself; the outcome's status is to be the process's.
    with suppress(SystemExit):
        react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    # The first: an interruption also makes the call end with an error, which comes behind.
    outcome = outcomes[0] if outcomes else _INTERRUPTED
    if outcome.text:
        sys.stderr.write(f"wiredaemon: {outcome.text}\n")
    if outcome.status in {UNREAD, INTERRUPTED}:
        _drop_output()
    return outcome.status


async def run_call(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    options: argparse.Namespace,
    output: BinaryIO,
    errors: TextIO,
) -> Outcome:
    """Call a command, print its objects, and return the outcome.

    Args:
        reactor: Makes connections and timers.
        options: The options of the command line.
        output: Receives the objects.
        errors: Receives text and progress.
    """
    try:
        given = [read_word(os.fsencode(word)) for word in options.arguments]
        credentials = read_login(options)
        with ExitStack() as opened:
            data = _open_data(reactor, options.data, opened)
            terminal = Terminal(errors, output)
            await _call(reactor, options, credentials, given, data, output, terminal)
            output.flush()
    except (ArgumentError, UrlError) as error:
        return Outcome(WRONG_ARGUMENTS, one_line(str(error)))
    except BrokenPipeError:
        return Outcome(UNREAD)
    except (ClientError, CommandError, ServerError, OutputError, OSError) as error:
        return Outcome(NOT_DONE, _describe(error))
    return Outcome(DONE)


def _describe(error: Exception) -> str:
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


async def _call(  # noqa: PLR0913, PLR0917 all that a call is made of
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    options: argparse.Namespace,
    credentials: Credentials | None,
    given: Sequence[Given],
    data: Input | None,
    output: BinaryIO,
    terminal: Terminal,
) -> None:
    connection = await connect(reactor, options.url, _client_options(options, credentials))
    command = os.fsencode(options.command)
    form = FORMS[options.output]
    permission = None if options.permission is None else Permission(options.permission)
    try:
        arguments = await _convert(connection, command, given)
        calling = connection.call(
            command, arguments, data=data, permission=permission, observer=terminal
        )
        async with aclosing(calling):
            async for value in calling:
                terminal.clear()
                output.write(form(value))
                # Each object at once: whoever reads a pipe from us waits for it.
                output.flush()
    finally:
        terminal.clear()
        await connection.close()


async def _convert(
    connection: Connection, command: bytes, given: Sequence[Given]
) -> Mapping[bytes, Value]:
    """Return the arguments, converted to the types that the server declares, if any."""
    declared: Mapping[bytes, ArgumentType] = {}
    # In dialects without a request map, arguments are bytes, which the command parses.
    has_types = connection.dialect.request is RequestForm.MAP
    if has_types and not all(one.is_typed for one in given):
        description = await connection.describe()
        described = description and description.commands.get(command)
        if described:
            types = {name: one.type for name, one in described.arguments.items()}
            declared = {name: known for name, known in types.items() if known is not None}
    return convert(given, declared)


def _client_options(options: argparse.Namespace, credentials: Credentials | None) -> ClientOptions:
    more: dict[str, Any] = {}
    if options.timeout is not None:
        more = {"connect_seconds": options.timeout, "silent_seconds": options.timeout}
    return ClientOptions(
        dialect=None if options.dialect is None else DIALECTS[options.dialect],
        content_encodings=[os.fsencode(name) for name in options.encoding],
        authorities=options.ca,
        trusts_anybody=options.insecure,
        credentials=credentials,
        certificate=options.cert,
        private_key=options.key,
        sends_plainly=options.plain_password,
        **more,
    )


def _open_data(reactor: Any, name: str | None, opened: ExitStack) -> Input | None:  # noqa: ANN401 zope interfaces do not intersect
    if name is None:
        return None
    if name == _STANDARD_INPUT:
        return Input(reactor, sys.stdin.fileno(), "standard input")
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return Input(reactor, descriptor, name)


def _drop_output() -> None:
    """Keep Python from flushing output, at its end, whose reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
