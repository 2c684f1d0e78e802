"""Descriptions of a server's commands: permissions and the types of arguments.

Source: commands, sections 2.1 and 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import ArgumentType, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedCommand:
    """The description of one command."""

    permission: Permission
    arguments: Mapping[bytes, ArgumentType] = field(default_factory=dict)
    """The arguments whose type is known."""
    help: bytes = b""
    """What the server says about it for people, in UTF-8; empty where it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A server's commands, by name."""

    commands: Mapping[bytes, DescribedCommand]


def read_description(descriptor: object) -> Description:
    """Parse an API descriptor, or the result of ``capabilities``; unknown parts are left out."""
    commands = descriptor.get(b"commands") if isinstance(descriptor, dict) else None
    described = commands if isinstance(commands, dict) else {}
    return Description(
        commands={
            name: _read_command(command)
            for name, command in described.items()
            if isinstance(name, bytes) and isinstance(command, dict)
        }
    )


def _read_command(command: Mapping[object, object]) -> DescribedCommand:
    permissions = command.get(b"permissions")
    arguments = command.get(b"args")
    # A server's word, so that nothing in it may be taken for granted; what is not understood is
    # left out, and the server refuses if that was wrong.
    needs_push = isinstance(permissions, list) and Permission.RW.description in permissions
    types = {
        name: _read_type(argument)
        for name, argument in (arguments.items() if isinstance(arguments, dict) else ())
        if isinstance(name, bytes)
    }
    text = command.get(b"help")
    return DescribedCommand(
        permission=Permission.RW if needs_push else Permission.RO,
        arguments={name: known for name, known in types.items() if known is not None},
        help=text if isinstance(text, bytes) else b"",
    )


def _read_type(argument: object) -> ArgumentType | None:
    """Parse the type that 0006 declares, or take that of the example in 0003 to 0005."""
    match argument:
        # Both keys: the example of an argument in 0003 to 0005 may itself be a map.
        case {b"type": bytes() as name, b"required": bool()}:
            return _BY_NAME.get(name)
        case _:
            return _BY_EXAMPLE.get(type(argument))


_BY_NAME: Final = {known.value.encode(): known for known in ArgumentType}
_BY_EXAMPLE: Final[Mapping[type, ArgumentType]] = {
    bytes: ArgumentType.BYTES,
    bool: ArgumentType.BOOL,
    int: ArgumentType.INT,
    list: ArgumentType.LIST,
    dict: ArgumentType.DICT,
    set: ArgumentType.SET,
    frozenset: ArgumentType.SET,
}
