"""Marking functions as commands, and refusing what could never work."""

from __future__ import annotations

import functools
import typing
from typing import TYPE_CHECKING, Any, cast

import pytest

from wiredaemon.commands import Argument, ArgumentType, Command, Permission, command
from wiredaemon.commands.declaration import ALL_DIALECTS, MARK

if TYPE_CHECKING:
    import collections.abc
    from collections.abc import AsyncIterator, Callable, Iterator

NODES = {"nodes": Argument(type=ArgumentType.LIST)}


def refusal(function: Any, name: Any = "sum", **declared: Any) -> str:
    with pytest.raises(TypeError) as caught:
        command(name, **{"permission": Permission.RO, **declared})(function)
    return str(caught.value)


def test_the_decorator_only_marks_the_function() -> None:
    def function(context: object, nodes: object) -> None: ...

    marked = command("sum", permission=Permission.RW, arguments=NODES)(function)
    assert marked is function
    assert getattr(marked, MARK) == Command(
        name="sum",
        permission=Permission.RW,
        function=function,
        arguments=NODES,
        module=__name__,
    )


def test_a_command_is_in_every_dialect_unless_it_says_which() -> None:
    assert sorted(ALL_DIALECTS) == ["0002", "0003", "0004", "0005", "0006"]
    made = Command(name="sum", permission=Permission.RO, function=lambda _context: None)
    assert made.dialects == ALL_DIALECTS


def test_a_command_without_a_permission_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="permission"):
        cast("Any", command)("sum")
    with pytest.raises(TypeError, match="permission"):
        cast("Any", command)(lambda context: context)
    with pytest.raises(TypeError, match="permission"):
        cast("Any", Command)(name="sum", function=lambda context: context)


@pytest.mark.parametrize("permission", [None, "ro", b"pull", True])
def test_what_is_no_permission_does_not_count_as_one(permission: object) -> None:
    text = refusal(lambda context: context, permission=permission)
    assert text == f"command sum: {permission!r} is no Permission"


def test_unknown_dialects_are_named() -> None:
    text = refusal(lambda context: context, dialects={"0006", "0007", "0001"})
    assert text == "command sum: unknown dialects 0001, 0007"


def test_a_field_that_does_not_exist_is_named() -> None:
    text = refusal(lambda context: context, blocking=True)
    assert text.startswith("command sum: there is no blocking to declare; there are: arguments, ")


@pytest.mark.parametrize("name", [b"sum", "", None, "\ud800", "größe", "a/b", "a\n", "\x7f"])
def test_a_name_that_some_transport_cannot_send_is_refused(name: object) -> None:
    text = refusal(lambda context: context, name)
    expected = f"command {name!r}: {name!r} is no name; names are printable ASCII without a slash"
    assert text == expected


def test_a_name_that_is_too_long_for_a_url_is_refused() -> None:
    Command(name="n" * 255, permission=Permission.RO, function=lambda context: context)
    text = refusal(lambda context: context, "n" * 256)
    assert text == f"the name {'n' * 20}... has more than 255 characters"


@pytest.mark.parametrize(("has_data", "limit"), [(False, 5), (True, -1), (True, "5"), (True, True)])
def test_a_bound_of_data_that_bounds_none_is_refused(*, has_data: bool, limit: object) -> None:
    text = refusal(lambda context: context, has_data=has_data, data_limit=limit)
    assert text.startswith(f"command sum: data_limit {limit!r} bounds no data")


def test_details_that_cannot_be_sent_are_refused() -> None:
    text = refusal(lambda context: context, details={b"since": 1.5})
    assert text.startswith("command sum: details cannot be sent: a value of type float")


@pytest.mark.parametrize("name", [b"nodes", "", "größe", "a/b"])
def test_an_argument_name_that_some_transport_cannot_send_is_refused(name: object) -> None:
    arguments = {name: Argument(type=ArgumentType.LIST)}
    text = refusal(lambda _context, **_arguments: None, arguments=arguments)
    expected = f"command 'sum': {name!r} is no name; names are printable ASCII without a slash"
    assert text == expected


