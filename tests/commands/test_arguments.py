"""Declared arguments, and what a peer may give for them (commands, sections 4.1 and 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.commands.arguments import Argument, ArgumentType, check_arguments
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
        (ArgumentType.DICT, {b"a": 1}, b"{b'a': 1}"),
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


@pytest.mark.parametrize("default", [[[1]], {b"a": [1]}, {1}])
def test_a_default_that_one_call_changes_is_as_declared_for_the_next(default: Any) -> None:
    declared = {"value": Argument(type=ArgumentType.LIST, default=default)}
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
