"""JSON Schema of arguments and results, as OpenAPI 3.1 has it.

Source: docs/json.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands.argument_types import EXAMPLES, ArgumentType
from wiredaemon.commands.arguments import REQUIRED
from wiredaemon.wire.json_values import HEX, HEX_KEY, jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Argument

Schema = dict[str, Any]

_MOST: Final = (1 << 64) - 1
_PAIR: Final = "([0-9A-Fa-f]{2})"
_INTEGER: Final[Schema] = {"type": "integer", "minimum": -(1 << 64), "maximum": _MOST}
_BYTES: Final[Schema] = {"$ref": "#/components/schemas/Bytes"}
_VALUE: Final[Schema] = {"$ref": "#/components/schemas/Value"}
# A key in hexadecimal has no other form.
_KEYS: Final[Schema] = {"pattern": f"^(?:{HEX_KEY}{_PAIR}+$|(?!{HEX_KEY}))"}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Bytes": {
        "description": "Bytes: their text where they are UTF-8, else their hexadecimal digits.",
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {HEX: {"type": "string", "pattern": f"^{_PAIR}*$"}},
                "required": [HEX],
                "additionalProperties": False,
            },
        ],
    },
    "Value": {
        "description": "Any value that the protocol has: JSON without fractions.",
        "anyOf": [
            {"type": "null"},
            {"type": "boolean"},
            _INTEGER,
            _BYTES,
            {"type": "array", "items": _VALUE},
            {
                "type": "object",
                "propertyNames": _KEYS,
                # This one stands for bytes.
                "not": {"required": [HEX], "maxProperties": 1},
                "additionalProperties": _VALUE,
            },
        ],
    },
    "Result": {
        "description": "An object of the answer: any JSON.",
    },
    "Problem": {
        "description": "What is wrong (RFC 9457).",
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
        "required": ["title", "status", "detail"],
    },
}
"""The schemas that others refer to, by name."""

_HASHABLE: Final[Schema] = {
    "anyOf": [{"type": "null"}, {"type": "boolean"}, _INTEGER, _BYTES],
}
"""Elements of sets, which can be neither arrays nor objects."""
_SCALARS: Final[Mapping[ArgumentType, Schema]] = {
    ArgumentType.BYTES: _BYTES,
    ArgumentType.INT: _INTEGER,
    ArgumentType.BOOL: {"type": "boolean"},
    ArgumentType.FLOAT: {"type": "number"},
    ArgumentType.TEXT: {"type": "string"},
    ArgumentType.LIST: {"type": "array", "items": _VALUE},
    ArgumentType.SET: {"type": "array", "items": _HASHABLE},
    ArgumentType.DICT: {
        "type": "object",
        "propertyNames": _KEYS,
        "additionalProperties": _VALUE,
    },
}


def argument_schema(argument: Argument, *, is_text: bool = False) -> Schema:
    """Return the schema of an argument.

    Args:
        argument: As it was declared.
        is_text: It is in a query, where bytes are percent-encoded.
    """
    schema = _without_default(argument, is_text=is_text)
    if argument.is_required:
        return schema
    if argument.default is None and not is_text:
        schema = {"anyOf": [schema, {"type": "null"}]}
    if not is_text or argument.default is not None:
        schema = {**schema, "default": jsonable(argument.default)}
    return schema


def _without_default(argument: Argument, *, is_text: bool) -> Schema:
    kind, allowed = argument.type, argument.valid_values
    listed = sorted(map(jsonable, allowed), key=repr)
    if kind in _CONTAINER_KEYS:
        inside = {"enum": listed} if allowed else None
        if inside is None and argument.elements is not None:
            inside = _SCALARS[argument.elements]
        schema = _SCALARS[kind]
        return schema if inside is None else {**schema, _CONTAINER_KEYS[kind]: inside}
    if allowed:
        # A description has no strings for bytes that are no text, although a query may have them.
        return {"enum": [one for one in listed if not (is_text and isinstance(one, dict))]}
    return {"type": "string"} if is_text and kind is ArgumentType.BYTES else _SCALARS[kind]


_CONTAINER_KEYS: Final[Mapping[ArgumentType, str]] = {
    ArgumentType.LIST: "items",
    ArgumentType.SET: "items",
    ArgumentType.DICT: "additionalProperties",
}


def example_of(argument: Argument) -> object:
    """Return what JSON has for the example of an argument; `REQUIRED` if it declares none."""
    if argument.example == EXAMPLES[argument.type]():
        return REQUIRED
    return jsonable(argument.example)