@pytest.mark.parametrize("name", ["multirequest", "debugreflect", "openapi.json", ".", ".."])
def test_a_name_with_a_meaning_in_urls_is_refused(name: str) -> None:
    text = refusal(lambda context: context, name)
    assert text == f"command {name!r}: the name has a meaning in URLs"


@pytest.mark.parametrize("name", ["two words", "100%s", "a-b.c", "~"])
def test_names_are_any_other_printable_ascii(name: str) -> None:
    made = Command(name=name, permission=Permission.RO, function=lambda _context: None)
    assert made.name == name


def test_an_argument_that_is_none_is_refused() -> None:
    text = refusal(lambda _context, nodes: nodes, arguments={"nodes": ArgumentType.LIST})
    assert text == f"command sum: nodes is no Argument but {ArgumentType.LIST!r}"


def only_keywords(*, context: object) -> None: ...
def any_keywords(**_arguments: object) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize("function", [only_keywords, any_keywords, nothing])
def test_a_function_must_take_the_context_first(function: object) -> None:
    assert refusal(function) == "command sum: its function must take the context first"


def only_context(context: object) -> None: ...
def only_by_position(context: object, nodes: object, /) -> None: ...
def one_more(context: object, nodes: object, more: object) -> None: ...
def another(context: object, node: object = ()) -> None: ...
def nodes_first(nodes: object, /, *, context: object) -> None: ...


@pytest.mark.parametrize(
    "function", [only_context, only_by_position, one_more, another, nodes_first]
)
def test_a_function_must_take_the_declared_arguments_by_name_and_need_no_others(
    function: object,
) -> None:
    text = refusal(function, arguments=NODES)
    assert text.startswith("command sum: its function does not fit its arguments: ")


def test_an_argument_cannot_have_the_name_of_the_context() -> None:
    def function(context: object, **_arguments: object) -> None: ...

    text = refusal(function, arguments={"context": Argument(type=ArgumentType.INT)})
    assert text == (
        "command sum: its function does not fit its arguments: multiple values for argument "
        "'context'"
    )


def test_a_context_taken_by_position_leaves_its_name_to_an_argument() -> None:
    def function(context: object, /, **arguments: object) -> object:
        return (context, arguments)

    arguments = {"context": Argument(type=ArgumentType.INT)}
    marked = command("sum", permission=Permission.RO, arguments=arguments)(function)
    assert getattr(marked, MARK).function(1, context=2) == (1, {"context": 2})


def by_name(context: object, nodes: object) -> None: ...
def by_keyword(context: object, *, nodes: object) -> None: ...
def with_default(context: object, nodes: object, more: int = 3) -> None: ...
def by_any_name(context: object, **arguments: object) -> None: ...
def by_anything(*arguments: object, **named: object) -> None: ...
async def waiting(context: object, nodes: object) -> None: ...


class Summing:
    def __call__(self, context: object, nodes: object) -> None: ...


class Sum:
    def __init__(self, context: object, nodes: object) -> None: ...


@functools.wraps(by_name)
def wrapping(*arguments: Any, **named: Any) -> None:
    by_name(*arguments, **named)


@pytest.mark.parametrize(
    "function",
    [
        by_name,
        by_keyword,
        with_default,
        by_any_name,
        by_anything,
        waiting,
        Summing(),
        Sum,
        wrapping,
        functools.partial(with_default, more=4),
    ],
)
def test_whatever_can_be_called_so_is_a_function(function: Callable[..., Any]) -> None:
    made = Command(name="sum", permission=Permission.RO, function=function, arguments=NODES)
    assert made.function is function


def test_what_cannot_be_called_is_refused() -> None:
    assert refusal(5) == "5 is not a callable object"


def test_a_function_that_does_not_say_what_it_takes_is_refused() -> None:
    assert refusal(iter).startswith("command sum: no signature found")


def test_a_function_that_cannot_be_marked_is_refused() -> None:
    class Service:
        def answer(self, context: object) -> None: ...

    assert refusal(Service().answer) == (
        "command sum: a method cannot be marked; wrap it in a function"
    )
    assert refusal(len) == (
        "command sum: a builtin_function_or_method cannot be marked; wrap it in a function"
    )


