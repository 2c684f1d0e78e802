"""Running one command, from its request to its result, without a reactor.

A coroutine is stepped by hand; only one that really waits is returned as `Waiting`, for the
caller to drive in its own way. A Deferred for each command took 17 us a request instead of 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isasyncgen, iscoroutine, isgenerator
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands.arguments import check_arguments
from wiredaemon.commands.results import CommandError, WithOutput
from wiredaemon.wire.dialects import ResponseForm
from wiredaemon.wire.values import RawBytes

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from wiredaemon.commands.context import Context
    from wiredaemon.commands.declaration import Command
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value


PLAIN: Final = frozenset({RawBytes, bytes, str, int, bool, dict, list, type(None)})
"""The types that most commands return: one look-up tells that they are neither generators nor
awaitable."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A coroutine that has been started and waits."""

    coroutine: Coroutine[Any, Any, Any]


def read_arguments(command: Command, given: object, dialect: Dialect) -> dict[str, object]:
    """Return the keywords to call a command with.

    Raises:
        CommandError: An argument is unknown, missing or wrong.
    """
    # 0002 alone has arguments without types, as bytes (framing, section 5.1).
    if dialect.response is not ResponseForm.TEXT or not isinstance(given, dict):
        return check_arguments(command.arguments, given, strict=dialect.strict_arguments)
    values: dict[bytes, object] = {}
    for name, argument in command.arguments.items():
        text = given.get(name.encode())
        if text is None:
            continue
        reader = command.text.arguments.get(name) if command.text is not None else None
        if reader is None:
            values[name.encode()] = argument.read_text(name, text)
            continue
        try:
            values[name.encode()] = reader(text)
        except ValueError as error:
            raise CommandError(b"argument %s: %s", [name, str(error)]) from error
    # Never strict: Mercurial's server of that era ignored arguments that it did not know.
    return check_arguments(command.arguments, values, strict=False)


def start(command: Command, context: Context, keywords: dict[str, object]) -> Any:  # noqa: ANN401 whatever a command gives
    """Call a command that does not block.

    Returns:
        The value, the generator of objects (an asynchronous one perhaps), or `Waiting`.
    """
    result = command.function(context, **keywords)
    # Stepped here: 0.2 us until it returns, where a Deferred made for it takes 1.3.
    return step(result) if iscoroutine(result) else result


def step(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 whatever a command gives
    """Run a coroutine until it waits or returns; return `Waiting` or its value."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    return Waiting(coroutine)


def is_objects(result: object) -> bool:
    """Return whether a result is a generator of objects."""
    return isgenerator(result)


def is_async_objects(result: object) -> bool:
    """Return whether a result is an asynchronous generator of objects."""
    return isasyncgen(result)


def present(command: Command, result: Any, dialect: Dialect) -> Value:  # noqa: ANN401 whatever a command gives
    """Return a result in the form that the dialect sends."""
    if dialect.response is ResponseForm.TEXT and command.text is not None:
        return command.text.result(result)
    if isinstance(result, WithOutput):
        return result.value
    return result  # type: ignore[no-any-return]  # encoding finds out
