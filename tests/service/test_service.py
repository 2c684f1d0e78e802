"""A service: its commands, what they see, and the ways in which it is served."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.embedding import calling, mounted, reactor
from support.responding import ensure_deferred
from support.serving import write_certificate
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from wiredaemon import (
    Argument,
    ArgumentType,
    Certificate,
    CommandError,
    Limits,
    Permission,
    Service,
    command,
)
from wiredaemon.commands.registry import CommandLoadError
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = {"name": Argument(type=ArgumentType.TEXT)}
LOOPBACK = "tcp:0:interface=127.0.0.1"


class Counter:
    """Counts, for whoever calls it."""

    def __init__(self) -> None:
        self.count = 0

    @command("count", permission=Permission.RO)
    def read(self, context: Any) -> int:  # noqa: ARG002 every command is given its context
        """Return the count."""
        return self.count

    @command(
        "add", permission=Permission.RW, arguments={"n": Argument(type=ArgumentType.INT, default=1)}
    )
    async def add(self, context: Any, n: int) -> int:
        """Add to the count."""
        later: Deferred[None] = Deferred()
        context.reactor.callLater(0, later.callback, None)
        await later
        self.count += n
        return self.count


def greeting(**options: Any) -> Service:
    """A service with one command of each kind."""
    service = Service("the state", **options)

    @service.command("greet", permission=Permission.RO, arguments=NAME)
    def greet(context: Any, name: str) -> str:
        """Greet somebody."""
        return f"hello {name} from {context.state}"

    @service.command("blocking", permission=Permission.RO, is_blocking=True)
    def blocking(context: Any) -> Iterator[bytes]:
        yield context.state.encode()
        yield b"reactor" if context.reactor is reactor() else b"none"

    @service.command("who", permission=Permission.RO)
    def who(context: Any) -> list[Any]:
        peer = context.peer
        return [peer.user, sorted(peer.groups), peer.is_secure, context.permission.value]

    return service


def names(service: Service) -> list[str]:
    return [known.name for known in service.registry.exposed(DIALECTS["0006"])]


# --- commands --------------------------------------------------------------------------------


def test_functions_and_the_methods_of_objects_are_commands() -> None:
    service = greeting()
    service.add_object(Counter())
    assert names(service) == ["capabilities", "greet", "blocking", "who", "count", "add"]


def test_a_bound_method_is_a_command_under_any_name() -> None:
    class Plain:
        def greet(self, context: object) -> bytes:  # noqa: ARG002 as above
            return b"plain"

    service, counter = Service(), Counter()
    service.command("greet", permission=Permission.RO)(Plain().greet)
    service.add(counter.read)
    assert names(service) == ["capabilities", "greet", "count"]


def test_a_marked_function_can_be_added() -> None:
    @command("one", permission=Permission.RO)
    def one(context: object) -> int:  # noqa: ARG001 as above
        return 1

    service = Service()
    service.add(one)
    service.add(one)
    assert names(service) == ["capabilities", "one"]


def test_what_is_not_marked_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match=r"greeting is not marked with @command"):
        Service().add(greeting)
    with pytest.raises(TypeError, match="object has no method that is marked with @command"):
        Service().add_object(object())


def test_a_method_without_its_object_is_refused() -> None:
    with pytest.raises(CommandLoadError, match="count is a method: it needs an object"):
        Service().add(Counter.read)


def test_a_name_that_is_taken_is_refused_and_nothing_of_the_object_is_added() -> None:
    service = Service()
    service.command("add", permission=Permission.RO)(lambda context: context)
    with pytest.raises(CommandLoadError, match="command add is declared twice"):
        service.add_object(Counter())
    assert names(service) == ["capabilities", "add"]


@pytest.mark.parametrize("name", ["capabilities", "login"])
def test_the_names_of_the_protocol_are_taken(name: str) -> None:
    with pytest.raises((CommandLoadError, TypeError)):
        Service().command(name, permission=Permission.RO)(lambda context: context)


def test_a_wrong_declaration_is_refused_where_it_stands() -> None:
    with pytest.raises(TypeError, match="there is no argument to declare"):
        Service().command("a", permission=Permission.RO, argument={})(lambda context: context)
    with pytest.raises(TypeError, match="does not fit its arguments"):
        Service().command("a", permission=Permission.RO, arguments=NAME)(lambda context: context)


def test_nothing_of_mercurial_nor_of_the_daemon_is_imported() -> None:
    program = """
