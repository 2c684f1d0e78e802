"""The asyncio client and the blocking one, in threads of their own, against real servers."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import threading
import warnings
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.environment import environment
from support.interrupts import interrupt_poll, interrupted_at
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening, write_certificate
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.policies import WrappingFactory

from wiredaemon.client import (
    BrokenProtocolError,
    ClientError,
    ClientOptions,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineError,
    SilentError,
    UntrustedError,
    aio,
    blocking,
)
from wiredaemon.client import connect as twisted_connect
from wiredaemon.commands import Argument, ArgumentType, CommandError, Permission, capabilities
from wiredaemon.commands.registry import marked_commands
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from twisted.internet.interfaces import IProtocolFactory

    from wiredaemon.client.blocking import BlockingCall, BlockingConnection
    from wiredaemon.client.connecting import Connection
    from wiredaemon.protocol import ProgressReceived

KINDS: Final = ["http", "https", "hgrpc", "hgrpcs", "unix"]
MIB: Final = 1024 * 1024


def greet(context: Any, name: bytes) -> bytes:  # noqa: ARG001 not needed
    return b"hello " + name


def numbers(context: Any, count: int) -> Iterator[int]:
    for number in range(count):
        context.write_text("at %s\n", str(number))
        context.progress("numbers", number, count)
        yield number


async def size(context: Any) -> int:
    return sum([len(piece) async for piece in context.data])


def refuse(context: Any) -> bytes:  # noqa: ARG001 not needed
    raise CommandError("no %s", ["way"])


running: Final[set[str]] = set()


async def ever(context: Any) -> AsyncIterator[int]:  # noqa: ARG001 not needed
    """One object, and then nothing until it is stopped."""
    running.add("ever")
    try:
        yield 1
        await Deferred()
    finally:
        running.discard("ever")


COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(greet, arguments={"name": Argument(type=ArgumentType.BYTES)}),
    make_command(numbers, arguments={"count": Argument(type=ArgumentType.INT, example=1)}),
    make_command(size, has_data=True),
    make_command(refuse),
    make_command(ever),
]


class Watching:
    """Remembers what a command says beside its result."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.positions: list[int] = []

    def receive_text(self, text: bytes) -> None:
        self.text.append(text)

    def receive_progress(self, progress: ProgressReceived) -> None:
        self.positions.append(progress.position)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@asynccontextmanager
async def at_socket(factory: IProtocolFactory, socket: Path) -> AsyncIterator[None]:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    port = anywhere.listenUNIX(str(socket), factory)
    try:
        yield
    finally:
        await port.stopListening()


@asynccontextmanager
async def served(kind: str, certificate: Path, folder: Path) -> AsyncIterator[str]:
    """A server of one kind; gives its URL."""
    secure = certificate if kind.endswith("s") else None
    listener = "hgrpc" if kind == "unix" else kind
    factory = factory_of(listener, COMMANDS, framings=["0006"], certificate=secure)
    if kind == "unix":
        socket = folder / "s"
        async with at_socket(factory, socket):
            yield f"unix:{socket}"
    else:
        async with listening(factory) as port:
            yield f"{kind}://localhost:{port}/"


def options_for(certificate: Path, **more: Any) -> ClientOptions:
    return ClientOptions(authorities=certificate / "ca.pem", silent_seconds=20, **more)


def in_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
    """Run a coroutine of asyncio in a thread of its own."""
    return deferToThread(lambda: asyncio.run(main()))


def here() -> Any:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    return reactor