def test_a_function_cannot_be_two_commands() -> None:
    @command("one", permission=Permission.RO)
    def function(context: object) -> None: ...

    assert refusal(function, "two") == "command two: its function is already command one"
    assert getattr(function, MARK).name == "one"


def test_a_function_may_be_marked_again_under_its_name() -> None:
    def function(context: object) -> None: ...

    command("one", permission=Permission.RO)(function)
    command("one", permission=Permission.RW)(function)
    assert getattr(function, MARK).permission is Permission.RW


def test_a_subclass_of_a_command_may_be_another() -> None:
    @command("one", permission=Permission.RO)
    class One:
        def __init__(self, context: object) -> None: ...

    @command("two", permission=Permission.RO)
    class Two(One):
        pass

    assert (getattr(One, MARK).name, getattr(Two, MARK).name) == ("one", "two")


def test_a_blocking_function_cannot_be_asynchronous() -> None:
    async def coroutine(context: object) -> None: ...

    async def objects(context: object) -> Any:
        yield context

    expected = "command sum: a blocking function cannot be asynchronous"
    assert refusal(coroutine, is_blocking=True) == expected
    assert refusal(objects, is_blocking=True) == expected
    assert refusal(functools.partial(coroutine), is_blocking=True) == expected


class Adding:
    """Its method is marked where its class is defined."""

    @command("add", permission=Permission.RO, arguments=NODES)
    def add(self, context: object, nodes: list[int]) -> int:
        """Return the sum."""
        assert context is None
        return sum(nodes)


def test_a_method_becomes_a_command_with_its_object() -> None:
    made = getattr(Adding.add, MARK)
    assert made.is_method
    bound = made.bound(Adding().add)
    assert (bound.is_method, bound.function(None, nodes=[1, 2])) == (False, 3)


def test_a_method_that_does_not_take_what_is_declared_is_refused_in_its_class() -> None:
    with pytest.raises(TypeError, match="its function does not fit its arguments"):

        class Wrong:
            @command("add", permission=Permission.RO, arguments=NODES)
            def add(self, context: object) -> None: ...


def documented(context: object) -> None:
    """Do nothing.

    Twice.
    """


def test_the_docstring_is_the_help_in_the_descriptor() -> None:
    made = Command(name="a", permission=Permission.RO, function=documented)
    assert made.with_help().details == {b"help": "Do nothing.\n\nTwice."}
    own = Command(name="a", permission=Permission.RO, function=documented, details={b"help": b"x"})
    assert own.with_help() is own


@pytest.mark.parametrize("function", [only_context, functools.partial(documented), Summing()])
def test_a_function_without_a_docstring_of_its_own_has_no_help(function: Any) -> None:
    arguments = NODES if isinstance(function, Summing) else {}
    made = Command(name="a", permission=Permission.RO, function=function, arguments=arguments)
    assert made.with_help() is made


# --- generators ----------------------------------------------------------------------------------


def objects(_context: object) -> Iterator[int]:
    yield 1


async def async_objects(_context: object) -> AsyncIterator[int]:
    yield 1


def returned(_context: object) -> collections.abc.Generator[int, None, None]:
    return objects(_context)  # type: ignore[return-value]  # it is one


def value(_context: object) -> list[int]:
    return [1]


async def later(_context: object) -> int:
    return 1


def said_as_an_object(_context: object) -> object:
    return objects(_context)


said_as_an_object.__annotations__["return"] = typing.Iterator[int]


@functools.wraps(objects)
def wrapped(_context: object) -> object:
    return objects(_context)


@pytest.mark.parametrize(
    ("function", "gives"),
    [
        (objects, True),
        (async_objects, True),
        (returned, True),
        (said_as_an_object, True),
        (wrapped, True),
        (functools.partial(objects), True),
        (value, False),
        (later, False),
        (lambda _context: None, False),
    ],
)
def test_a_declaration_knows_whether_there_may_be_many_objects(
    function: Callable[..., Any], *, gives: bool
) -> None:
    made = Command(name="any", permission=Permission.RO, function=function)
    assert made.gives_objects is gives
