"""Commands of a service called in memory, through everything but a socket."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from support.embedding import reactor
from support.responding import ensure_deferred, failures
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs

from wiredaemon import (
    Argument,
    ArgumentType,
    CommandError,
    Limits,
    Permission,
    ServerError,
    Service,
)
from wiredaemon.commands import TextForm
from wiredaemon.testing import NoAnswerError, ServiceTester
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MAPS = ["0003", "0004", "0005", "0006"]
MIB = 1024 * 1024


class Program:
    """What the commands of these tests use and do."""

    def __init__(self) -> None:
        self.gate: Deferred[bytes] = Deferred()
        self.given = 0
        self.closed = 0


def service_of(**options: Any) -> Service:  # noqa: C901 each command is one
    service = Service(Program(), **options)
    ro = service.command

    @ro("echo", permission=Permission.RO, arguments={"value": Argument(type=ArgumentType.DICT)})
    def echo(context: Any, value: Any) -> Any:  # noqa: ARG001 every command is given its context
        return value

    @ro(
        "typed",
        permission=Permission.RO,
        arguments={
            "count": Argument(type=ArgumentType.INT),
            "factor": Argument(type=ArgumentType.FLOAT, default=1.0),
            "name": Argument(type=ArgumentType.TEXT, default=""),
        },
        text=TextForm(result=repr_bytes),
    )
    def typed(context: Any, count: int, factor: float, name: str) -> bytes:  # noqa: ARG001 as above
        return repr((count, factor, name)).encode()

    @ro("wait", permission=Permission.RO)
    async def wait(context: Any) -> bytes:
        try:
            opened: bytes = await context.state.gate
            return opened
        finally:
            context.state.closed += 1

    @ro("endless", permission=Permission.RO)
    def endless(context: Any) -> Iterator[bytes]:
        try:
            while True:
                context.state.given += 1
                yield bytes(16 * 1024)
        finally:
            context.state.closed += 1

    @ro("numbers", permission=Permission.RO)
    async def numbers(context: Any) -> AsyncIterator[int]:
        context.write_text("begun by %s\n", context.peer.user or "nobody")
        for number in range(3):
            context.progress("numbers", number, 3)
            yield number

    @ro("size", permission=Permission.RO, has_data=True)
    async def size(context: Any) -> int:
        return len(await context.data.read())

    @ro("blocking", permission=Permission.RO, is_blocking=True)
    def blocking(context: Any) -> Iterator[bytes]:
        yield context.peer.address.encode()
        yield b"end"

    @ro("write", permission=Permission.RW)
    def write(context: Any) -> list[Any]:
        return [context.peer.user, sorted(context.peer.groups)]

    @ro("fail", permission=Permission.RO, arguments={"how": Argument(type=ArgumentType.BYTES)})
    def fail(context: Any, how: bytes) -> None:  # noqa: ARG001 as above
        if how == b"command":
            raise CommandError("no such thing: %s", ["a%s"])
        if how == b"server":
            raise ServerError("not now")
        raise RuntimeError("a secret")

    return service


def repr_bytes(value: bytes) -> bytes:
    return value


# --- without a reactor -------------------------------------------------------------------------


def at_once(awaitable: Any) -> Any:
    """The result of what does not wait."""
    try:
        awaitable.send(None)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("it waits")


@pytest.mark.parametrize("dialect", MAPS)
def test_a_value_is_read_as_clients_read_it(dialect: str) -> None:
    tester = ServiceTester(service_of(), dialect=dialect)
    given = {"value": {"a": 1, "b": ["ö", None, True]}}
    expected = {b"a": 1, b"b": ["ö".encode(), None, True]}
    assert at_once(tester.call("echo", given)) == expected


@pytest.mark.parametrize("dialect", DIALECTS)
def test_arguments_are_sent_as_each_dialect_has_them(dialect: str) -> None:
    tester = ServiceTester(service_of(), dialect=dialect)
    given = {"count": 3, "factor": 1.5, "name": "ö"}
    assert at_once(tester.call("typed", given)) == "(3, 1.5, 'ö')".encode()


def test_calls_need_no_reactor_that_runs() -> None:
    service = service_of(reactor=Clock())
    tester = ServiceTester(service)
    assert at_once(tester.call("typed", {"count": 1})) == b"(1, 1.0, '')"


def test_a_command_that_waits_is_answered_when_its_clock_goes_on() -> None:
    clock = Clock()
    service = service_of(reactor=clock)
    tester = ServiceTester(service)
    called = Deferred.fromCoroutine(tester.call("wait"))
    assert tester.running == 1
    program: Any = service.state
    clock.callLater(5, program.gate.callback, b"opened")
    clock.advance(5)
    assert called.result == b"opened"
    assert tester.running == 0


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", MAPS)
@ensure_deferred
async def test_objects_come_one_by_one_with_texts_and_progress_beside_them(dialect: str) -> None:
    tester = ServiceTester(service_of(), dialect=dialect, user="ann")
    objects = [value async for value in tester.objects("numbers")]
    assert objects == [0, 1, 2]
    assert b"".join(tester.texts) == b"begun by ann\n"
    assert [one.position for one in tester.progress] == [0, 1, 2]


@ensure_deferred
async def test_blocking_commands_run_in_threads() -> None:
    tester = ServiceTester(service_of(), address="192.0.2.1:5")
    assert [one async for one in tester.objects("blocking")] == [b"192.0.2.1:5", b"end"]


@ensure_deferred
async def test_data_is_sent_whole_or_in_pieces() -> None:
    tester = ServiceTester(service_of())
    assert await tester.call("size", data=bytes(3 * MIB)) == 3 * MIB
    assert await tester.call("size", data=[b"ab", b"", b"c"]) == 3
    assert await tester.call("size", data=b"") == 0


@ensure_deferred
async def test_calls_run_side_by_side() -> None:
    service = service_of()
    program: Any = service.state
    tester = ServiceTester(service)
    waiting = [Deferred.fromCoroutine(tester.call("wait")) for _ in range(2)]
    assert await tester.call("typed", {"count": 1}) == b"(1, 1.0, '')"
    assert tester.running == 2
    program.gate.callback(b"opened")
    assert (await gatherResults(waiting))[0] == b"opened"


def test_more_objects_or_none_are_no_value() -> None:
    service = service_of()
    service.command("none", permission=Permission.RO)(lambda _context: iter_nothing())
    tester = ServiceTester(service)
    with pytest.raises(NoAnswerError, match=r"numbers gave 3 objects; take them from objects\(\)"):
        at_once(tester.call("numbers"))
    with pytest.raises(NoAnswerError, match="none gave 0 objects"):
        at_once(tester.call("none"))


def iter_nothing() -> Iterator[int]:
    yield from ()


# --- failures ----------------------------------------------------------------------------------


def test_failures_are_those_that_clients_read() -> None:
    tester = ServiceTester(service_of())
    with pytest.raises(CommandError) as caught:
        at_once(tester.call("fail", {"how": "command"}))
    assert (caught.value.message, caught.value.arguments) == (b"no such thing: %s", (b"a%s",))
    with pytest.raises(ServerError, match="not now"):
        at_once(tester.call("fail", {"how": "server"}))


def test_an_exception_is_kept_and_logged_and_its_text_does_not_travel() -> None:
    tester = ServiceTester(service_of())
    with capturedLogs() as events, pytest.raises(ServerError) as caught:
        at_once(tester.call("fail", {"how": "crash"}))
    assert str(caught.value) == "the command failed; the server's log says why"
    assert [str(error) for error in tester.crashes] == ["a secret"]
    assert len(failures(events)) == 1


@pytest.mark.parametrize(
    ("command", "given", "shown"),
    [
        ("other", {}, "wire protocol command not available: other"),
        ("typed", {}, "missing required arguments: count"),
        ("typed", {"count": b"1"}, "argument count must be of type int, not bytes"),
        ("typed", {"count": 1, "more": 2}, "unsupported argument to command: more"),
    ],
)
def test_wrong_calls_are_refused_as_by_the_server(
    command: str, given: dict[str, Any], shown: str
) -> None:
    with pytest.raises(CommandError, match=shown):
        at_once(ServiceTester(service_of()).call(command, given))


def test_the_limits_of_the_service_hold() -> None:
    service = service_of(limits=Limits(request_size=100))
    tester = ServiceTester(service)
    with pytest.raises(NoAnswerError, match=r"\(request_size\)"):
        at_once(tester.call("echo", {"value": {"a": b"x" * 200}}))
    with pytest.raises(NoAnswerError, match=r"\(request_size\)"):
        at_once(tester.call("typed", {"count": 1}))


def test_a_value_that_cannot_be_sent_fails_before_the_call() -> None:
    tester = ServiceTester(service_of())
    with pytest.raises(TypeError, match="a value of type object cannot be sent"):
        at_once(tester.call("typed", {"count": object()}))
    assert at_once(tester.call("typed", {"count": 1})) == b"(1, 1.0, '')"


def test_an_unknown_dialect_is_named() -> None:
    with pytest.raises(ValueError, match="no dialect '0007'; there are: 0002, "):
        ServiceTester(service_of(), dialect="0007")


# --- rights ------------------------------------------------------------------------------------


def test_the_permission_of_the_client_is_that_of_the_test() -> None:
    service = service_of()
    tester = ServiceTester(service, user="ann", groups=["devs"])
    assert at_once(tester.call("write")) == [b"ann", [b"devs"]]
    with pytest.raises(CommandError, match="this login may only read"):
        at_once(ServiceTester(service, permission=Permission.RO).call("write"))
    with pytest.raises(CommandError, match="ssl required"):
        at_once(ServiceTester(service, is_secure=False).call("write"))


def test_the_rules_of_the_service_hold() -> None:
    service = service_of(authenticate=lambda _user, _password: None, writers=["@devs"])
    for user, groups, shown in (
        (None, (), "read not authorized"),
        ("bob", ["others"], "push not authorized"),
    ):
        with pytest.raises(CommandError, match=shown):
            at_once(ServiceTester(service, user=user, groups=groups).call("write"))
    tester = ServiceTester(service, user="ann", groups=["devs"])
    assert at_once(tester.call("write")) == [b"ann", [b"devs"]]


# --- the end -----------------------------------------------------------------------------------


@ensure_deferred
async def test_a_command_is_paused_while_nobody_takes_its_objects() -> None:
    service = service_of()
    program: Any = service.state
    tester = ServiceTester(service)
    async with aclosing(tester.objects("endless")) as objects:
        assert await anext(objects) == bytes(16 * 1024)
        given = program.given
        assert given * 16 * 1024 < 2 * Limits().output_high
        for _ in range(given + 10):
            await anext(objects)
        assert program.given > given
    # The dialect has a way to cancel one call of a connection.
    while not program.closed:
        await deferLater(reactor(), 0)
    assert tester.running == 0
    assert await tester.call("typed", {"count": 1}) == b"(1, 1.0, '')"


@ensure_deferred
async def test_a_call_that_is_closed_early_ends_the_connection_where_none_can_be_cancelled() -> (
    None
):
    service = service_of()
    program: Any = service.state
    tester = ServiceTester(service, dialect="0005")
    async with aclosing(tester.objects("endless")) as objects:
        await anext(objects)
    assert program.closed == 1
    with pytest.raises(NoAnswerError, match="the dialect cannot cancel one"):
        await tester.call("typed", {"count": 1})


@ensure_deferred
async def test_disconnecting_cancels_what_runs() -> None:
    service = service_of()
    program: Any = service.state
    with ServiceTester(service) as tester:
        waiting = Deferred.fromCoroutine(tester.call("wait"))
    assert program.closed == 1
    with pytest.raises(NoAnswerError, match="the tester was disconnected"):
        await waiting
    with pytest.raises(NoAnswerError, match="the tester was disconnected"):
        await tester.call("typed", {"count": 1})
    tester.disconnect()


@ensure_deferred
async def test_nothing_of_a_tester_is_left_in_the_reactor() -> None:
    before = {*reactor().getReaders(), *reactor().getDelayedCalls()}
    with ServiceTester(service_of()) as tester, capturedLogs():
        assert await tester.call("size", data=bytes(MIB)) == MIB
        async with aclosing(tester.objects("endless")) as objects:
            await anext(objects)
        for _ in range(10):
            with pytest.raises(ServerError):
                await tester.call("fail", {"how": "crash"})
    # What was scheduled for the next turn has nothing left to do there.
    await deferLater(reactor(), 0)
    assert {*reactor().getReaders(), *reactor().getDelayedCalls()} <= before
