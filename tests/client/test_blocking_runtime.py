from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.interrupts import interrupt_poll
from support.receiving import Receiving
from support.serving import write_certificate
from support.tls_peers import over_tls, reset, serving

from wiredaemon.client.address import parse_url
from wiredaemon.client.aio_runtime import AioRuntime
from wiredaemon.client.blocking_runtime import BlockingRuntime
from wiredaemon.client.blocking_waits import BlockingWaiter, Cancelled
from wiredaemon.client.errors import ClientError, ConnectionLostError, SilentError
from wiredaemon.client.options import ClientOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# --- what goes wrong is the same in both loops ---------------------------------------------------


def in_asyncio(url: str, options: ClientOptions) -> ClientError:
    """Return why a stream of asyncio's runtime cannot be opened, or ends."""

    async def main() -> ClientError:
        ended = asyncio.Event()

        class Receiver(Receiving):
            def receive_end(self, error: ClientError) -> None:
                super().receive_end(error)
                ended.set()

        receiver = Receiver()
        runtime = AioRuntime(asyncio.get_running_loop())
        try:
            stream = await runtime.open(parse_url(url), receiver, options, [b"one"])
        except ClientError as error:
            return error
        if url.startswith("hgrpc:"):
            stream.write([b"x"])
        await ended.wait()
        return receiver.ends[0]

    return asyncio.run(main())


