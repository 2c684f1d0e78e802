"""Calls to a real server over every transport, in every dialect it speaks there."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import CRASHED, ensure_deferred, failures, make_command
from support.serving import factory_of, listening, write_certificate
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import capturedLogs
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from wiredaemon.client import (
    ClientError,
    ClientOptions,
    DescribedArgument,
    HttpAnswerError,
    NotOfferedError,
    Tls,
    UntrustedError,
    connect,
)
from wiredaemon.commands import (
    Argument,
    ArgumentType,
    CommandError,
    Permission,
    RawBytes,
    ServerError,
    TextForm,
    capabilities,
)
from wiredaemon.commands.registry import marked_commands
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from wiredaemon.client import Connection
    from wiredaemon.protocol import ProgressReceived

KINDS: Final = ["http", "https", "hgrpc", "hgrpcs"]
MIB: Final = 1024 * 1024
PLAIN: Final = TextForm(result=bytes)


def greet(context: Any, name: bytes) -> bytes:  # noqa: ARG001 not needed
    return b"hello " + name


def numbers(context: Any, count: int) -> Iterator[int]:
    for number in range(count):
        context.write_text("at %s\n", str(number))
        context.progress("numbers", number, count)
        yield number


async def echo(context: Any) -> AsyncIterator[bytes]:
    async for piece in context.data:
        yield piece


async def size(context: Any) -> bytes:
    return b"%d" % sum([len(piece) async for piece in context.data])


held: list[Deferred[None]] = []


async def hold(context: Any) -> int:
    await held[0]
    return sum([len(piece) async for piece in context.data])


produced: list[int] = []


def endless(context: Any) -> Iterator[bytes]:  # noqa: ARG001 not needed
    try:
        while True:
            produced.append(MIB // 32)
            yield bytes(MIB // 32)
    finally:
        produced.clear()


def zeros(context: Any, count: int) -> Iterator[bytes]:  # noqa: ARG001 not needed
    for _ in range(count):
        yield bytes(MIB)


async def one_now(context: Any) -> AsyncIterator[int]:  # noqa: ARG001 not needed
    yield 1
    await Deferred()  # until it is stopped


def refuse(context: Any) -> bytes:  # noqa: ARG001 not needed
    raise CommandError("no %s", ["way"])


def fail(context: Any) -> bytes:  # noqa: ARG001 not needed
    raise ServerError("gone")


def crash(context: Any) -> bytes:  # noqa: ARG001 not needed
    raise ZeroDivisionError


BRANCHES: Final = {b"branch %d" % number: [b"%020d" % number] for number in range(40_000)}


def branches(context: Any) -> dict[bytes, list[bytes]]:  # noqa: ARG001 not needed
    return BRANCHES


COUNT: Final = {"count": Argument(type=ArgumentType.INT, example=1)}
COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(greet, arguments={"name": Argument(type=ArgumentType.BYTES)}, text=PLAIN),
    make_command(numbers, arguments=COUNT),
    make_command(echo, has_data=True),
    make_command(size, has_data=True, text=PLAIN),
    make_command(endless),
    make_command(zeros, arguments=COUNT),
    make_command(hold, has_data=True),
    make_command(one_now),
    make_command(branches),
    make_command(refuse, text=PLAIN),
    make_command(fail, text=PLAIN),
    make_command(crash, text=PLAIN),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@asynccontextmanager
async def connected(
    kind: str, certificate: Path, dialect: str = "0006", *, path: str = "/", **options: Any
) -> AsyncIterator[Connection]:
    """A connection to a server of one kind."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    is_secure = kind.endswith("s")
    framings = ["0006", "0003", "0005", "0002"] if kind.startswith("http") else [dialect]
    factory = factory_of(kind, COMMANDS, framings=framings, certificate=_of(kind, certificate))
    async with listening(factory) as port:
        given = ClientOptions(
            dialect=DIALECTS[dialect],
            authorities=certificate / "ca.pem" if is_secure else None,
            **{"silent_seconds": 20.0, **options},
        )
        connection = await connect(reactor, f"{kind}://localhost:{port}{path}", given)
        try:
            yield connection
        finally:
            await connection.close()


def _of(kind: str, certificate: Path) -> Path | None:
    return certificate if kind.endswith("s") else None