import sys
from wiredaemon import Permission, Service
service = Service()
service.command("a", permission=Permission.RO)(lambda context: 1)
service.resource()
loaded = {name.partition(".")[0] for name in sys.modules}
assert "mercurial" not in loaded
assert not [name for name in sys.modules if name.startswith("wiredaemon.daemon")]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_service_imports_no_reactor_before_it_serves() -> None:
    program = """
import sys
from wiredaemon import Service
service = Service()
assert "twisted.internet.reactor" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- serving ---------------------------------------------------------------------------------


@ensure_deferred
async def test_commands_are_called_over_raw_connections_and_see_state_and_reactor() -> None:
    service = greeting()
    listener = await service.listen(LOOPBACK)
    try:
        async with calling(listener.url) as connection:
            assert await connection.call(b"greet", {b"name": "ö"}).result() == (
                "hello ö from the state".encode()
            )
            objects = [one async for one in connection.call(b"blocking")]
            assert objects == [b"the state", b"reactor"]
    finally:
        await service.stop()


@ensure_deferred
async def test_commands_are_called_over_http_of_our_own() -> None:
    service = greeting()
    listener = await service.listen_http(LOOPBACK)
    async with calling(listener.url) as connection:
        found = await connection.call(b"greet", {b"name": b"ann"}).result()
        assert found == b"hello ann from the state"
    await service.stop()


@ensure_deferred
async def test_docstrings_are_help_in_the_description() -> None:
    service = greeting()
    async with mounted(service) as url, calling(url) as connection:
        described: Any = await connection.call(b"capabilities").result()
    assert described[b"commands"][b"greet"][b"help"] == b"Greet somebody."
    assert b"help" not in described[b"commands"][b"who"]


@ensure_deferred
async def test_tls_has_the_dialects_in_its_handshake(tmp_path: Path) -> None:
    folder = write_certificate(tmp_path, "127.0.0.1")
    own = Certificate(certificate=folder / "cert.pem", private_key=folder / "key.pem")
    service = greeting()
    raw = await service.listen(LOOPBACK, certificate=own, dialect="0003")
    web = await service.listen_http(LOOPBACK, certificate=own)
    for listener, scheme in ((raw, "hgrpcs"), (web, "https")):
        assert listener.url.startswith(f"{scheme}://127.0.0.1:")
        async with calling(listener.url, authorities=folder / "ca.pem") as connection:
            assert connection.dialect is DIALECTS["0006"]
            assert await connection.call(b"who").result() == [None, [], True, b"ro"]
    await service.stop()


# Twisted's own endpoint gives pyOpenSSL what that no longer likes.
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@ensure_deferred
async def test_a_tls_endpoint_of_twisted_serves_as_well(tmp_path: Path) -> None:
    folder = write_certificate(tmp_path, "127.0.0.1")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    service = greeting()
    listener = await service.listen(
        f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    )
    assert listener.url.startswith("hgrpcs://")
    async with calling(listener.url, authorities=folder / "ca.pem") as connection:
        assert await connection.call(b"who").result() == [None, [], True, b"ro"]
    await service.stop()


@ensure_deferred
async def test_a_factory_serves_an_endpoint_of_the_program() -> None:
    service = greeting()
    factory: Any = service.framed_factory("0005")
    port = reactor().listenTCP(0, factory, interface="127.0.0.1")
    url = f"hgrpc://127.0.0.1:{port.getHost().port}/"
    async with calling(url, dialect=DIALECTS["0005"]) as connection:
        assert await connection.call(b"greet", {b"name": b"a"}).result() == (
            b"hello a from the state"
        )
    await port.stopListening()
    await service.stop()


@ensure_deferred
async def test_a_resource_may_be_the_root_of_its_site() -> None:
    service = greeting()
    port = reactor().listenTCP(0, Site(service.resource()), interface="127.0.0.1")
    async with calling(f"http://127.0.0.1:{port.getHost().port}/") as connection:
        assert await connection.call(b"greet", {b"name": b"a"}).result() == (
            b"hello a from the state"
        )
    await service.stop()
    await port.stopListening()


@pytest.mark.parametrize("name", ["two words", "100%s", "a?b#c&d", "a+b;c", "%2F", "~"])
@ensure_deferred
async def test_every_name_that_is_accepted_can_be_called_over_every_transport(name: str) -> None:
    service = Service()
    arguments = {name: Argument(type=ArgumentType.BYTES)}

    @service.command(name, permission=Permission.RO, arguments=arguments)
    def named(_context: Any, **given: Any) -> Any:
        return given

    raw, web = await service.listen(LOOPBACK), await service.listen_http(LOOPBACK)
    async with mounted(service) as site:
        for url in (raw.url, web.url, site):
            async with calling(url) as connection:
                called = connection.call(name.encode(), {name.encode(): b"x"})
                assert await called.result() == {name.encode(): b"x"}


def test_an_unknown_dialect_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no dialect '0007'; there are: 0002, 0003, 0004, "):
        Service(reactor=reactor()).framed_factory("0007")


@ensure_deferred
async def test_limits_are_those_of_the_service() -> None:
    service = greeting(limits=Limits(request_size=100))
    listener = await service.listen(LOOPBACK)
    async with calling(listener.url) as connection:
        with pytest.raises(Exception, match="request_size"):
            await connection.call(b"greet", {b"name": b"a" * 200}).result()
    await service.stop()


# --- rights ----------------------------------------------------------------------------------


@ensure_deferred
async def test_writing_needs_tls_unless_the_program_allows_it_without() -> None:
    for allow_plain in (False, True):
        service = Service(allow_plain=allow_plain)
        service.add_object(Counter())
        raw = await service.listen(LOOPBACK)
        web = await service.listen_http(LOOPBACK)
        async with mounted(service) as url:
            for place in (raw.url, web.url, url):
                async with calling(place) as connection:
                    assert await connection.call(b"count").result() in {0, 2, 4}
                    called = connection.call(b"add", {b"n": 2})
                    if allow_plain:
                        assert await called.result() in {2, 4, 6}
                    else:
                        with pytest.raises(Exception, match="ssl required"):
                            await called.result()


@ensure_deferred
async def test_readers_and_writers_are_lists_of_users_and_groups() -> None:
    from wiredaemon import Login  # noqa: PLC0415 as a program would

    users = {"ann": Login(user="ann", groups=frozenset({"devs"})), "bob": "bob"}

    def authenticate(user: str, password: bytes) -> Any:
        return users.get(user) if password == b"secret" else None

    service = Service(
        authenticate=authenticate, readers=["ann", "bob"], writers=["@devs"], allow_plain=True
    )
    service.add_object(Counter())
    listener = await service.listen(LOOPBACK)
    where = listener.url.removeprefix("hgrpc://")
    async with calling(f"hgrpc://ann:secret@{where}") as connection:
        assert await connection.call(b"add").result() == 1
    async with calling(f"hgrpc://bob:secret@{where}") as connection:
        assert await connection.call(b"count").result() == 1
        with pytest.raises(CommandError, match="push not authorized"):
            await connection.call(b"add").result()
    async with calling(listener.url) as connection:
        with pytest.raises(CommandError, match="read not authorized"):
            await connection.call(b"count").result()
    await service.stop()
