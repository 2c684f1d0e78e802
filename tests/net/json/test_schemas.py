from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from openapi_schema_validator import OAS31Validator

from wiredaemon.commands import Argument, ArgumentType
from wiredaemon.commands.arguments import REQUIRED
from wiredaemon.net.json.schemas import SCHEMAS, argument_schema, example_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = ArgumentType
BYTES: Final = {"$ref": "#/components/schemas/Bytes"}
VALUE: Final = {"$ref": "#/components/schemas/Value"}


def accepts(schema: object, value: object) -> bool:
    """Whether a schema that may refer to the shared ones accepts a value."""
    whole: Any = {"allOf": [schema], "components": {"schemas": dict(SCHEMAS)}}
    OAS31Validator.check_schema(whole)
    return bool(OAS31Validator(whole).is_valid(value))


@pytest.mark.parametrize(
    ("argument", "good", "bad"),
    [
        (Argument(type=_T.BYTES), ["", "hex:", {"hex": "00Ff"}], [1, None, {"hex": "0"}, {}]),
        (Argument(type=_T.INT), [0, 1.0, (1 << 64) - 1], [1.5, 1 << 64, "1", True, None]),
        (Argument(type=_T.INT, default=None), [1, None], ["1"]),
        (Argument(type=_T.BOOL), [True], [1, "true"]),
        (Argument(type=_T.FLOAT), [1, 1.5], ["1.5", True]),
        (Argument(type=_T.TEXT), ["a"], [{"hex": "00"}, 1]),
        (Argument(type=_T.LIST), [[], [1, {"hex": "00"}, [None]]], ["a", {}, [0.5], [{"hex": 1}]]),
        (Argument(type=_T.LIST, elements=_T.TEXT), [["a"]], [[1]]),
        (Argument(type=_T.SET), [["a", 1, None]], [[[]], [{}], {}]),
        (
            Argument(type=_T.SET, valid_values=frozenset({b"a", b"b"})),
            [["a"], []],
            [["c"], "a", [1]],
        ),
        (Argument(type=_T.DICT), [{}, {"a": 1, "hex:00": 2}, {"hex": []}], [[], {"hex:0": 1}]),
        (Argument(type=_T.DICT, elements=_T.FLOAT), [{"a": 0.5}], [{"a": "b"}]),
        (Argument(type=_T.INT, valid_values=frozenset({1, 2})), [1], [3]),
        (Argument(type=_T.BYTES, valid_values=frozenset({b"\xff"})), [{"hex": "ff"}], ["ff"]),
    ],
)
def test_a_schema_accepts_what_a_call_accepts(
    argument: Argument, good: Sequence[object], bad: Sequence[object]
) -> None:
    schema = argument_schema(argument)
    assert [value for value in good if not accepts(schema, value)] == []
    assert [value for value in bad if accepts(schema, value)] == []


@pytest.mark.parametrize(
    ("argument", "schema"),
    [
        (Argument(type=_T.BYTES), BYTES),
        (Argument(type=_T.TEXT, default="a"), {"type": "string", "default": "a"}),
        (
            Argument(type=_T.BYTES, default=None),
            {"anyOf": [BYTES, {"type": "null"}], "default": None},
        ),
        (Argument(type=_T.LIST, default=()), {"type": "array", "items": VALUE, "default": []}),
        (
            Argument(type=_T.SET, default=frozenset({b"b", b"a"}), elements=_T.BYTES),
            {"type": "array", "items": BYTES, "default": ["a", "b"]},
        ),
        (
            Argument(type=_T.BYTES, valid_values=frozenset({b"b", b"a"})),
            {"enum": ["a", "b"]},
        ),
    ],
)
def test_the_schema_of_an_argument(argument: Argument, schema: object) -> None:
    assert argument_schema(argument) == schema


@pytest.mark.parametrize(
    ("argument", "schema"),
    [
        (Argument(type=_T.BYTES), {"type": "string"}),
        (Argument(type=_T.BYTES, default=b"a"), {"type": "string", "default": "a"}),
        (
            Argument(type=_T.BYTES, valid_values=frozenset({b"a", b"\xff"})),
            {"enum": ["a"]},
        ),
        # There is no null in a query.
        (Argument(type=_T.INT, default=None), argument_schema(Argument(type=_T.INT))),
    ],
)
def test_the_schema_of_an_argument_in_a_query(argument: Argument, schema: object) -> None:
    assert argument_schema(argument, is_text=True) == schema


def test_an_example_is_what_was_declared_as_one() -> None:
    assert example_of(Argument(type=_T.BYTES, example=b"\xff")) == {"hex": "ff"}
    assert example_of(Argument(type=_T.LIST)) is REQUIRED