class Watching:
    """Remembers what a command says beside its result."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self.positions: list[int] = []

    def receive_text(self, text: bytes) -> None:
        self.text.append(text)

    def receive_progress(self, progress: ProgressReceived) -> None:
        self.positions.append(progress.position)


def plain(value: object) -> object:
    return value.data if isinstance(value, RawBytes) else value


@pytest.mark.parametrize("dialect", ["0002", "0003", "0005", "0006"])
@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_command_is_called_with_arguments_and_with_data(
    certificate: Path, kind: str, dialect: str
) -> None:
    async with connected(kind, certificate, dialect) as connection:
        assert connection.dialect is DIALECTS[dialect]
        assert plain(await connection.call(b"greet", {b"name": b"you"}).result()) == b"hello you"
        for data in (b"", bytes(100_000), [bytes(10)] * 10):
            expected = b"%d" % sum(map(len, [data] if isinstance(data, bytes) else data))
            assert plain(await connection.call(b"size", data=data).result()) == expected


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_map_may_have_more_containers_than_a_peer_may_send(
    certificate: Path, kind: str, dialect: str
) -> None:
    assert len(BRANCHES) > Limits().cbor_containers
    async with connected(kind, certificate, dialect) as connection:
        assert await connection.call(b"branches").result() == BRANCHES


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_objects_text_and_progress_arrive(certificate: Path, kind: str, dialect: str) -> None:
    watching = Watching()
    async with connected(kind, certificate, dialect) as connection:
        call = connection.call(b"numbers", {b"count": 3}, observer=watching)
        assert [value async for value in call] == [0, 1, 2]
    assert watching.text == [b"at 0\n", b"at 1\n", b"at 2\n"]
    assert watching.positions == [0, 1, 2]


@pytest.mark.parametrize("dialect", ["0003", "0005", "0006"])
@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_an_object_arrives_before_the_next_is_there(
    certificate: Path, kind: str, dialect: str
) -> None:
    async with (
        connected(kind, certificate, dialect) as connection,
        aclosing(connection.call(b"one_now")) as call,
    ):
        assert await anext(aiter(call)) == 1


@pytest.mark.parametrize("encoding", [b"zlib", b"zstd-8mb", b"identity"])
@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_encoded_responses_are_decoded(certificate: Path, kind: str, encoding: bytes) -> None:
    async with connected(kind, certificate, content_encodings=[encoding]) as connection:
        for _ in range(2):
            call = connection.call(b"echo", data=bytes(200_000))
            given = [value async for value in call]
            assert b"".join(one for one in given if isinstance(one, bytes)) == bytes(200_000)


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc"])
@ensure_deferred
async def test_a_complete_response_that_nobody_takes_holds_up_no_other(
    certificate: Path, kind: str
) -> None:
    async with connected(kind, certificate, content_encodings=[b"zstd-8mb"]) as connection:
        # Some hundred bytes on the wire, which are there before the first object is taken.
        untaken = connection.call("zeros", {"count": 4})
        while not untaken.has_waiting:
            assert await connection.call("greet", {"name": b"you"}) == b"hello you"
        others = [connection.call("greet", {"name": b"%d" % one}) for one in range(3)]
        assert [await other for other in others] == [b"hello 0", b"hello 1", b"hello 2"]
        assert [len(value) async for value in untaken] == [MIB] * 4


class Counting(ProtocolWrapper):
    """Counts the bytes of a connection that a server receives."""

    received = 0

    def dataReceived(self, data: bytes) -> None:
        Counting.received += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's


@pytest.mark.parametrize("encoding", [b"zlib", b"zstd-8mb", b"identity"])
@ensure_deferred
async def test_data_is_encoded_where_the_server_decodes_it(encoding: bytes) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    wrapped = WrappingFactory(factory_of("hgrpc", COMMANDS, framings=["0006"]))
    wrapped.protocol = Counting
    Counting.received = 0
    async with listening(wrapped) as port:
        options = ClientOptions(data_encodings=[encoding], silent_seconds=20)
        url = f"hgrpc://127.0.0.1:{port}/"
        async with await connect(reactor, url, options) as connection:
            for data in (bytes(MIB), [bytes(1000)] * 1000):
                expected = b"%d" % sum(map(len, [data] if isinstance(data, bytes) else data))
                assert await connection.call("size", data=data) == expected
    assert (Counting.received > 2_000_000) is (encoding == b"identity")


@pytest.mark.parametrize("dialect", ["0002", "0003", "0005", "0006"])
@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_command_that_fails_says_how(certificate: Path, kind: str, dialect: str) -> None:
    # Before 0006 there is one form for all failures.
    server_error = ServerError if dialect == "0006" else CommandError
    async with connected(kind, certificate, dialect) as connection:
        with pytest.raises(CommandError, match=r"^no way$"):
            await connection.call(b"refuse").result()
        with pytest.raises(server_error, match=r"^gone$"):
            await connection.call(b"fail").result()
        with pytest.raises(server_error, match=CRASHED.decode()):
            await connection.call(b"crash").result()
        assert plain(await connection.call(b"greet", {b"name": b"you"}).result()) == b"hello you"


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_calls_run_side_by_side(certificate: Path, kind: str) -> None:
    async with connected(kind, certificate) as connection:
        calls = [
            Deferred.fromCoroutine(connection.call(b"greet", {b"name": b"%d" % number}).result())
            for number in range(20)
        ]
        outcomes = await DeferredList(calls)
    assert outcomes == [(True, b"hello %d" % number) for number in range(20)]


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_an_answer_may_begin_while_the_data_is_sent(certificate: Path, kind: str) -> None:
    sent = list[int]()

    def data() -> Iterator[bytes]:
        for number in range(256):
            sent.append(number)
            yield bytes([number]) * (MIB // 16)

    received = 0
    async with connected(kind, certificate) as connection:
        async for value in connection.call(b"echo", data=data()):
            assert isinstance(value, bytes)
            if not received:
                assert len(sent) < 256
            received += len(value)
    assert received == 16 * MIB


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_slow_caller_slows_the_server_down(certificate: Path, kind: str) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted
    from twisted.internet.task import deferLater  # noqa: PLC0415 beside its use

    assert produced == []
    async with (
        connected(kind, certificate) as connection,
        connected("hgrpc", certificate) as other,
        aclosing(connection.call(b"endless")) as endless_call,
    ):
        iterator = aiter(endless_call)
        await anext(iterator)
        for _ in range(200):
            # While nothing is taken the server has time to run far ahead: it answers others.
            await other.call(b"greet", {b"name": b"you"}).result()
            await deferLater(reactor, 0)
        ahead = sum(produced)
        for _ in range(100):
            await other.call(b"greet", {b"name": b"you"}).result()
        assert sum(produced) == ahead
        assert ahead < 16 * MIB
        for _ in range(64):
            await anext(iterator)
    # The connection is closed at once: the server learns of it and stops the command.
    while produced:
        await deferLater(reactor, 0)


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_slow_command_slows_the_sender_of_its_data_down(
    certificate: Path, kind: str
) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted
    from twisted.internet.task import deferLater  # noqa: PLC0415 beside its use

    sent: list[int] = []

    def data() -> Iterator[bytes]:
        for _ in range(64):
            sent.append(MIB)
            yield bytes(MIB)

    async with (
        connected(kind, certificate) as connection,
        connected("hgrpc", certificate) as other,
    ):
        held[:] = [Deferred()]
        call = connection.call(b"hold", data=data())
        before = -1
        while len(sent) != before:
            before = len(sent)
            for _ in range(100):
                await other.call(b"greet", {b"name": b"you"}).result()
                await deferLater(reactor, 0)
        assert 0 < len(sent) < 32
        held.pop().callback(None)
        assert await call.result() == 64 * MIB


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_the_path_chooses_the_repository(certificate: Path, kind: str) -> None:
    async with connected(kind, certificate, path="/a/b/") as connection:
        assert await connection.call(b"greet", {b"name": b"you"}).result() == b"hello you"


@ensure_deferred
async def test_a_path_where_nothing_is_served_is_an_error(certificate: Path) -> None:
    with pytest.raises(HttpAnswerError, match=r"^HTTP 404"):
        async with connected("http", certificate, path="/nowhere"):
            pass
    async with connected("hgrpc", certificate, path="/nowhere") as connection:
        with pytest.raises(CommandError, match=r"^no repository is served at path /nowhere$"):
            await connection.call(b"greet", {b"name": b"you"}).result()


@ensure_deferred
async def test_a_dialect_without_a_request_map_cannot_name_a_repository(certificate: Path) -> None:
    with pytest.raises(NotOfferedError, match="dialect 0002 cannot name a repository"):
        async with connected("hgrpc", certificate, "0002", path="/a/b"):
            pass


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_the_server_describes_its_commands(certificate: Path, kind: str) -> None:
    async with connected(kind, certificate) as connection:
        description = await connection.describe()
        assert description is not None
        described = description.commands[b"numbers"]
        assert described.arguments == {
            b"count": DescribedArgument(type=ArgumentType.INT, is_required=True)
        }
        assert described.permission is Permission.RO
        assert await connection.describe() is description


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_connection_knows_its_tls_and_whether_it_has_a_session(
    certificate: Path, kind: str
) -> None:
    async with connected(kind, certificate) as connection:
        shown = PEM_cert_to_DER_cert((certificate / "cert.pem").read_text("ascii"))
        if kind.endswith("s"):
            assert connection.tls is not None
            assert connection.tls == Tls(
                version="TLSv1.3", cipher=connection.tls.cipher, certificate=shown
            )
            assert connection.tls.cipher.startswith("TLS_")
        else:
            assert connection.tls is None
        assert connection.has_session is kind.startswith("hgrpc")


@ensure_deferred
async def test_without_types_there_is_no_description(certificate: Path) -> None:
    async with connected("hgrpc", certificate, "0002") as connection:
        assert await connection.describe() is None


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_arguments_that_cannot_be_sent_fail_the_call(certificate: Path, kind: str) -> None:
    async with connected(kind, certificate) as connection:
        call = connection.call(b"greet", {b"name": 1.5})  # type: ignore[arg-type]
        with pytest.raises(Exception, match="the request cannot be sent"):
            await call.result()


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest.mark.parametrize(
    ("command", "arguments", "seconds", "text"),
    [
        ("\ud800", None, None, r"^a name has half of a character: '\\ud800'$"),
        ("greet", {"\ud800": b""}, None, "^a name has half of a character"),
        ("greet", {1: b""}, None, "^a name must be text or bytes, not int$"),
        ("greet", [b"name"], None, "^arguments are given by name, not as list$"),
        ("greet", None, "soon", "^a timeout is a number of seconds, not 'soon'$"),
        ("greet", None, 10**400, "^a timeout is a number of seconds, not 10{49}$"),
        ("greet", None, float("nan"), "^a timeout is a number of seconds, not nan$"),
    ],
    ids=["command", "name", "number", "list", "text", "huge", "nan"],
)
@ensure_deferred
async def test_a_wrong_use_is_raised_where_the_answer_is_taken(
    certificate: Path, kind: str, command: str, arguments: Any, seconds: Any, text: str
) -> None:
    async with connected(kind, certificate) as connection:
        call = connection.call(command, arguments, timeout=seconds)
        with pytest.raises(ClientError, match=text):
            await call.result()


@ensure_deferred
async def test_a_permission_may_be_asked_for() -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    async with listening(factory_of("http", None)) as port:
        connection = await connect(reactor, f"http://localhost:{port}/")
        call = connection.call(b"customreadwrite")
        assert await call.result() == b"customreadwrite bytes response"
        refused = connection.call(b"customreadwrite", permission=Permission.RO)
        with pytest.raises(HttpAnswerError, match=r"^HTTP 403 Forbidden: insufficient permissions"):
            await refused.result()
        await connection.close()


@pytest.mark.parametrize("kind", ["https", "hgrpcs"])
@ensure_deferred
async def test_certificates_are_verified_unless_nobody_cares(certificate: Path, kind: str) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    ours = certificate / "ca.pem"
    factory = factory_of(kind, COMMANDS, certificate=certificate)
    async with listening(factory) as port:
        with pytest.raises(UntrustedError, match="no authority that is trusted vouches for it"):
            await connect(reactor, f"{kind}://localhost:{port}/")
        with pytest.raises(UntrustedError, match="it is for another host"):
            await connect(reactor, f"{kind}://127.0.0.1:{port}/", ClientOptions(authorities=ours))
        for host in ("localhost", "127.0.0.1"):
            careless = ClientOptions(trusts_anybody=True)
            connection = await connect(reactor, f"{kind}://{host}:{port}/", careless)
            assert await connection.call(b"greet", {b"name": b"you"}).result() == b"hello you"
            await connection.close()


@ensure_deferred
async def test_alpn_chooses_the_dialect_of_a_listener(certificate: Path) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    factory = factory_of("hgrpcs", COMMANDS, framings=["0006"], certificate=certificate)
    async with listening(factory) as port:
        options = ClientOptions(dialect=DIALECTS["0002"], trusts_anybody=True)
        connection = await connect(reactor, f"hgrpcs://localhost:{port}/", options)
        call = connection.call(b"greet", {b"name": b"you"})
        assert await call.result() == RawBytes(b"hello you")
        await connection.close()


@pytest.mark.parametrize("kind", KINDS)
@ensure_deferred
async def test_a_closed_connection_is_gone(certificate: Path, kind: str) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted
    from twisted.internet.task import deferLater  # noqa: PLC0415 beside its use

    wrapped = WrappingFactory(factory_of(kind, COMMANDS, certificate=_of(kind, certificate)))
    async with listening(wrapped) as port:
        options = ClientOptions(trusts_anybody=True, dialect=DIALECTS["0006"])
        connection = await connect(reactor, f"{kind}://localhost:{port}/", options)
        assert await connection.call(b"greet", {b"name": b"you"}).result() == b"hello you"
        await connection.close()
        # Over HTTP the answer's own end may come behind the end of its response.
        while wrapped.protocols:
            await deferLater(reactor, 0)


@pytest.mark.parametrize("kind", ["http", "https"])
@ensure_deferred
async def test_a_refusal_may_come_while_the_data_is_sent(certificate: Path, kind: str) -> None:
    with capturedLogs() as logged:
        async with connected(kind, certificate) as connection:
            for _ in range(2):
                with pytest.raises(HttpAnswerError, match=r"^HTTP 404 Not Found: unknown wire"):
                    await connection.call(b"nosuch", data=[bytes(MIB)] * 20).result()
            call = connection.call(b"greet", {b"name": b"you"})
            assert await call.result() == b"hello you"
    assert failures(logged) == []
