"""``wiredaemon call``: one command of a server, from a terminal or a script."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from wiredaemon.commands import Permission
from wiredaemon.daemon.call_arguments import convert, read_given
from wiredaemon.daemon.call_files import STANDARD_INPUT, check_standard_input
from wiredaemon.daemon.call_input import Input
from wiredaemon.daemon.call_output import FORMS
from wiredaemon.daemon.client_run import connected
from wiredaemon.daemon.client_status import Status
from wiredaemon.wire.dialects import RequestForm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from wiredaemon.client import Connection
    from wiredaemon.commands import ArgumentType, Value
    from wiredaemon.daemon.call_arguments import Given
    from wiredaemon.daemon.client_run import Console


async def call(options: argparse.Namespace, console: Console) -> Status:
    """Call a command, and print its objects as they arrive."""
    given = given_arguments(options)
    form = FORMS[options.output]
    with ExitStack() as opened:
        data = _open_data(options.data, opened)
        async with connected(options, encodings(options)) as connection:
            calling = connection.call(
                os.fsencode(options.command),
                await converted(connection, options.command, given),
                data=data,
                permission=permission(options),
                observer=console.terminal,
                timeout=options.deadline,
            )
            async with calling:
                async for value in calling:
                    console.write(form(value))
    return Status.DONE


def given_arguments(options: argparse.Namespace) -> Sequence[Given]:
    """Return the arguments of the command line and of ``--json``.

    Raises:
        ArgumentError: One is none, or is given twice.
        OSError: A file cannot be read.
    """
    check_standard_input(options)
    return read_given(map(os.fsencode, options.arguments), options.json)


def encodings(options: argparse.Namespace) -> Sequence[bytes]:
    """Return the content encodings to offer."""
    return [os.fsencode(name) for name in options.encoding]


def permission(options: argparse.Namespace) -> Permission | None:
    """Return the permission to ask for; None for what the server says is needed."""
    return None if options.permission is None else Permission(options.permission)


async def converted(
    connection: Connection, command: str, given: Sequence[Given]
) -> Mapping[bytes, Value]:
    """Return the arguments, converted to the types that the server declares, if any.

    Raises:
        ArgumentError: A text is no value of its type.
    """
    declared: Mapping[bytes, ArgumentType] = {}
    # In dialects without a request map, arguments are bytes, which the command parses.
    if connection.dialect.request is RequestForm.MAP:
        description = await connection.describe()
        described = description and description.commands.get(os.fsencode(command))
        if described:
            types = {name: one.type for name, one in described.arguments.items()}
            declared = {name: known for name, known in types.items() if known is not None}
    return convert(given, declared)


def _open_data(name: str | None, opened: ExitStack) -> Input | None:
    if name is None:
        return None
    if name == STANDARD_INPUT:
        return Input(sys.stdin.fileno(), "standard input")
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return Input(descriptor, name)
