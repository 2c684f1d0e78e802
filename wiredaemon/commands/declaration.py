"""Declaring commands: the decorator marks a function; importing it registers nothing."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeGuard, TypeVar

from wiredaemon.commands.arguments import Argument, ExactArguments, exact_arguments
from wiredaemon.commands.permission import Permission
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.values import UnencodableError

ALL_DIALECTS: Final = frozenset(DIALECTS)
MARK: Final = "__wiredaemon_command__"
"""The attribute of a marked function that holds its `Command`."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    """The text form of a command in dialect 0002: the version 1 wire format."""

    result: Callable[[Any], bytes]
    """Converts a result to bytes; a `WithOutput` is passed as it is."""
    arguments: Mapping[str, Callable[[bytes], Any]] = field(default_factory=dict)
    """Parsers of arguments that are no plain bytes; they raise ValueError, with a text."""
    failure: Callable[[bytes], bytes] | None = None
    """Converts a failure's text to bytes, where the format has a place for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as declared."""

    name: str
    permission: Permission
    function: Callable[..., Any]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    dialects: frozenset[str] = ALL_DIALECTS
    """The dialects that have the command."""
    exposed: bool = True
    """Whether clients can call the command over this protocol; if not, they only see its name."""
    text: TextForm | None = None
    has_data: bool = False
    """The command reads command data; otherwise such data is counted and dropped."""
    data_limit: int | None = None
    """Bytes of command data that it accepts; None for `Limits.command_data`."""
    is_blocking: bool = False
    """The function may block: it runs in a thread."""
    cacheable: bool = False
    """The worker's answer may be cached until the repository changes (0006)."""
    needs_stream: bool = False
    """The command is left out of capabilities where raw store access is not allowed."""
    details: Mapping[bytes, Any] = field(default_factory=dict)
    """Further entries of its capability descriptor (0006)."""
    module: str = ""
    """The module that marked the function."""
    is_method: bool = False
    """The function takes the object in front of the context: only `bound` makes a command of it."""
    exact: ExactArguments = field(init=False, repr=False, compare=False)
    """The arguments, in the form that `take_exact` reads."""

    def __post_init__(self) -> None:
        """Refuse a declaration that could never work.

        Raises:
            TypeError: The declaration does not fit the function or the protocol.
        """
        # All this is refused at the start of the daemon: a declaration that fails in its first call
        # would fail in front of a peer.
        for name in (self.name, *self.arguments):
            if not _is_name(name):
                message = f"command {self.name!r}: {name!r} is no name; names are printable ASCII"
                raise TypeError(f"{message} without a slash")
            if len(name) > _LONGEST_NAME:
                message = f"the name {name:.20}... has more than {_LONGEST_NAME} characters"
                raise TypeError(message)
        if self.name in RESERVED:
            raise TypeError(f"command {self.name!r}: the name has a meaning in URLs")
        for name, argument in self.arguments.items():
            if not isinstance(argument, Argument):
                raise TypeError(f"command {self.name}: {name} is no Argument but {argument!r}")
        if not isinstance(self.permission, Permission):
            raise TypeError(f"command {self.name}: {self.permission!r} is no Permission")
        unknown = self.dialects - ALL_DIALECTS
        if unknown:
            message = f"command {self.name}: unknown dialects {', '.join(sorted(unknown))}"
            raise TypeError(message)
        self._check_data()
        self._check_function()
        object.__setattr__(self, "exact", exact_arguments(self.arguments))

    def _check_data(self) -> None:
        """Refuse a wrong `data_limit`, and details that cannot be sent."""
        limit = self.data_limit
        if limit is not None and (type(limit) is not int or limit < 0 or not self.has_data):
            message = f"command {self.name}: data_limit {limit!r} bounds no data: it is a number of"
            raise TypeError(f"{message} bytes, for a command with has_data=True")
        try:
            cbor.encode(dict(self.details), KeyOrder.BYTEWISE)
        except UnencodableError as error:
            raise TypeError(f"command {self.name}: details cannot be sent: {error}") from None

    def _check_function(self) -> None:
        """Refuse a function that cannot be called as commands are."""
        try:
            signature = inspect.signature(self.function)
        except ValueError as error:
            raise TypeError(f"command {self.name}: {error}") from error
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        if not kinds or kinds[0] in _KEYWORD_KINDS:
            raise TypeError(f"command {self.name}: its function must take the context first")
        given = (None, None) if self.is_method else (None,)
        try:
            # A call with all arguments by name, as the dispatch makes it; only the signature knows
            # about defaults and wrappers.
            signature.bind(*given, **dict.fromkeys(self.arguments))
        except TypeError as error:
            message = f"command {self.name}: its function does not fit its arguments: {error}"
            raise TypeError(message) from error
        # A coroutine would be made in the thread and never run.
        if self.is_blocking and _is_asynchronous(self.function):
            message = f"command {self.name}: a blocking function cannot be asynchronous"
            raise TypeError(message)

    @property
    def gives_objects(self) -> bool:
        """The function is a generator, or says that it returns one: any number of objects."""
        function = inspect.unwrap(self.function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return True
        said = getattr(function, "__annotations__", {}).get("return", "")
        return _OBJECTS.match(said if isinstance(said, str) else repr(said)) is not None

    def bound(self, function: Callable[..., Any]) -> Command:
        """Return the command of a method with the bound method as its function.

        Raises:
            TypeError: The bound method does not fit the declaration.
        """
        return replace(self, function=function, is_method=False)

    def with_help(self) -> Command:
        """Return the command with its function's docstring as ``help`` in its descriptor (0006)."""
        text = inspect.getdoc(self.function) if _has_own_doc(self.function) else None
        if not text or b"help" in self.details:
            return self
        return replace(self, details={**self.details, b"help": text})


RESERVED: Final = frozenset({"multirequest", "debugreflect", "openapi.json", ".", ".."})
"""Names that mean something else at the end of a URL (http, section 3.1; docs/json.md)."""
_OBJECTS: Final = re.compile(r"(?:<class ')?(?:[\w.]+\.)?(?:Async)?(?:Generator|Iterator)\b")
"""Annotations of functions that return a generator."""
_LONGEST_NAME: Final = 255
"""Characters of a name: the head of a request over HTTP has room for it, percent-encoded."""
_PRINTABLE: Final = re.compile(r"[ -.0-~]+")
"""Texts of printable ASCII without a slash: one component of a URL's path."""


def _has_own_doc(function: object) -> bool:
    # An object that is called, such as a partial one, has the docstring of its class.
    return inspect.isroutine(function) or inspect.isclass(function)


_KEYWORD_KINDS: Final = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}


