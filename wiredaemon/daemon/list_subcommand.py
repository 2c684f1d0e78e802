"""``wiredaemon list`` and ``wiredaemon describe``: what a server says of its commands."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from typing import TYPE_CHECKING, Final

from wiredaemon.client import ClientError, NotOfferedError
from wiredaemon.commands import Permission
from wiredaemon.daemon.call_output import one_line, printable
from wiredaemon.daemon.client_run import connected
from wiredaemon.daemon.client_status import Status
from wiredaemon.wire.json_values import json_line, jsonable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from wiredaemon.client import DescribedArgument, DescribedCommand
    from wiredaemon.daemon.client_run import Console

_BOLD: Final = "1"
_YELLOW: Final = "33"
_INDENT: Final = "      "


async def list_commands(options: argparse.Namespace, console: Console) -> Status:
    """Print all commands, each with its arguments and its help."""
    commands = await _commands(options)
    for name, command in sorted(commands.items()):
        if options.output == "json":
            console.write(json_line(_record(name, command)))
        else:
            console.write_line(_summary(name, command, console))
    return Status.DONE


async def describe(options: argparse.Namespace, console: Console) -> Status:
    """Print all that the server says of one command."""
    commands = await _commands(options)
    name = os.fsencode(options.command)
    command = commands.get(name)
    if command is None:
        raise ClientError(_missing(name, commands))
    if options.output == "json":
        console.write(json_line(_record(name, command)))
    else:
        for line in _details(name, command, options.url, console):
            console.write_line(line)
    return Status.DONE


async def _commands(options: argparse.Namespace) -> Mapping[bytes, DescribedCommand]:
    """Return the commands of the server.

    Raises:
        NotOfferedError: It does not describe them.
    """
    async with connected(options) as connection:
        description = await connection.describe()
        if description is None:
            raise NotOfferedError(
                f"the server does not describe its commands in dialect {connection.dialect.name}"
            )
    return description.commands


def _missing(name: bytes, commands: Mapping[bytes, DescribedCommand]) -> str:
    near = difflib.get_close_matches(_text(name), map(_text, commands), n=3)
    more = f"; is it {' or '.join(near)}?" if near else ""
    return f"the server describes no command {_text(name)}{more}"


# --- for people ------------------------------------------------------------------------------


def _summary(name: bytes, command: DescribedCommand, console: Console) -> str:
    """Return the line of a command, and below it the first one of its help."""
    arguments = ", ".join(_signature(*argument) for argument in _ordered(command))
    shown = _styled(_text(name), _BOLD, console)
    line = f"{_permission(command, console)}  {shown}({arguments})"
    text = _help(command)
    return f"{line}\n{_INDENT}{text[0]}" if text else line


def _details(name: bytes, command: DescribedCommand, url: str, console: Console) -> Iterator[str]:
    shown = _styled(_text(name), _BOLD, console)
    yield f"{shown} ({_permission(command, console)})"
    text = _help(command)
    if text:
        yield ""
        yield from (f"  {line}".rstrip() for line in text)
    arguments = [(_text(key), _told(argument)) for key, argument in _ordered(command)]
    if arguments:
        yield ""
        yield "Arguments:"
        width = max(len(key) for key, _ in arguments)
        yield from (f"  {key.ljust(width)}  {told}" for key, told in arguments)
    yield ""
    yield "To call it:"
    words = " ".join(_word(*argument) for argument in _ordered(command))
    yield f"  wiredaemon call {shlex.quote(url)} {shlex.quote(_text(name))} {words}".rstrip()


def _ordered(command: DescribedCommand) -> list[tuple[bytes, DescribedArgument]]:
    """Return the arguments, those first that must be given."""
    return sorted(command.arguments.items(), key=lambda one: (one[1].is_required is False, one[0]))


def _signature(name: bytes, argument: DescribedArgument) -> str:
    end = f" = {_value(argument.default)}" if argument.is_required is False else ""
    return f"{_text(name)}: {_type(argument)}{end}"


def _word(name: bytes, argument: DescribedArgument) -> str:
    kind = _kind(argument)
    # A map can only be written in JSON.
    word = f"{_text(name)}:=JSON" if kind == "dict" else f"{_text(name)}={kind.upper()}"
    return f"[{word}]" if argument.is_required is False else word


def _told(argument: DescribedArgument) -> str:
    parts = [_type(argument)]
    if argument.is_required is True:
        parts.append("required")
    if argument.is_required is False:
        parts.append(f"default {_value(argument.default)}")
    if argument.is_required is None:
        parts.append(f"for instance {_value(argument.example)}")
    if argument.valid_values:
        values = ", ".join(sorted(_value(value) for value in argument.valid_values))
        parts.append(f"of {values}")
    return ", ".join(parts)


def _kind(argument: DescribedArgument) -> str:
    return "value" if argument.type is None else argument.type.value


def _type(argument: DescribedArgument) -> str:
    elements = "" if argument.elements is None else f"[{argument.elements.value}]"
    return f"{_kind(argument)}{elements}"


def _value(value: object) -> str:
    return one_line(json.dumps(jsonable(value), ensure_ascii=False))


def _permission(command: DescribedCommand, console: Console) -> str:
    word = command.permission.value
    return _styled(word, _YELLOW, console) if command.permission is Permission.RW else word


def _help(command: DescribedCommand) -> list[str]:
    return printable(command.help.decode("utf-8", "replace")).strip().splitlines()


def _styled(text: str, style: str, console: Console) -> str:
    return f"\x1b[{style}m{text}\x1b[m" if console.is_coloured else text


def _text(name: bytes) -> str:
    """Return a name of a server as one printable word."""
    return one_line(name.decode("utf-8", "backslashreplace"))


# --- for programs ----------------------------------------------------------------------------


def _record(name: bytes, command: DescribedCommand) -> dict[str, object]:
    """Return what `json_line` writes: what the server does not say is left out."""
    record: dict[str, object] = {
        "name": name,
        "permission": command.permission.value,
        "arguments": [_argument(*argument) for argument in _ordered(command)],
    }
    if command.help:
        record["help"] = command.help
    return record


def _argument(name: bytes, argument: DescribedArgument) -> dict[str, object]:
    record: dict[str, object] = {"name": name}
    if argument.type is not None:
        record["type"] = argument.type.value
    if argument.elements is not None:
        record["elements"] = argument.elements.value
    if argument.is_required is None:
        record["example"] = argument.example
    else:
        record["required"] = argument.is_required
    if argument.is_required is False:
        record["default"] = argument.default
    if argument.valid_values:
        # A set comes in any order.
        record["valid_values"] = sorted(argument.valid_values, key=_value)
    return record
