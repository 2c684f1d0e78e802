"""Declaring commands: the decorator marks a function, nothing is registered by importing it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from wiredaemon.commands.arguments import Argument
    from wiredaemon.commands.permission import Permission

ALL_DIALECTS: Final = frozenset(DIALECTS)
MARK: Final = "__wiredaemon_command__"
"""Attribute of a marked function; it holds its `Command`."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    """How a command is carried by dialect 0002: the version 1 wire format."""

    result: Callable[[Any], bytes]
    """Gives the bytes of a result; a `WithOutput` comes as it is."""
    arguments: Mapping[str, Callable[[bytes], Any]] = field(default_factory=dict)
    """Read arguments that are no plain bytes; raise ValueError with a text for the peer."""
    failure: Callable[[bytes], bytes] | None = None
    """Gives the bytes of a failure's text, where the format has a place for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as declared."""

    name: str
    permission: Permission
    function: Callable[..., Any]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    dialects: frozenset[str] = ALL_DIALECTS
    """Dialects that have it."""
    exposed: bool = True
    """Else the dialects know its name but it cannot be called over this protocol."""
    text: TextForm | None = None
    has_data: bool = False
    """Command data is for it; else data is counted and dropped."""
    data_limit: int | None = None
    """Bytes of data it accepts, if not as many as `Limits.command_data`."""
    is_blocking: bool = False
    """The function may block: it runs in a thread."""
    needs_stream: bool = False
    """Left out of capabilities where raw store access is not allowed."""
    details: Mapping[bytes, Any] = field(default_factory=dict)
    """Further entries of its capability descriptor (0006)."""

    def __post_init__(self) -> None:
        """Refuse what could never work.

        Raises:
            TypeError: The declaration does not fit the function or the protocol.
        """
        unknown = self.dialects - ALL_DIALECTS
        if unknown:
            message = f"command {self.name}: unknown dialects {', '.join(sorted(unknown))}"
            raise TypeError(message)
        names = list(inspect.signature(self.function).parameters)
        takes_any = any(
            parameter.kind is parameter.VAR_KEYWORD
            for parameter in inspect.signature(self.function).parameters.values()
        )
        if not names:
            message = f"command {self.name}: its function must take the context"
            raise TypeError(message)
        absent = [name for name in self.arguments if name not in names[1:] and not takes_any]
        if absent:
            message = f"command {self.name}: its function does not take {', '.join(absent)}"
            raise TypeError(message)


def command(
    name: str,
    *,
    permission: Permission,
    **declared: Any,  # noqa: ANN401 the fields of Command, with their own types
) -> Callable[[_Function], _Function]:
    """Mark a function as a command.

    Args:
        name: What peers call it.
        permission: What they must be allowed to do; there is no default.
        declared: Further fields of `Command`.

    Raises:
        TypeError: The declaration does not fit the function.
    """

    def mark(function: _Function) -> _Function:
        setattr(
            function,
            MARK,
            Command(name=name, permission=permission, function=function, **declared),
        )
        return function

    return mark