async def gone() -> None:
    """Return when no command runs any more."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    while running:
        await deferLater(reactor, 0.001)


# --- what a client does --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_an_asyncio_client_calls(certificate: Path, tmp_path: Path, kind: str) -> None:
    watching = Watching()

    async def use(connection: Connection) -> None:
        assert await connection.call("greet", {"name": b"you"}) == b"hello you"
        assert await connection.call(b"greet", {b"name": b"me"}).result() == b"hello me"
        for data in (b"", bytes(MIB), iter([bytes(10)] * 10)):
            expected = len(data) if isinstance(data, bytes) else 100
            assert await connection.call("size", data=data) == expected
        call = connection.call("numbers", {"count": 3}, observer=watching)
        assert [value async for value in call] == [0, 1, 2]
        with pytest.raises(CommandError, match=r"^no way$"):
            await connection.call("refuse")
        names = [b"%d" % number for number in range(40)]
        calls = [connection.call("greet", {"name": name}).result() for name in names]
        assert await asyncio.gather(*calls) == [b"hello " + name for name in names]
        description = await connection.describe()
        assert description is not None
        assert b"greet" in description.commands

    async with served(kind, certificate, tmp_path) as url:

        async def main() -> None:
            async with await aio.connect(url, options_for(certificate)) as connection:
                await use(connection)

        await in_loop(main)
    assert watching.text == [b"at 0\n", b"at 1\n", b"at 2\n"]
    assert watching.positions == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_blocking_client_calls(certificate: Path, tmp_path: Path, kind: str) -> None:
    watching = Watching()

    def use(connection: BlockingConnection) -> None:
        assert connection.dialect is DIALECTS["0006"]
        assert (connection.tls is None) is not kind.endswith("s")
        assert connection.has_session is not kind.startswith("http")
        if connection.tls is not None:
            shown = (certificate / "cert.pem").read_text("ascii")
            assert connection.tls.version == "TLSv1.3"
            assert ssl.DER_cert_to_PEM_cert(connection.tls.certificate) in shown
        assert connection.call("greet", {"name": b"you"}).result() == b"hello you"
        for data in (b"", bytes(MIB), iter([bytes(10)] * 10)):
            expected = len(data) if isinstance(data, bytes) else 100
            assert connection.call("size", data=data).result() == expected
        assert list(connection.call("numbers", {"count": 3}, observer=watching)) == [0, 1, 2]
        with pytest.raises(CommandError, match=r"^no way$"):
            connection.call("refuse").result()
        started = [connection.call("greet", {"name": b"%d" % number}) for number in range(10)]
        answers = [call.result() for call in started]
        assert answers == [b"hello %d" % number for number in range(10)]
        description = connection.describe()
        assert description is not None
        assert b"greet" in description.commands

    def main(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            use(connection)

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(main, url)
    assert watching.text == [b"at 0\n", b"at 1\n", b"at 2\n"]


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_call_that_is_closed_is_stopped_and_others_go_on(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    async with served(kind, certificate, tmp_path) as url:

        async def main() -> None:
            async with await aio.connect(url, options_for(certificate)) as connection:
                async with connection.call("ever") as call:
                    assert await anext(call) == 1
                assert await connection.call("greet", {"name": b"you"}) == b"hello you"
                waiting = asyncio.ensure_future(connection.call("ever").result())
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert await connection.call("greet", {"name": b"you"}) == b"hello you"

        await in_loop(main)
        await gone()

        def blocked() -> None:
            with blocking.connect(url, options_for(certificate)) as connection:
                with connection.call("ever") as call:
                    assert next(call) == 1
                assert connection.call("greet", {"name": b"you"}).result() == b"hello you"

        await deferToThread(blocked)
        await gone()


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_calls_fail_with_their_connection_and_their_commands_are_stopped(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    async with served(kind, certificate, tmp_path) as url:

        async def main() -> None:
            connection = await aio.connect(url, options_for(certificate))
            call = connection.call("ever")
            assert await anext(call) == 1
            waiting = asyncio.ensure_future(call.result())
            await asyncio.sleep(0)
            await connection.close()
            with pytest.raises(ConnectionLostError):
                await waiting
            with pytest.raises(ConnectionLostError, match=r"^the connection was closed$"):
                await connection.call("ever")

        await in_loop(main)
        await gone()

        def blocked() -> None:
            with blocking.connect(url, options_for(certificate)) as connection:
                done = connection.call("greet", {"name": b"you"})
                call = connection.call("ever")
                assert next(call) == 1
            assert done.result() == b"hello you"
            with pytest.raises(ConnectionLostError):
                next(call)
            for closed in (connection.call("ever"), connection.call("ever")):
                with pytest.raises(ConnectionLostError, match=r"^the connection was closed$"):
                    closed.result()

        await deferToThread(blocked)
        await gone()


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_connection_is_closed_while_it_is_made_anew(kind: str) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    wrapped = WrappingFactory(factory_of(kind, COMMANDS))
    port = anywhere.listenTCP(0, wrapped, interface="127.0.0.1")
    connected: Deferred[Callable[[], None]] = Deferred()

    async def main() -> None:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()

        def go_on() -> None:
            loop.call_soon_threadsafe(lost.set)

        async with await aio.connect(f"{kind}://127.0.0.1:{port.getHost().port}/") as connection:
            anywhere.callFromThread(connected.callback, go_on)
            await lost.wait()
            # Of HTTP the kept connection is found to be lost first.
            waiting = asyncio.ensure_future(connection.call("greet", {"name": b"you"}).result())
            await asyncio.sleep(0)
        with pytest.raises(ClientError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    ended = in_loop(main)
    go_on = await connected
    await port.stopListening()
    for protocol in list(wrapped.protocols):
        protocol.transport.abortConnection()
    go_on()
    await ended


@pytest.mark.parametrize("scheme", ["http", "hgrpc"])
@ensure_deferred
async def test_a_server_that_closes_at_once_is_no_silent_one(scheme: str) -> None:
    class Closing(Protocol):
        def connectionMade(self) -> None:
            transport: Any = self.transport
            transport.loseConnection()

    async with listening(Factory.forProtocol(Closing)) as port:

        async def main() -> None:
            with pytest.raises(ConnectionLostError):
                await aio.connect(f"{scheme}://127.0.0.1:{port}/")

        await in_loop(main)


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_deadline_ends_the_call_and_the_command(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    async with served(kind, certificate, tmp_path) as url:

        def blocked() -> None:
            with blocking.connect(url, options_for(certificate, timeout=20)) as connection:
                call = connection.call("ever", timeout=0.05)
                assert next(call) == 1
                with pytest.raises(DeadlineError, match=r"^the deadline of the call has passed$"):
                    next(call)
                assert connection.call("greet", {"name": b"you"}).result() == b"hello you"

        await deferToThread(blocked)
        await gone()


@ensure_deferred
async def test_a_connection_that_was_lost_is_made_anew() -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    for kind in ("http", "hgrpc"):
        wrapped = WrappingFactory(factory_of(kind, COMMANDS, framings=["0006"]))
        async with listening(wrapped) as port:

            def blocked(url: str, lose: Callable[[], None]) -> None:
                with blocking.connect(url) as connection:
                    for _ in range(3):
                        answer = connection.call("greet", {"name": b"you"}).result()
                        assert answer == b"hello you"
                        lose()

            def cut(wrapped: WrappingFactory = wrapped) -> None:
                for protocol in list(wrapped.protocols):
                    protocol.transport.abortConnection()

            def lose(cut: Callable[[], None] = cut) -> None:
                from twisted.internet.threads import blockingCallFromThread  # noqa: PLC0415

                blockingCallFromThread(anywhere, cut)

            await deferToThread(blocked, f"{kind}://127.0.0.1:{port}/", lose)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_script_that_did_something_else_meanwhile_may_write(kind: str) -> None:
    """A command that writes is never sent twice, so that it needs a connection that is there."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    write = make_command(greet, arguments={"name": Argument(type=ArgumentType.BYTES)})
    write = replace(write, name="write", permission=Permission.RW)
    wrapped = WrappingFactory(factory_of(kind, [*COMMANDS, write], framings=["0006"]))
    thought: Deferred[None] = Deferred()
    closed = threading.Event()

    def blocked(url: str) -> None:
        with blocking.connect(url) as connection:
            assert connection.call("write", {"name": b"you"}).result() == b"hello you"
            anywhere.callFromThread(thought.callback, None)
            assert closed.wait(20)
            connection._used -= 1
            assert connection.call("write", {"name": b"you"}).result() == b"hello you"

    async with listening(wrapped) as port:
        calling = deferToThread(blocked, f"{kind}://127.0.0.1:{port}/")
        await thought
        for protocol in list(wrapped.protocols):
            protocol.transport.abortConnection()
        while wrapped.protocols:
            await deferLater(anywhere, 0)
        closed.set()
        await calling


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_data_of_a_loop_that_ends_is_not_whole(certificate: Path, kind: str) -> None:
    counted: list[int] = []
    has_begun = threading.Event()
    ended: Deferred[None] = Deferred()

    async def count(context: Any) -> int:
        has_begun.set()
        try:
            counted.append(sum([len(piece) async for piece in context.data]))
        finally:
            ended.callback(None)
        return 0

    factory = WrappingFactory(
        factory_of(kind, [*COMMANDS, make_command(count, has_data=True)], framings=["0006"])
    )
    async with listening(factory) as port:

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(100)
                await asyncio.sleep(0)

        async def main() -> None:
            connection = await aio.connect(f"{kind}://127.0.0.1:{port}/", options_for(certificate))
            connection.call("count", data=endless())
            assert await asyncio.to_thread(has_begun.wait, 20)

        await in_loop(main)
        await ended
    # The socket of a program that has ended without closing its connection.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert counted == []


