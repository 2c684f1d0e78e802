"""Declared arguments, and what a peer may give for them (commands, sections 4.1 and 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.commands.argument_types import ArgumentType
from wiredaemon.commands.arguments import Argument, check_arguments, exact_arguments, take_exact
from wiredaemon.commands.results import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = Argument(
    type=ArgumentType.SET,
    default=frozenset(),
    valid_values=frozenset({b"parents", b"revision", b"linknode"}),
)


def failure(
    declared: Mapping[str, Argument], given: object, *, strict: bool = True
) -> CommandError:
    with pytest.raises(CommandError) as caught:
        check_arguments(declared, given, strict=strict)
    return caught.value


def required(kind: ArgumentType) -> dict[str, Argument]:
    return {"value": Argument(type=kind)}


PAIR = exact_arguments(
    {"größe": Argument(type=ArgumentType.INT), "name": Argument(type=ArgumentType.BYTES)}
)


def test_arguments_of_exact_types_are_taken_as_they_are() -> None:
    given = {b"name": b"a", b"gr\xc3\xb6\xc3\x9fe": 3}
    assert take_exact(PAIR, given) == {"größe": 3, "name": b"a"}
    assert take_exact((), {}) == {}


@pytest.mark.parametrize(
    "given",
    [
        {b"name": b"a"},
        {b"name": b"a", b"gr\xc3\xb6\xc3\x9fe": True},
        {b"name": b"a", b"gr\xc3\xb6\xc3\x9fe": 3, b"more": 1},
        {b"name": b"a", b"other": 3},
        [b"name", b"size"],
        None,
    ],
)
def test_others_are_left_to_the_checks(given: object) -> None:
    assert take_exact(PAIR, given) is None


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        (ArgumentType.BYTES, b"", b""),
        (ArgumentType.BYTES, b"\xff", b"\xff"),
        (ArgumentType.INT, 0, 0),
        (ArgumentType.INT, -(1 << 64), -(1 << 64)),
        (ArgumentType.LIST, [1, b"a", [None]], [1, b"a", [None]]),
        (ArgumentType.DICT, {b"a": 1}, {b"a": 1}),
        (ArgumentType.SET, {b"a", 1}, frozenset({b"a", 1})),
        (ArgumentType.SET, [b"a", b"a"], frozenset({b"a"})),
        (ArgumentType.SET, frozenset({b"a"}), frozenset({b"a"})),
        (ArgumentType.BOOL, True, True),
        (ArgumentType.BOOL, False, False),
    ],
)
def test_a_value_of_the_declared_type_is_taken(
    kind: ArgumentType, given: object, taken: object
) -> None:
    found = check_arguments(required(kind), {b"value": given}, strict=True)
    assert found == {"value": taken}
    assert type(found["value"]) is type(taken)


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        (ArgumentType.BYTES, 1, b"int"),
        (ArgumentType.BYTES, None, b"null"),
        (ArgumentType.BYTES, [b"a"], b"list"),
        (ArgumentType.INT, True, b"bool"),
        (ArgumentType.INT, b"1", b"bytes"),
        (ArgumentType.INT, 1.0, b"float"),
        (ArgumentType.LIST, {b"a"}, b"set"),
        (ArgumentType.LIST, b"ab", b"bytes"),
        (ArgumentType.LIST, {b"a": 1}, b"dict"),
        (ArgumentType.DICT, [], b"list"),
        (ArgumentType.SET, {b"a": 1}, b"dict"),
        (ArgumentType.SET, b"ab", b"bytes"),
        (ArgumentType.BOOL, 1, b"int"),
        (ArgumentType.BOOL, None, b"null"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(
    kind: ArgumentType, given: object, shown: bytes
) -> None:
    error = failure(required(kind), {b"value": given})
    expected = b"argument value must be of type %s, not %s" % (kind.value.encode(), shown)
    assert (error.message, error.arguments) == (expected, ())


def test_null_is_taken_where_the_default_is_null_and_nowhere_else() -> None:
    declared = {
        "filter": Argument(type=ArgumentType.DICT, default=None),
        "nodes": Argument(type=ArgumentType.LIST, default=()),
    }
    assert check_arguments(declared, {b"filter": None}, strict=True) == {
        "filter": None,
        "nodes": (),
    }
    assert failure(declared, {b"nodes": None}).message == (
        b"argument nodes must be of type list, not null"
    )


def test_elements_of_a_set_that_cannot_be_in_one_are_refused_by_name() -> None:
    error = failure({"fields": FIELDS}, {b"fields": [[b"parents"]]})
    assert str(error) == "the elements of argument fields must be byte strings or integers"


def test_valid_values_are_taken() -> None:
    given = {b"fields": [b"parents", b"revision"]}
    assert check_arguments({"fields": FIELDS}, given, strict=True) == {
        "fields": frozenset({b"parents", b"revision"})
    }


@pytest.mark.parametrize(
    ("element", "shown"),
    [(b"author", b"author"), (b"100%s", b"100%s"), (7, b"7"), (None, b"None")],
)
def test_a_value_that_is_not_valid_is_refused_with_those_that_are(
    element: object, shown: bytes
) -> None:
    error = failure({"fields": FIELDS}, {b"fields": [b"parents", element]})
    assert (error.message, error.arguments) == (
        b"argument %s does not accept %s; valid values are: %s",
        (b"fields", shown, b"linknode, parents, revision"),
    )


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        (ArgumentType.LIST, [[b"a"]], b"[b'a']"),
        (ArgumentType.LIST, [{b"a": 1}], b"{b'a': 1}"),
        (ArgumentType.BYTES, b"b", b"b"),
    ],
)
def test_values_of_any_kind_are_held_against_the_valid_ones(
    kind: ArgumentType, given: object, shown: bytes
) -> None:
    declared = {"value": Argument(type=kind, valid_values=frozenset({b"a"}))}
    assert failure(declared, {b"value": given}).arguments == (b"value", shown, b"a")


def test_absent_arguments_take_their_defaults() -> None:
    declared = {
        "fields": FIELDS,
        "haveparents": Argument(type=ArgumentType.BOOL, default=False),
        "path": Argument(type=ArgumentType.BYTES),
    }
    assert check_arguments(declared, {b"path": b"a"}, strict=True) == {
        "fields": frozenset(),
        "haveparents": False,
        "path": b"a",
    }


@pytest.mark.parametrize(
    ("kind", "default"),
    [(ArgumentType.LIST, [[1]]), (ArgumentType.DICT, {b"a": [1]}), (ArgumentType.SET, {1})],
)
def test_a_default_that_one_call_changes_is_as_declared_for_the_next(
    kind: ArgumentType, default: Any
) -> None:
    declared = {"value": Argument(type=kind, default=default)}
    before = repr(default)
    first: Any = check_arguments(declared, {}, strict=True)["value"]
    if isinstance(first, list):
        first[0].append(2)
    first.clear()
    assert repr(check_arguments(declared, {}, strict=True)["value"]) == before


def test_arguments_that_are_missing_are_named_in_order() -> None:
    declared = {name: Argument(type=ArgumentType.BYTES) for name in ("old", "key", "new")}
    error = failure(declared, {b"key": b""})
    assert (error.message, error.arguments) == (b"missing required arguments: new, old", ())


def test_arguments_that_are_not_declared_are_named_in_order() -> None:
    error = failure({"key": Argument(type=ArgumentType.BYTES)}, {b"b": 1, b"a": 2, b"key": b""})
    assert (error.message, error.arguments) == (b"unsupported argument to command: a, b", ())


def test_an_argument_too_many_is_named_before_one_that_is_missing() -> None:
    error = failure({"key": Argument(type=ArgumentType.BYTES)}, {b"a": 1})
    assert error.message == b"unsupported argument to command: a"


def test_a_missing_argument_is_named_before_one_of_a_wrong_type() -> None:
    declared = {name: Argument(type=ArgumentType.BYTES) for name in ("a", "b")}
    assert failure(declared, {b"a": 1}).message == b"missing required arguments: b"


@pytest.mark.parametrize(
    ("name", "message", "shown"),
    [
        (b"100%s", b"unsupported argument to command: 100%%s", "100%s"),
        (b"%", b"unsupported argument to command: %%", "%"),
        (b"gr\xc3\xbcn", b"unsupported argument to command: gr\xc3\xbcn", "grün"),
        (b"\xff", b"unsupported argument to command: \xff", "\N{REPLACEMENT CHARACTER}"),
        (1, b"unsupported argument to command: 1", "1"),
        ((1, b"%"), b"unsupported argument to command: (1, b'%%')", "(1, b'%')"),
    ],
)
def test_any_name_that_a_peer_gives_is_shown_literally(
    name: object, message: bytes, shown: str
) -> None:
    error = failure({}, {name: 1})
    assert (error.message, error.arguments) == (message, ())
    assert str(error) == f"unsupported argument to command: {shown}"


def test_declared_names_with_a_percent_sign_are_shown_literally() -> None:
    declared = {"100%s": Argument(type=ArgumentType.BYTES)}
    assert str(failure(declared, {})) == "missing required arguments: 100%s"
    assert str(failure(declared, {b"100%s": 1})) == (
        "argument 100%s must be of type bytes, not int"
    )


def test_argument_names_are_utf_8_on_the_wire() -> None:
    declared = {"größe": Argument(type=ArgumentType.INT)}
    assert check_arguments(declared, {b"gr\xc3\xb6\xc3\x9fe": 3}, strict=True) == {"größe": 3}
    assert failure(declared, {}).message == b"missing required arguments: gr\xc3\xb6\xc3\x9fe"


def test_arguments_too_many_are_ignored_where_the_dialect_says_so() -> None:
    declared = {"key": Argument(type=ArgumentType.BYTES)}
    given = {b"key": b"a", b"more": 1, 5: 2}
    assert check_arguments(declared, given, strict=False) == {"key": b"a"}


@pytest.mark.parametrize("given", [None, [], b"", 1])
def test_args_that_are_no_map_count_as_empty_only_where_none_is_declared(given: object) -> None:
    optional = {"nodes": Argument(type=ArgumentType.LIST, default=())}
    assert check_arguments({}, given, strict=False) == {}
    assert failure(optional, given, strict=False).message == b"args must be a map"
    assert failure({}, given).message == b"args must be a map"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ArgumentType.BYTES, b"\xff 1", b"\xff 1"),
        (ArgumentType.INT, b"-12", -12),
        (ArgumentType.BOOL, b"0", False),
        (ArgumentType.BOOL, b"1", True),
    ],
)
def test_scalars_are_read_from_text(kind: ArgumentType, text: bytes, value: object) -> None:
    assert Argument(type=kind).read_text("value", text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ArgumentType.INT, b""),
        (ArgumentType.INT, b"one"),
        (ArgumentType.INT, b"1_0"),
        (ArgumentType.INT, b" 1"),
        (ArgumentType.INT, b"9" * 5000),
        (ArgumentType.INT, b"\xd9\xa1"),
        (ArgumentType.BOOL, b"true"),
        (ArgumentType.BOOL, b""),
    ],
)
def test_text_that_says_no_such_value_is_refused(kind: ArgumentType, text: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        Argument(type=kind).read_text("value", text)
    assert str(caught.value) == f"argument value must be of type {kind.value}"


@pytest.mark.parametrize("kind", [ArgumentType.LIST, ArgumentType.DICT, ArgumentType.SET])
def test_containers_have_no_text_form(kind: ArgumentType) -> None:
    with pytest.raises(CommandError) as caught:
        Argument(type=kind).read_text("value", b"")
    assert str(caught.value) == f"argument value of type {kind.value} has no text form"


def test_a_declaration_may_have_its_own_words_for_a_wrong_type() -> None:
    argument = Argument(type=ArgumentType.LIST, wrong_type=b"must be an array")
    assert argument.check("value", [1]) == [1]
    with pytest.raises(CommandError) as caught:
        argument.check("value", {})
    assert (caught.value.message, caught.value.arguments) == (b"must be an array", ())


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        (ArgumentType.FLOAT, 1.5, 1.5),
        (ArgumentType.FLOAT, 2, 2.0),
        (ArgumentType.FLOAT, b"-1.5e3", -1500.0),
        (ArgumentType.FLOAT, b"7", 7.0),
        (ArgumentType.TEXT, "größe".encode(), "größe"),
        (ArgumentType.TEXT, "größe", "größe"),
        (ArgumentType.TEXT, b"", ""),
    ],
)
def test_floats_and_texts_are_what_they_stand_for(
    kind: ArgumentType, given: object, taken: object
) -> None:
    found = check_arguments(required(kind), {b"value": given}, strict=True)["value"]
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        (ArgumentType.FLOAT, float("nan"), "it must be finite"),
        (ArgumentType.FLOAT, b"1e999", "it must be finite"),
        (ArgumentType.FLOAT, 10**400, "int too large to convert to float"),
        (ArgumentType.FLOAT, b"nan", "it must be a decimal number"),
        (ArgumentType.FLOAT, b" 1", "it must be a decimal number"),
        (ArgumentType.FLOAT, b"1" * 65, "it must be a decimal number"),
        (ArgumentType.TEXT, b"\xff", "it must be UTF-8"),
    ],
)
def test_what_stands_for_no_float_or_text_is_refused(
    kind: ArgumentType, given: object, shown: str
) -> None:
    assert str(failure(required(kind), {b"value": given})).endswith(f": {shown}")


def test_the_refusal_of_a_float_says_how_every_dialect_carries_one() -> None:
    assert str(failure(required(ArgumentType.FLOAT), {b"value": [1]})) == (
        "argument value must be of type float, as a number or its decimal text in bytes, not list"
    )
    assert str(failure(required(ArgumentType.FLOAT), {b"value": True})).endswith(", not bool")


@pytest.mark.parametrize(
    ("kind", "elements", "given", "taken"),
    [
        (ArgumentType.LIST, ArgumentType.INT, [1, 2], [1, 2]),
        (ArgumentType.LIST, ArgumentType.TEXT, [b"a"], ["a"]),
        (ArgumentType.SET, ArgumentType.FLOAT, [b"1.5", 2], frozenset({1.5, 2.0})),
        (ArgumentType.DICT, ArgumentType.TEXT, {b"a": b"b"}, {b"a": "b"}),
        (ArgumentType.DICT, ArgumentType.LIST, {b"a": [None]}, {b"a": [None]}),
    ],
)
def test_elements_of_the_declared_type_are_taken(
    kind: ArgumentType, elements: ArgumentType, given: object, taken: object
) -> None:
    declared = {"value": Argument(type=kind, elements=elements)}
    assert check_arguments(declared, {b"value": given}, strict=True) == {"value": taken}


@pytest.mark.parametrize(
    ("kind", "given", "place"),
    [
        (ArgumentType.LIST, [1, b"100%s"], "value[1]"),
        (ArgumentType.SET, [b"a"], "value[0]"),
        (ArgumentType.DICT, {b"100%s": b"a"}, "value[100%s]"),
    ],
)
def test_elements_of_another_type_are_refused_by_their_place(
    kind: ArgumentType, given: object, place: str
) -> None:
    declared = {"value": Argument(type=kind, elements=ArgumentType.INT)}
    error = failure(declared, {b"value": given})
    assert str(error) == f"argument {place} must be of type int, not bytes"


def test_valid_values_are_of_the_type_of_the_argument() -> None:
    declared = {
        "sizes": Argument(
            type=ArgumentType.LIST, elements=ArgumentType.INT, valid_values=frozenset({1, 10})
        ),
        "name": Argument(type=ArgumentType.TEXT, default="a", valid_values=frozenset({"a", "ö"})),
    }
    given = {b"sizes": [10], b"name": "ö".encode()}
    assert check_arguments(declared, given, strict=True) == {"sizes": [10], "name": "ö"}
    error = failure(declared, {b"sizes": [2]})
    assert error.arguments == (b"sizes", b"2", b"1, 10")
    assert failure(declared, {b"sizes": [], b"name": b"b"}).arguments[2] == "a, ö".encode()


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        ({"type": "int"}, "'int' is no ArgumentType"),
        (
            {"type": ArgumentType.INT, "default": b"1"},
            "the default b'1' cannot be given: argument default must be of type int, not bytes",
        ),
        ({"type": ArgumentType.BYTES, "default": ""}, "not text"),
        (
            {"type": ArgumentType.INT, "default": 2**64},
            "cannot be sent: an integer of more than 64 bits cannot be sent",
        ),
        ({"type": ArgumentType.TEXT, "default": "\ud800"}, "a surrogate in it cannot be sent"),
        ({"type": ArgumentType.INT, "valid_values": frozenset({2**64})}, "64 bits cannot be sent"),
        ({"type": ArgumentType.INT, "example": object}, "a value of type type cannot be sent"),
        ({"type": ArgumentType.FLOAT, "default": 1}, "the default 1 is no float"),
        ({"type": ArgumentType.TEXT, "default": b"a"}, "the default b'a' is no str"),
        (
            {"type": ArgumentType.LIST, "elements": ArgumentType.INT, "default": (1, b"a")},
            "argument default[1] must be of type int, not bytes",
        ),
        (
            {"type": ArgumentType.BYTES, "default": b"c", "valid_values": frozenset({b"a"})},
            "argument default does not accept c; valid values are: a",
        ),
        (
            {"type": ArgumentType.BYTES, "valid_values": frozenset({"a"})},
            "an argument of type bytes cannot have the valid value 'a'",
        ),
        (
            {"type": ArgumentType.DICT, "valid_values": frozenset({b"a"})},
            "an argument of type dict cannot have the valid value b'a'",
        ),
        (
            {"type": ArgumentType.INT, "elements": ArgumentType.INT},
            "an argument of type int cannot have elements <ArgumentType.INT: 'int'>",
        ),
    ],
)
def test_a_declaration_that_could_never_be_met_is_refused(
    declared: dict[str, Any], shown: str
) -> None:
    with pytest.raises(TypeError) as caught:
        Argument(**declared)
    assert str(caught.value).endswith(shown)
