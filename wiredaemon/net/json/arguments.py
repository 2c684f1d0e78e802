"""Arguments of calls: from a JSON object, or from a query, to the values of a request.

What is wrong with them is said before the command is called.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from wiredaemon.commands import ArgumentType, CommandError
from wiredaemon.commands.argument_types import CONTAINERS, carried
from wiredaemon.commands.arguments import check_arguments
from wiredaemon.wire.json_values import JsonError, map_of, parse_json, utf8, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.commands import Argument, Command, Value
    from wiredaemon.wire.limits import Limits

_INTEGER: Final = re.compile(rb"-?[0-9]{1,20}")
_BOOLEANS: Final[Mapping[bytes, bool]] = {b"true": True, b"false": False}


class WrongArgumentsError(Exception):
    """The arguments of a call cannot be used; the text says why."""


def read_object(
    command: Command, content: bytes | bytearray | memoryview, limits: Limits
) -> dict[bytes, Value]:
    """Return the arguments in a body; an empty body has none.

    Raises:
        WrongArgumentsError: They cannot be used.
    """
    try:
        said = parse_json(content) if len(content) else {}
    except JsonError as error:
        raise WrongArgumentsError(f"the body is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise WrongArgumentsError("the body must be a JSON object of arguments")
    _check_size(said, limits)
    declared = command.arguments
    given = {
        _name(name): _read(name, lambda: _from_json(declared.get(name), one))  # noqa: B023 called at once
        for name, one in said.items()
    }
    return _checked(command, given)


def read_query(command: Command, query: bytes) -> dict[bytes, Value]:
    """Return the arguments in a query; lists, sets and maps are JSON there.

    Raises:
        WrongArgumentsError: They cannot be used.
    """
    given: dict[bytes, Value] = {}
    for name, text in _pairs(query):
        shown = name.decode("utf-8", "backslashreplace")
        if name in given:
            raise WrongArgumentsError(f"argument {shown} is given twice")
        given[name] = _read(shown, lambda: _from_text(command.arguments.get(shown), text))  # noqa: B023 called at once
    return _checked(command, given)


def _pairs(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    for pair in query.split(b"&"):
        if pair:
            name, _, text = pair.replace(b"+", b" ").partition(b"=")
            yield unquote_to_bytes(name), unquote_to_bytes(text)


def _checked(command: Command, given: dict[bytes, Value]) -> dict[bytes, Value]:
    try:
        check_arguments(command.arguments, given, strict=True)
    except CommandError as error:
        raise WrongArgumentsError(str(error)) from None
    return given


def _name(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")


def _read(name: str, read: Callable[[], Value]) -> Value:
    try:
        return read()
    except JsonError as error:
        raise WrongArgumentsError(f"argument {name}: {error}") from None


def _check_size(said: object, limits: Limits) -> None:
    """Refuse what would be refused as CBOR, before time is spent on it.

    Raises:
        WrongArgumentsError: There is too much inside each other, or in all.
    """
    elements, containers, depth = 0, 0, 0
    level: list[Any] = [said]
    while level:
        depth += 1
        containers += len(level)
        elements += sum(len(one) * (1 + isinstance(one, dict)) for one in level)
        for name, count in (
            ("cbor_depth", depth),
            ("cbor_containers", containers),
            ("json_elements", elements),
        ):
            most = getattr(limits, name)
            if count > most:
                kind = _COUNTED[name]
                raise WrongArgumentsError(f"the arguments have more than {most} {kind} ({name})")
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [each for values in inner for each in values if isinstance(each, (dict, list))]


_COUNTED: Final = {
    "cbor_depth": "levels",
    "cbor_containers": "arrays and objects",
    "json_elements": "elements",
}


def _from_json(argument: Argument | None, said: Any) -> Value:  # noqa: ANN401 whatever JSON says
    if argument is None or said is None:
        return value_of(said)
    return _typed(argument.type, argument.elements, said)


def _typed(kind: ArgumentType, elements: ArgumentType | None, said: Any) -> Value:  # noqa: ANN401 the same
    """Return the value of a declared type; one of another type is refused when it is checked."""
    match kind, said:
        case ArgumentType.FLOAT, bool() | str() | list() | dict():
            raise JsonError("it must be a number")
        case ArgumentType.FLOAT, int() | float():
            if not math.isfinite(said):
                raise JsonError("a number is too large")
            return carried(float(said))  # type: ignore[no-any-return]  # bytes
        case ArgumentType.TEXT, str():
            return utf8(said)
        case ArgumentType.TEXT, _:
            raise JsonError("it must be a string")
        case ArgumentType.LIST | ArgumentType.SET, list():
            return [_element(elements, one) for one in said]
        case ArgumentType.DICT, dict():
            return map_of(said, lambda one: _element(elements, one))
    return value_of(said)


def _element(kind: ArgumentType | None, said: object) -> Value:
    return value_of(said) if kind is None else _typed(kind, None, said)


def _from_text(argument: Argument | None, text: bytes) -> Value:
    if argument is None:
        return text
    match argument.type:
        case ArgumentType.INT:
            if not _INTEGER.fullmatch(text):
                raise JsonError("it must be a whole number")
            return value_of(int(text))
        case ArgumentType.BOOL:
            if text not in _BOOLEANS:
                raise JsonError("it must be true or false")
            return _BOOLEANS[text]
        case kind if kind in CONTAINERS:
            return _from_json(argument, parse_json(text))
    return text