@ensure_deferred
async def test_calls_that_are_late_hold_no_connection() -> None:
    async with listening(factory_of("http", COMMANDS, framings=["0006"])) as port:

        async def main() -> None:
            options = ClientOptions(most_connections=2)
            async with await aio.connect(f"http://127.0.0.1:{port}/", options) as connection:
                busy = [connection.call("ever", timeout=0.5) for _ in range(2)]
                late = [connection.call("greet", {"name": b"x"}, timeout=0.1) for _ in range(1500)]
                ends = await asyncio.gather(
                    *[call.result() for call in [*busy, *late]], return_exceptions=True
                )
                assert {type(end) for end in ends} == {DeadlineError}
                assert await connection.call("greet", {"name": b"you"}) == b"hello you"

        await in_loop(main)


@pytest.mark.parametrize("scheme", ["http", "hgrpc"])
@ensure_deferred
async def test_a_text_is_no_data_and_is_refused_before_anything_is_sent(scheme: str) -> None:
    async with listening(factory_of(scheme, COMMANDS, framings=["0006"])) as port:

        async def main() -> None:
            async with await aio.connect(f"{scheme}://127.0.0.1:{port}/") as connection:
                text: Any = "text"
                with pytest.raises(ClientError, match=r"^data is bytes, or gives bytes, not str$"):
                    await connection.call("count", data=text)
                assert await connection.call("greet", {"name": b"you"}) == b"hello you"

        await in_loop(main)


