"""Descriptions of a server's commands: permissions, arguments and help.

Source: commands, sections 2.1 and 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import ArgumentType, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedArgument:
    """The description of one argument, as far as the server gives it."""

    type: ArgumentType | None = None
    """Its type; None where that is of no kind that we know."""
    is_required: bool | None = None
    """The argument must be given; None in 0003 to 0005, which do not say."""
    default: object = None
    """Its value where it is not given, if it need not be."""
    elements: ArgumentType | None = None
    """The type of what is in the list, set or dict; None where that may be anything."""
    valid_values: Sequence[object] = ()
    """The values that are accepted, or the elements of a set or list; empty for all."""
    example: object = None
    """A value to give, in 0003 to 0005."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedCommand:
    """The description of one command."""

    permission: Permission
    arguments: Mapping[bytes, DescribedArgument] = field(default_factory=dict)
    """The arguments, by name."""
    help: bytes = b""
    """The server's text about it for people, in UTF-8; empty where there is none."""


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
    text = command.get(b"help")
    return DescribedCommand(
        permission=Permission.RW if needs_push else Permission.RO,
        arguments={
            name: _read_argument(argument)
            for name, argument in (arguments.items() if isinstance(arguments, dict) else ())
            if isinstance(name, bytes)
        },
        help=text if isinstance(text, bytes) else b"",
    )


def _read_argument(said: object) -> DescribedArgument:
    """Parse what 0006 declares, or take the type of the example in 0003 to 0005."""
    match said:
        # Both keys: the example of an argument in 0003 to 0005 may itself be a map.
        case {b"type": bytes() as name, b"required": bool() as is_required, **more}:
            values = more.get(b"validvalues")
            elements = more.get(b"elements")
            return DescribedArgument(
                type=_BY_NAME.get(name),
                is_required=is_required,
                default=None if is_required else more.get(b"default"),
                elements=_BY_NAME.get(elements) if isinstance(elements, bytes) else None,
                valid_values=tuple(values) if isinstance(values, list | set | frozenset) else (),
            )
        case _:
            return DescribedArgument(type=_BY_EXAMPLE.get(type(said)), example=said)


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