def in_script(url: str, options: ClientOptions) -> ClientError:
    """Return the same of the loop of scripts."""
    runtime, receiver = BlockingRuntime(), Receiving()
    try:
        stream = runtime.complete(runtime.open(parse_url(url), receiver, options, [b"one"]))
        if url.startswith("hgrpc:"):
            stream.write([b"x"])
        receiver.wait(runtime, lambda: receiver.ends)
    except ClientError as error:
        return error
    finally:
        runtime.close()
    return receiver.ends[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


def close(connection: socket.socket) -> None:
    connection.recv(65536)


def greet_and_reset(connection: socket.socket) -> None:
    connection.recv(65536)
    reset(connection)


def say_something(connection: socket.socket) -> None:
    connection.sendall(b"220 welcome\r\n")
    connection.recv(65536)


def say_nothing(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def leave(_: ssl.SSLSocket) -> None:
    """Close after the handshake."""


def want_certificate(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED


SERVERS: Final[list[tuple[str, Any, str]]] = [
    ("closes", close, "hgrpc://localhost:{port}/"),
    ("resets", greet_and_reset, "hgrpc://127.0.0.1:{port}/"),
    ("closes within the handshake", close, "hgrpcs://localhost:{port}/"),
    ("resets within the handshake", greet_and_reset, "https://localhost:{port}/"),
    ("speaks no TLS", say_something, "hgrpcs://localhost:{port}/"),
    ("says nothing", say_nothing, "hgrpcs://localhost:{port}/"),
    ("closes over TLS", "tls", "hgrpcs://localhost:{port}/"),
    ("wants a certificate", "client", "hgrpcs://localhost:{port}/"),
    ("is another host", "tls", "hgrpcs://127.0.0.1:{port}/"),
]


@pytest.mark.parametrize(
    ("serve", "url"), [row[1:] for row in SERVERS], ids=[s[0] for s in SERVERS]
)
def test_errors_of_servers_have_the_same_words(certificate: Path, serve: Any, url: str) -> None:
    if isinstance(serve, str):
        change = want_certificate if serve == "client" else (lambda _: None)
        serve = over_tls(certificate, leave, change)
    options = ClientOptions(authorities=certificate / "ca.pem", connect_seconds=1.0)
    said = []
    for run in (in_asyncio, in_script):
        with serving(serve) as port:
            error = run(url.format(port=port), options)
            said.append((type(error), str(error).replace(f":{port}", ":PORT")))
    assert said[0] == said[1]


def test_errors_of_places_have_the_same_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(str(tmp_path / "unheard"))
    no_file = ClientOptions(authorities=tmp_path / "none.pem")
    rows = [
        (f"hgrpc://127.0.0.1:{port}/", ClientOptions(), ": Connection refused"),
        ("hgrpc://nosuch.invalid/", ClientOptions(), "nosuch.invalid:8010: no such host"),
        (f"unix:{tmp_path}/none", ClientOptions(), "/none: No such file or directory"),
        (f"unix:{tmp_path}/unheard", ClientOptions(), "/unheard: Connection refused"),
        (f"hgrpcs://127.0.0.1:{port}/", no_file, "none.pem cannot be used: No such file or dir"),
    ]
    for url, options, text in rows:
        aio, script = in_asyncio(url, options), in_script(url, options)
        assert (type(aio), str(aio)) == (type(script), str(script))
        assert text in str(script)


def test_a_resolver_that_never_answers_is_a_silent_server() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def resolve(*_: object, **__: object) -> Any:
        may_end.wait(30)
        ended.set()
        return []

    runtime = BlockingRuntime(resolve)
    options = ClientOptions(connect_seconds=0.05)
    address = parse_url("hgrpc://server.example/")
    for _ in range(2):
        with pytest.raises(SilentError, match=r"^server\.example:8010 did not answer within 0\.05"):
            runtime.complete(runtime.open(address, Receiving(), options))
    threads = [each for each in threading.enumerate() if each.name == "find server.example"]
    assert len(threads) == 1
    assert threads[0].daemon  # nobody waits for it at the end of the program
    runtime.close()
    may_end.set()
    assert ended.wait(20)
    threads[0].join(20)


def test_a_host_may_have_no_address() -> None:
    runtime = BlockingRuntime(lambda *_, **__: [])
    address = parse_url("hgrpc://server.example/")
    with pytest.raises(ClientError, match=r"^cannot connect to server\.example:8010: "):
        runtime.complete(runtime.open(address, Receiving(), ClientOptions()))
    runtime.close()


# --- waits ---------------------------------------------------------------------------------------


@pytest.fixture
def runtime() -> Iterator[BlockingRuntime]:
    made = BlockingRuntime()
    yield made
    made.close()


def test_a_forked_process_does_not_wait_for_the_threads_that_it_has_not(
    runtime: BlockingRuntime,
) -> None:
    """The fork itself is left out: a process with threads had better not fork in tests."""
    is_in, may_end = threading.Event(), threading.Event()

    async def stay() -> None:
        is_in.set()
        may_end.wait(20)

    async def main() -> None:
        running.append(runtime.run(stay(), lambda _: None))
        await runtime.waiter()

    def wait() -> None:
        # Its process goes on in truth; here it is told that all is over.
        with suppress(ConnectionLostError, RuntimeError):
            runtime.complete(main())

    running: list[object] = []
    thread = threading.Thread(target=wait)
    thread.start()
    try:
        assert is_in.wait(20)
        runtime.leave()
        assert not runtime.is_waiting
        with runtime.one_thread:
            pass
    finally:
        may_end.set()
        thread.join(20)


def test_an_interrupted_wait_is_tidied_up_and_others_go_on(runtime: BlockingRuntime) -> None:
    done: list[str] = []

    async def sleep(seconds: float) -> None:
        waiter = runtime.waiter()
        runtime.call_later(seconds, waiter.wake)
        await waiter

    async def main() -> None:
        try:
            interrupt_poll(runtime)
            await BlockingWaiter()
        except Cancelled:
            runtime.call_soon(lambda: done.append("said"))
            await sleep(0.001)
            done.append("tidied up")
            runtime.call_soon(lambda: done.append("said more"))
            raise

    async def beside() -> None:
        await sleep(0.002)
        done.append("beside")

    runtime.run(beside(), lambda error: done.append(repr(error)))
    with pytest.raises(KeyboardInterrupt):
        runtime.complete(main())
    assert [word for word in done if "beside" not in word and word != "None"] == [
        "said",
        "tidied up",
        "said more",
    ]
    runtime.complete(sleep(0.01))
    assert sorted(done) == ["None", "beside", "said", "said more", "tidied up"]


def test_a_second_interrupt_ends_the_tidying_up(runtime: BlockingRuntime) -> None:
    async def main() -> None:
        try:
            interrupt_poll(runtime)
            await BlockingWaiter()
        finally:
            interrupt_poll(runtime)
            await BlockingWaiter()

    with pytest.raises(KeyboardInterrupt):
        runtime.complete(main())

    async def two() -> int:
        return 2

    assert runtime.complete(two()) == 2


def test_nobody_waits_within_a_wait(runtime: BlockingRuntime) -> None:
    said: list[str] = []

    async def inner() -> None:
        said.append("never")

    async def main() -> None:
        waiter = runtime.waiter()

        def nested() -> None:
            with pytest.raises(ClientError, match="somebody waits for this connection already"):
                runtime.complete(inner())
            waiter.wake()

        runtime.call_soon(nested)
        await waiter

    runtime.complete(main())
    assert said == []


def test_nothing_runs_in_a_closed_runtime(runtime: BlockingRuntime) -> None:
    ends: list[BaseException | None] = []
    words: list[str] = []

    async def polite() -> None:
        try:
            await BlockingWaiter()
        finally:
            words.append("polite")

    async def stubborn() -> None:
        while True:
            try:
                await BlockingWaiter()
            except Cancelled:
                words.append("stubborn")

    async def sleep() -> None:
        await BlockingWaiter()

    async def answer() -> int:
        return 42

    for coroutine in (polite(), stubborn()):
        runtime.run(coroutine, ends.append)
    runtime.look()
    runtime.close()
    assert words == ["polite", "stubborn"]
    assert [type(end) for end in ends] == [Cancelled]
    assert runtime.complete(answer()) == 42
    with pytest.raises(ConnectionLostError, match=r"^the connection was closed$"):
        runtime.complete(sleep())
    runtime.close()


def test_a_dropped_runtime_closes_its_streams_without_a_word() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"hello")
        seen.append(connection.recv(10))

    seen: list[bytes] = []
    runtime, receiver = BlockingRuntime(), Receiving()
    with serving(serve) as port:
        address = parse_url(f"hgrpc://127.0.0.1:{port}/")
        stream = runtime.complete(runtime.open(address, receiver, ClientOptions()))
        receiver.wait(runtime, lambda: receiver.data)
        runtime.drop()
    assert seen == [b""]  # not reset, as it would be for the other process after a fork
    runtime.leave()
    assert runtime.is_closed
    stream.write([b"nobody"])
    runtime.drop()
    assert receiver.ends == []