@ensure_deferred
async def test_many_uploads_side_by_side(certificate: Path) -> None:
    async with listening(factory_of("hgrpc", COMMANDS, framings=["0006"])) as port:

        async def main() -> None:
            url = f"hgrpc://127.0.0.1:{port}/"
            async with await aio.connect(url, options_for(certificate)) as connection:
                sizes = [1, 1000, 200_000, 400_000] * 8
                calls = [connection.call("size", data=[bytes(size)]).result() for size in sizes]
                assert await asyncio.gather(*calls) == sizes

        await in_loop(main)


# --- what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "scheme", "error", "text"),
    [
        ("http", "hgrpc", BrokenProtocolError, "speaks HTTP: the URL must begin with http://"),
        ("http", "hgrpcs", ConnectError, "^TLS with .* if it speaks no TLS, .* with hgrpc://"),
        ("http", "https", ConnectError, "^TLS with .* if it speaks no TLS, .* with http://"),
        ("https", "hgrpc", ConnectionClosedError, "if it speaks TLS, the URL must begin with hg"),
        ("https", "http", ConnectionClosedError, "if it speaks TLS, the URL must begin with https"),
        ("hgrpc", "http", BrokenProtocolError, "it speaks frames, so the URL must begin with hg"),
        ("hgrpc", "hgrpcs", ConnectError, "^TLS with .* if it speaks no TLS, .* with hgrpc://"),
        ("hgrpcs", "hgrpc", ConnectionClosedError, "if it speaks TLS, the URL must begin with hg"),
        ("hgrpcs", "https", BrokenProtocolError, "speaks frames, so .* must begin with hgrpcs://"),
    ],
)
@ensure_deferred
async def test_a_wrong_port_is_named_at_once(
    certificate: Path, tmp_path: Path, listener: str, scheme: str, error: Any, text: str
) -> None:
    async with served(listener, certificate, tmp_path) as url:
        wrong = scheme + url[url.index(":") :]

        async def main() -> None:
            with pytest.raises(error, match=text):
                await aio.connect(wrong, options_for(certificate, connect_seconds=10))

        # Its own errors, not that of a time that has run out.
        await in_loop(main)