def _is_name(name: object) -> bool:
    """Return whether a name can be sent on every transport: in URLs, in maps and in lines."""
    return isinstance(name, str) and _PRINTABLE.fullmatch(name) is not None


def declare(
    name: str,
    permission: Permission,
    function: Callable[..., Any],
    module: str,
    declared: Mapping[str, Any],
) -> Command:
    """Return the command that a declaration makes of a function.

    Args:
        name: The name on the wire.
        permission: The permission that callers need.
        function: The function, or a method as it stands in its class.
        module: The module that declares it.
        declared: Further fields of `Command`.

    Raises:
        TypeError: A field does not exist, or the declaration does not fit the function.
    """
    unknown = declared.keys() - _DECLARED
    if unknown:
        shown, known = ", ".join(sorted(unknown)), ", ".join(sorted(_DECLARED))
        raise TypeError(f"command {name}: there is no {shown} to declare; there are: {known}")
    return Command(
        name=name,
        permission=permission,
        function=function,
        module=module,
        is_method=_is_method(function),
        **declared,
    )


_DECLARED: Final = {each.name for each in fields(Command)} - {
    *("name", "permission", "function", "module", "is_method")
}


def _is_method(function: object) -> bool:
    """Return whether a function is defined in the body of a class."""
    if not inspect.isfunction(function):
        return False
    outer = function.__qualname__.rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>")


def is_marked(mark: object, value: object) -> TypeGuard[Command]:
    """Return whether a value was marked itself, rather than copied or derived from a marked one."""
    # `functools.wraps` copies attributes, the mark among them, to a wrapper that is no command.
    return isinstance(mark, Command) and mark.function is value


def _is_asynchronous(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def command(
    name: str,
    *,
    permission: Permission,
    **declared: Any,  # noqa: ANN401 the fields of Command, with their own types
) -> Callable[[_Function], _Function]:
    """Mark a function as a command, or a method of a class as one of its objects.

    Args:
        name: The name on the wire.
        permission: The permission that callers need; there is no default.
        declared: Further fields of `Command`.

    Raises:
        TypeError: The declaration does not fit the function, or the function cannot be marked.
    """

    def mark(function: _Function) -> _Function:
        # The function's own ``__module__`` does not say it: a partial object has none, and what is
        # marked may come from somewhere else.
        module = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 no other way
        made = declare(name, permission, function, module, declared)
        # Statically, for a function may be an object with a `__getattr__` that answers to any name.
        before = inspect.getattr_static(function, MARK, None)
        if is_marked(before, function) and before.name != name:
            raise TypeError(f"command {name}: its function is already command {before.name}")
        try:
            setattr(function, MARK, made)
        except AttributeError as error:
            kind = type(function).__name__
            message = f"command {name}: a {kind} cannot be marked; wrap it in a function"
            raise TypeError(message) from error
        return function

    return mark
