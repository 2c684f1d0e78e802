"""From a request to what a command gives, without a reactor."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from wiredaemon.commands import (
    Argument,
    ArgumentType,
    Command,
    CommandError,
    Permission,
    RawBytes,
    ServerError,
    TextForm,
    WithOutput,
)
from wiredaemon.commands.running import (
    Waiting,
    is_async_objects,
    is_objects,
    present,
    read_arguments,
    start,
    step,
)
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping

WITH_TYPES: Final = ["0003", "0004", "0005", "0006"]
UP_TO_0005: Final = ["0003", "0004", "0005"]

ARGUMENTS: Final = {
    "path": Argument(type=ArgumentType.BYTES),
    "depth": Argument(type=ArgumentType.INT, default=1),
    "fields": Argument(
        type=ArgumentType.SET,
        default=frozenset(),
        valid_values=frozenset({b"parents", b"revision"}),
    ),
    "haveparents": Argument(type=ArgumentType.BOOL, default=False),
}
DEFAULTS: Final = {"depth": 1, "fields": frozenset(), "haveparents": False}

CONTEXT: Final[Any] = SimpleNamespace(name="a context")


def declare(
    arguments: Mapping[str, Argument],
    function: Callable[..., Any] | None = None,
    text: TextForm | None = None,
) -> Command:
    return Command(
        name="sum",
        permission=Permission.RO,
        function=function or (lambda _context, **keywords: keywords),
        arguments=arguments,
        text=text,
    )


def read(dialect: str, given: object, command: Command | None = None) -> dict[str, object]:
    return read_arguments(command or declare(ARGUMENTS), given, DIALECTS[dialect])


def refusal(dialect: str, given: object, command: Command | None = None) -> str:
    with pytest.raises(CommandError) as caught:
        read(dialect, given, command)
    return str(caught.value)


# --- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", WITH_TYPES)
def test_arguments_become_keywords_and_absent_ones_their_defaults(dialect: str) -> None:
    given = {b"path": b"a", b"fields": [b"parents"], b"depth": 5, b"haveparents": True}
    assert read(dialect, given) == {
        "path": b"a",
        "depth": 5,
        "fields": frozenset({b"parents"}),
        "haveparents": True,
    }
    assert read(dialect, {b"path": b"a"}) == {"path": b"a", **DEFAULTS}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_names_the_argument_that_is_missing(dialect: str) -> None:
    assert refusal(dialect, {}) == "missing required arguments: path"


@pytest.mark.parametrize("dialect", WITH_TYPES)
@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ({b"path": 1}, "argument path must be of type bytes, not int"),
        ({b"path": None}, "argument path must be of type bytes, not null"),
        ({b"depth": True}, "argument depth must be of type int, not bool"),
        ({b"haveparents": 1}, "argument haveparents must be of type bool, not int"),
        ({b"fields": b"parents"}, "argument fields must be of type set, not bytes"),
        (
            {b"fields": [b"author"]},
            "argument fields does not accept author; valid values are: parents, revision",
        ),
    ],
)
def test_every_dialect_with_types_checks_them_and_the_valid_values(
    dialect: str, argument: dict[bytes, object], text: str
) -> None:
    assert refusal(dialect, {b"path": b"a", **argument}) == text


@pytest.mark.parametrize("dialect", ["0002", *UP_TO_0005])
def test_up_to_0005_arguments_too_many_are_ignored(dialect: str) -> None:
    given = {b"path": b"a", b"100%s": b"1", b"more": b"2"}
    assert read(dialect, given) == {"path": b"a", **DEFAULTS}


def test_0006_names_the_arguments_that_are_too_many_and_only_those() -> None:
    given = {b"path": 1, b"more": 2, b"100%s": 1}
    assert refusal("0006", given) == "unsupported argument to command: 100%s, more"
    assert refusal("0006", {b"more": 2}) == "unsupported argument to command: more"


@pytest.mark.parametrize("given", [None, [], [b"path"], b"path", 0])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_args_that_are_no_map_are_refused_where_arguments_are_declared(
    dialect: str, given: object
) -> None:
    assert refusal(dialect, given) == "args must be a map"


@pytest.mark.parametrize("given", [None, [], b"path", 0])
@pytest.mark.parametrize("dialect", ["0002", *UP_TO_0005])
def test_up_to_0005_args_that_are_no_map_count_as_empty_where_none_is_declared(
    dialect: str, given: object
) -> None:
    assert read(dialect, given, declare({})) == {}


@pytest.mark.parametrize("given", [None, [], b"path", 0])
def test_0006_refuses_args_that_are_no_map_in_any_case(given: object) -> None:
    assert refusal("0006", given, declare({})) == "args must be a map"


def test_0002_reads_scalars_from_text() -> None:
    given = {b"path": b"\xff", b"depth": b"12", b"haveparents": b"1"}
    assert read("0002", given) == {
        "path": b"\xff",
        "depth": 12,
        "fields": frozenset(),
        "haveparents": True,
    }


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ({b"depth": b"two"}, "argument depth must be of type int"),
        ({b"haveparents": b""}, "argument haveparents must be of type bool"),
        ({b"fields": b"parents"}, "argument fields of type set has no text form"),
    ],
)
def test_0002_names_the_argument_whose_text_says_nothing(
    argument: dict[bytes, bytes], text: str
) -> None:
    assert refusal("0002", {b"path": b"a", **argument}) == text


def read_fields(text: bytes) -> list[bytes]:
    if b"%" in text:
        raise ValueError(f"{text.decode()} is no list of fields")
    return text.split()


WITH_READER: Final = declare(
    ARGUMENTS, text=TextForm(result=bytes, arguments={"fields": read_fields})
)


def test_0002_asks_the_command_s_own_reader_first() -> None:
    given = {b"path": b"a", b"fields": b"parents revision"}
    assert read("0002", given, WITH_READER)["fields"] == frozenset({b"parents", b"revision"})
    assert read("0002", {b"path": b"a"}, WITH_READER)["fields"] == frozenset()


def test_0002_shows_what_the_reader_says_literally() -> None:
    text = refusal("0002", {b"path": b"a", b"fields": b"100%s"}, WITH_READER)
    assert text == "argument fields: 100%s is no list of fields"


def test_0002_checks_what_the_reader_gives() -> None:
    text = refusal("0002", {b"path": b"a", b"fields": b"author"}, WITH_READER)
    assert text == "argument fields does not accept author; valid values are: parents, revision"


def test_the_reader_of_0002_is_for_0002_alone() -> None:
    text = refusal("0003", {b"path": b"a", b"fields": b"parents"}, WITH_READER)
    assert text == "argument fields must be of type set, not bytes"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_floats_and_texts_can_be_given_in_every_dialect(dialect: str) -> None:
    command = declare(
        {
            "factor": Argument(type=ArgumentType.FLOAT),
            "name": Argument(type=ArgumentType.TEXT),
        }
    )
    given = {b"factor": b"1.5", b"name": "größe".encode()}
    assert read(dialect, given, command) == {"factor": 1.5, "name": "größe"}


# --- starting --------------------------------------------------------------------------------


class Gate:
    """Something to wait for that is no Deferred: open, or not yet."""

    def __init__(self) -> None:
        self.result: object = None

    def __await__(self) -> Generator[Gate, None, object]:
        while self.result is None:
            yield self
        return self.result


def test_a_plain_function_gives_its_value_and_gets_context_and_keywords() -> None:
    def function(context: object, **keywords: object) -> object:
        return (context, keywords)

    result = start(declare(ARGUMENTS, function), CONTEXT, {"path": b"a"})
    assert result == (CONTEXT, {"path": b"a"})


class Answering:
    """A callable object whose call is a coroutine."""

    async def __call__(self, _context: object) -> int:
        return 7


async def answer(_context: object, value: int = 7) -> int:
    return value


@functools.wraps(answer)
def wrapping(*arguments: Any, **keywords: Any) -> Any:
    return answer(*arguments, **keywords)


@pytest.mark.parametrize("function", [answer, Answering(), wrapping, functools.partial(answer)])
def test_a_coroutine_that_does_not_wait_gives_its_value(function: Callable[..., Any]) -> None:
    assert start(declare({}, function), CONTEXT, {}) == 7


def test_a_coroutine_may_wait_for_others_that_do_not() -> None:
    async def function(context: object) -> int:
        return await answer(context) + await answer(context, 1)

    assert start(declare({}, function), CONTEXT, {}) == 8


def test_a_coroutine_that_waits_is_given_as_it_is_and_can_be_driven_on() -> None:
    gate = Gate()

    async def function(_context: object) -> object:
        return await gate

    waiting = start(declare({}, function), CONTEXT, {})
    assert isinstance(waiting, Waiting)
    again = step(waiting.coroutine)
    assert again == waiting
    gate.result = 5
    assert step(waiting.coroutine) == 5


def test_a_coroutine_that_waits_can_be_closed() -> None:
    seen = []

    async def function(_context: object) -> None:
        try:
            await Gate()
        finally:
            seen.append("closed")

    waiting = start(declare({}, function), CONTEXT, {})
    waiting.coroutine.close()
    assert seen == ["closed"]


@pytest.mark.parametrize("error", [CommandError("no"), ServerError("no"), ValueError("no")])
def test_what_a_command_raises_comes_through(error: Exception) -> None:
    def function(_context: object) -> None:
        raise error

    async def coroutine(_context: object) -> None:
        raise error

    for raising in (function, coroutine):
        with pytest.raises(type(error)) as caught:
            start(declare({}, raising), CONTEXT, {})
        assert caught.value is error


def objects(_context: object, count: int = 2) -> Iterator[int]:
    yield from range(count)


async def async_objects(_context: object, count: int = 2) -> AsyncIterator[int]:
    for number in range(count):
        yield number


class Giving:
    """A callable object whose call is a generator."""

    def __call__(self, _context: object) -> Iterator[int]:
        yield from range(2)


@pytest.mark.parametrize("function", [objects, Giving(), functools.partial(objects, count=2)])
def test_a_generator_is_objects(function: Callable[..., Any]) -> None:
    result = start(declare({}, function), CONTEXT, {})
    assert (is_objects(result), is_async_objects(result)) == (True, False)
    assert list(result) == [0, 1]


@pytest.mark.parametrize("function", [async_objects, functools.partial(async_objects, count=2)])
def test_an_asynchronous_generator_is_asynchronous_objects(function: Callable[..., Any]) -> None:
    result = start(declare({}, function), CONTEXT, {})
    assert (is_objects(result), is_async_objects(result)) == (False, True)

    async def all_of_it() -> list[int]:
        return [number async for number in result]

    assert step(all_of_it()) == [0, 1]


@pytest.mark.parametrize("value", [None, 1, b"", [1], (1,), {b"a": 1}, {1}, RawBytes(b"a")])
def test_a_value_is_no_objects(value: object) -> None:
    result = start(declare({}, lambda _context: value), CONTEXT, {})
    assert result is value
    assert (is_objects(result), is_async_objects(result)) == (False, False)


# --- presenting ------------------------------------------------------------------------------


def in_text(result: Any) -> bytes:
    if isinstance(result, WithOutput):
        return in_text(result.value) + result.output
    return b"%d\n" % result


@pytest.mark.parametrize("dialect", WITH_TYPES)
def test_a_value_is_sent_as_it_is(dialect: str) -> None:
    command = declare({}, text=TextForm(result=in_text))
    assert present(command, True, DIALECTS[dialect]) is True  # noqa: FBT003 a result


@pytest.mark.parametrize("dialect", WITH_TYPES)
def test_output_is_left_out_where_it_has_no_place(dialect: str) -> None:
    command = declare({}, text=TextForm(result=in_text))
    result = WithOutput(False, b"printed\n")  # noqa: FBT003 a result
    assert present(command, result, DIALECTS[dialect]) is False


def test_0002_sends_the_text_form() -> None:
    command = declare({}, text=TextForm(result=in_text))
    assert present(command, True, DIALECTS["0002"]) == b"1\n"  # noqa: FBT003 a result
    result = WithOutput(False, b"printed\n")  # noqa: FBT003 a result
    assert present(command, result, DIALECTS["0002"]) == b"0\nprinted\n"


def test_0002_sends_what_has_no_text_form_as_it_is() -> None:
    command = declare({})
    raw = RawBytes(b"customreadonly bytes response")
    assert present(command, raw, DIALECTS["0002"]) is raw
    assert present(command, WithOutput(b"a", b"printed\n"), DIALECTS["0002"]) == b"a"