@pytest.mark.parametrize("scheme", ["http", "https", "hgrpc", "hgrpcs"])
@ensure_deferred
async def test_nobody_listens(scheme: str) -> None:
    async with listening(WrappingFactory(factory_of("http", COMMANDS))) as port:
        pass

    async def main() -> None:
        text = rf"^cannot connect to 127\.0\.0\.1:{port}: .*refused"
        with pytest.raises(ConnectError, match=text):
            await aio.connect(f"{scheme}://127.0.0.1:{port}/")

    await in_loop(main)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("hgrpc://nosuch.invalid/", r"^cannot connect to nosuch\.invalid:8010: no such host$"),
        ("unix:/nowhere/s", r"^cannot connect to unix:/nowhere/s: No such file or directory$"),
    ],
)
@ensure_deferred
async def test_there_is_no_such_place(url: str, text: str) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match=text):
            await aio.connect(url)

    await in_loop(main)


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@ensure_deferred
async def test_certificates_are_verified(certificate: Path, tmp_path: Path, kind: str) -> None:
    async with served(kind, certificate, tmp_path) as url:
        other_name = url.replace("localhost", "127.0.0.1")

        async def main() -> None:
            with pytest.raises(UntrustedError, match="no authority that is trusted vouches"):
                await aio.connect(url)
            with pytest.raises(UntrustedError, match="it is for another host"):
                await aio.connect(other_name, options_for(certificate))
            async with await aio.connect(
                other_name, ClientOptions(trusts_anybody=True)
            ) as connection:
                assert await connection.call("greet", {"name": b"you"}) == b"hello you"

        await in_loop(main)


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
@ensure_deferred
async def test_the_authorities_cannot_be_read(
    tmp_path: Path, kind: str, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    async def main() -> None:
        with pytest.raises(ConnectError, match=r"ca\.pem cannot be used"):
            await aio.connect(f"{kind}://127.0.0.1:1/", ClientOptions(authorities=file))

    await in_loop(main)


@pytest.mark.parametrize("scheme", ["http", "https", "hgrpc", "hgrpcs"])
@ensure_deferred
async def test_a_server_that_says_nothing_is_given_up(scheme: str) -> None:
    async with listening(Factory.forProtocol(Protocol)) as port:

        async def main() -> None:
            with pytest.raises(SilentError, match=r"did not answer within 0\.2 s"):
                await aio.connect(
                    f"{scheme}://127.0.0.1:{port}/", ClientOptions(connect_seconds=0.2)
                )

        await in_loop(main)


def test_inside_of_an_event_loop_nothing_is_blocked() -> None:
    async def main() -> None:
        with pytest.raises(ClientError, match=r"use wiredaemon\.client\.aio there$"):
            blocking.connect("hgrpc://127.0.0.1:1/")

    asyncio.run(main())


@pytest.mark.parametrize("module", ["wiredaemon.client.aio", "wiredaemon.client.blocking"])
def test_other_faces_start_without_twisted(module: str) -> None:
    program = f"import sys, {module}; print([one for one in sys.modules if 'twisted' in one])"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "[]\n"


# --- what only scripts do ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_ctrl_c_ends_one_wait_and_its_command_and_the_connection_goes_on(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    def blocked(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            call = connection.call("ever")
            assert next(call) == 1
            # An iteration may go on.
            for _ in range(2):
                interrupt_poll(connection._runtime)
                with pytest.raises(KeyboardInterrupt):
                    next(call)
            call.close()
            waited = connection.call("ever")
            interrupt_poll(connection._runtime)
            with pytest.raises(KeyboardInterrupt):
                waited.result()
            assert connection.call("greet", {"name": b"you"}).result() == b"hello you"

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)
        await gone()


class Intruder:
    """Has another thread do all that a connection can do, while its own call is waited for."""

    def __init__(self, connection: BlockingConnection, begun: BlockingCall) -> None:
        self.refused: list[str] = []
        self.ways: list[Callable[[], object]] = [
            lambda: connection.call("greet", {"name": "me"}).result(),
            lambda: next(begun),
            begun.close,
            connection.describe,
            connection.close,
        ]

    def intrude(self) -> None:
        for way in self.ways:
            try:
                way()
            except ClientError as error:
                self.refused.append(str(error))

    def receive_text(self, text: bytes) -> None:
        if text == b"at 1\n":
            thread = threading.Thread(target=self.intrude)
            thread.start()
            thread.join()

    def receive_progress(self, progress: ProgressReceived) -> None:
        pass


@pytest.mark.parametrize("kind", ["http", "hgrpcs"])
@ensure_deferred
async def test_a_thread_that_comes_while_another_one_uses_the_connection_is_refused(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    def blocked(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            begun = connection.call("numbers", {"count": 2})
            intruder = Intruder(connection, begun)
            watched = connection.call("numbers", {"count": 3}, observer=intruder)
            assert list(watched) == [0, 1, 2]
            assert len(intruder.refused) == len(intruder.ways)
            assert {text.split(":")[0] for text in intruder.refused} == {
                "another thread uses this connection"
            }
            assert list(begun) == [0, 1]
            # Between two calls a connection may go from one thread to another.
            greeted: list[object] = []
            ways = intruder.ways[:1]
            thread = threading.Thread(target=lambda: greeted.extend(way() for way in ways))
            thread.start()
            thread.join()
            assert greeted == [b"hello me"]
            assert connection.call("greet", {"name": "you"}).result() == b"hello you"

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)


FORKED: Final = """
import os, sys
from wiredaemon.client import ClientOptions, ClientError, blocking

with blocking.connect(sys.argv[1], ClientOptions(authorities=sys.argv[2])) as connection:
    def greet():
        return connection.call("greet", {"name": "you"}).result()

    old = connection.call("ever")
    assert next(old) == 1
    child = os.fork()
    if not child:
        try:
            next(old)
        except ClientError as error:
            assert "forked" in str(error), error
            os._exit(7 if greet() == b"hello you" else 1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    child = os.fork()
    if not child:
        connection.close()
        try:
            greet()
        except ClientError as error:
            os._exit(7 if str(error) == "the connection was closed" else 1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert greet() == b"hello you"
    old.close()
"""


@pytest.mark.parametrize("kind", ["hgrpcs", "http"])
@ensure_deferred
async def test_a_forked_process_leaves_the_connection_to_its_parent(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    async with served(kind, certificate, tmp_path) as url:
        program = [sys.executable, "-c", FORKED, url, str(certificate / "ca.pem")]
        ended = await deferToThread(subprocess.run, program, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")
        await gone()


@pytest.mark.parametrize("kind", ["http", "hgrpcs", "unix"])
@ensure_deferred
async def test_names_may_be_text_and_a_connection_that_was_closed_says_so(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    async with served(kind, certificate, tmp_path) as url:
        offered = {"content_encodings": ["zlib"], "data_encodings": ["zlib"]}
        connection = await twisted_connect(here(), url, options_for(certificate, **offered))
        you: dict[str, Any] = {"name": "you"}
        assert await connection.call("greet", you, permission="ro") == b"hello you"
        wrong: Any = "admin"
        with pytest.raises(ClientError, match=r"^a permission is ro or rw, not 'admin'$"):
            await connection.call("greet", you, permission=wrong)
        left = connection.call("ever")
        await connection.close()
        with pytest.raises(ConnectionLostError) as caught:
            await left
        assert (type(caught.value), str(caught.value)) == (
            ConnectionLostError,
            "the connection was closed",
        )
        await gone()


def call_in_many_ways(connection: BlockingConnection) -> None:
    call = connection.call("numbers", {"count": 9})
    next(call)
    next(call)
    call.close()
    assert connection.call("size", data=iter([b"some", b"data"])).result() == 8
    assert connection.call("greet", {"name": b"you"}, timeout=60).result() == b"hello you"


# A coroutine that was made and not begun says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("kind", "step"), [("hgrpc", 2), ("http", 5), ("hgrpcs", 7)])
@ensure_deferred
async def test_ctrl_c_may_come_at_any_moment_and_the_connection_is_of_use(
    certificate: Path, tmp_path: Path, kind: str, step: int
) -> None:
    def blocked(url: str) -> None:
        number = 1
        while True:
            with blocking.connect(url, options_for(certificate)) as connection:
                assert connection.call("greet", {"name": b"you"}).result() == b"hello you"
                with interrupted_at(number) as moment, suppress(KeyboardInterrupt):
                    call_in_many_ways(connection)
                    assert not moment.has_come, "Ctrl-C was lost"
                for name in (b"you", b"all"):
                    call = connection.call("greet", {"name": name}, timeout=20)
                    assert call.result() == b"hello " + name
                assert connection.call("size", data=iter([b"data"]), timeout=20).result() == 4
            if not moment.has_come:
                return
            number += step

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_ctrl_c_where_something_is_half_done_ends_the_calls_that_run(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    def blocked(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            call = connection.call("ever")
            assert next(call) == 1
            with interrupted_at(20), pytest.raises(KeyboardInterrupt):
                connection.call("greet", {"name": b"you"})
            with pytest.raises(ConnectionLostError, match="an interruption came while it was used"):
                next(call)
            assert connection.call("greet", {"name": b"you"}).result() == b"hello you"
        with pytest.raises(ConnectionLostError, match=r"^the connection was closed$"):
            connection.call("greet", {"name": b"you"}).result()

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)
        await gone()


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_an_observer_that_waits_for_its_own_connection_is_refused(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    class Asking(Watching):
        def receive_text(self, text: bytes) -> None:
            super().receive_text(text)
            connections[0].call("greet", {"name": b"you"}).result()

    connections: list[BlockingConnection] = []

    def blocked(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            connections.append(connection)
            call = connection.call("numbers", {"count": 3}, observer=Asking())
            with pytest.raises(ClientError, match=r"^somebody waits for this connection already"):
                list(call)
            assert connection.call("greet", {"name": b"you"}).result() == b"hello you"

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_an_observer_may_call_without_waiting(
    certificate: Path, tmp_path: Path, kind: str
) -> None:
    class Calling(Watching):
        def receive_text(self, text: bytes) -> None:
            super().receive_text(text)
            connection = connections[0]
            connection._used -= 1  # as after a long time without a call
            calls.append(connection.call("greet", {"name": text.strip()}))

    connections: list[BlockingConnection] = []
    calls: list[BlockingCall] = []

    def blocked(url: str) -> None:
        with blocking.connect(url, options_for(certificate)) as connection:
            connections.append(connection)
            call = connection.call("numbers", {"count": 3}, observer=Calling())
            assert list(call) == [0, 1, 2]
            answers = [each.result() for each in calls]
            assert answers == [b"hello at 0", b"hello at 1", b"hello at 2"]

    async with served(kind, certificate, tmp_path) as url:
        await deferToThread(blocked, url)


@ensure_deferred
async def test_data_may_come_from_another_connection(certificate: Path, tmp_path: Path) -> None:
    def blocked(url: str) -> None:
        options = options_for(certificate)
        with blocking.connect(url, options) as one, blocking.connect(url, options) as other:
            pieces = (b"%d" % number for number in one.call("numbers", {"count": 10}))
            assert other.call("size", data=pieces).result() == 10

    async with served("hgrpc", certificate, tmp_path) as url:
        await deferToThread(blocked, url)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_connection_that_is_forgotten_is_closed_and_not_before_its_calls(kind: str) -> None:
    def blocked(url: str) -> None:
        call = blocking.connect(url).call("numbers", {"count": 2})
        gc.collect()
        assert list(call) == [0, 1]
        del call
        # In a circle, all of which is found at once.
        circle: list[object] = [blocking.connect(url)]
        circle.append(circle)
        del circle
        gc.collect()

    wrapped = WrappingFactory(factory_of(kind, COMMANDS, framings=["0006"]))
    async with listening(wrapped) as port:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await deferToThread(blocked, f"{kind}://127.0.0.1:{port}/")
            gc.collect()
        while wrapped.protocols:
            await deferLater(here(), 0)
