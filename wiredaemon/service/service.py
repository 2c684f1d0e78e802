"""The public face of embedding: commands, and the ways in which they are served.

Owns which commands there are, and what was opened for them. It reads no configuration, makes no
files, starts no process, and nothing of it belongs to a repository.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.declaration import MARK, Command, declare, is_marked
from wiredaemon.commands.registry import Registry, marked_commands, marked_methods
from wiredaemon.net.endpoints import server_endpoint
from wiredaemon.net.framed.raw_login import LOGIN
from wiredaemon.net.guard.accepting import Accepting
from wiredaemon.net.guard.draining import Draining
from wiredaemon.net.hosting.access import ApiSwitches
from wiredaemon.net.tls import over_tls, server_options
from wiredaemon.service.listener import DRAIN_SECONDS, Listener, OwnConnections
from wiredaemon.service.options import access_of
from wiredaemon.service.serving import Serving
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twisted.internet.interfaces import IProtocolFactory
    from twisted.web.resource import IResource

    from wiredaemon.accounts.called_authenticator import CheckPassword, CheckToken
    from wiredaemon.commands import Permission
    from wiredaemon.net.framed.factory import FramedFactory
    from wiredaemon.service.options import Certificate

_Function = TypeVar("_Function", bound="Callable[..., Any]")


class Service:
    """Commands of a program, served over any number of transports.

    Args:
        state: Whatever commands need of the program; they find it as ``context.state``.
        reactor: The program's reactor; None takes the one that is installed when it is needed.
        authenticate: Is called with the user's name (``str``) and password (``bytes``). It returns
            the user's name, a `Login` with groups, or None where they are wrong; or an awaitable of
            that. None: nobody has a password.
        authenticate_token: The same for tokens (``bytes``), HTTP's Bearer scheme.
        limits: Bounds what peers make the program hold.
        readers: The users and ``@groups`` who may call what needs ``Permission.RO``; ``["*"]`` is
            everybody. None is everybody too, or everybody who has logged in where there are
            logins.
        writers: The same for ``Permission.RW``; they must be readers, too.
        allow_plain: Calls that need ``Permission.RW``, and passwords, may come over connections
            without TLS. Unix sockets need none, and passwords none on loopback.
        realm: What clients show where they ask for a password.
        json: Commands can be called with JSON, too, below ``json``, by `resource` and
            `listen_http`.

    Raises:
        TypeError: ``readers`` or ``writers`` are no lists of texts, ``limits`` are no `Limits`, or
            a check of logins cannot be called.
    """

    def __init__(  # noqa: PLR0913 all that a program may say
        self,
        state: object = None,
        *,
        reactor: Any = None,  # noqa: ANN401 zope interfaces do not intersect
        authenticate: CheckPassword | None = None,
        authenticate_token: CheckToken | None = None,
        limits: Limits | None = None,
        readers: Iterable[str] | None = None,
        writers: Iterable[str] | None = None,
        allow_plain: bool = False,
        realm: str = "wiredaemon",
        json: bool = False,
    ) -> None:
        if not isinstance(limits, Limits | None):
            raise TypeError(f"limits are Limits, not {limits!r:.50}")
        for check in (authenticate, authenticate_token):
            if not (check is None or callable(check)):
                raise TypeError(f"logins are checked by a function, not {check!r:.50}")
        self.state = state
        self.limits = limits or Limits()
        self._reactor = reactor
        self._checks = authenticate, authenticate_token
        self._realm = realm
        self._json = json
        self.access = access_of(
            readers,
            writers,
            has_logins=authenticate is not None or authenticate_token is not None,
            allow_plain=allow_plain,
        )
        self.registry = Registry(marked_commands(capabilities_module))
        self._commands: list[Command] = []
        self._made: Serving | None = None
        self._accepting: Accepting | None = None
        self._listeners: list[Listener] = []

    # --- commands ----------------------------------------------------------------------------

    def command(
        self,
        name: str,
        *,
        permission: Permission,
        **declared: Any,  # noqa: ANN401 the fields of Command, with their own types
    ) -> Callable[[_Function], _Function]:
        """Declare a function, or a bound method, as a command of this service.

        Args:
            name: The name on the wire.
            permission: The permission that callers need.
            declared: Further fields of `wiredaemon.commands.Command`, ``arguments`` for instance.

        Raises:
            TypeError: The declaration does not fit the function.
            CommandLoadError: The name is taken.
        """
        module = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 no other way

        def add(function: _Function) -> _Function:
            # A bound method has the name of its class, and its object: nothing is missing.
            self._add([declare(name, permission, function, module, declared)])
            return function

        return add

    def add(self, function: Callable[..., Any] | Command) -> None:
        """Add a function, or a bound method, that `wiredaemon.commands.command` marks.

        Raises:
            TypeError: It is not marked.
            CommandLoadError: The name is taken, or it is a method without its object.
        """
        self._add([function if isinstance(function, Command) else _command_of(function)])

    def add_object(self, owner: object) -> None:
        """Add all methods of an object that `wiredaemon.commands.command` marks in its class.

        Raises:
            TypeError: There is none, or one does not fit its declaration.
            CommandLoadError: A name is taken; then none was added.
        """
        found = marked_methods(owner)
        if not found:
            kind = type(owner).__name__
            raise TypeError(f"{kind} has no method that is marked with @command")
        self._add(found)

    def _add(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command.name == LOGIN.decode():
                raise TypeError("login is what clients log in with on raw connections")
        added = [command.with_help() for command in commands]
        # All of them, before one is registered.
        Registry([*marked_commands(capabilities_module), *self._commands, *added])
        for command in added:
            self.registry.register(command)
        self._commands += added

    # --- serving -----------------------------------------------------------------------------

    @property
    def serving(self) -> Serving:
        """The objects that serve; made at the first use, with the reactor of then."""
        if self._made is None:
            if self._reactor is None:
                from twisted.internet import reactor  # noqa: PLC0415 the program's own choice

                self._reactor = reactor
            check_password, check_token = self._checks
            self._made = Serving(
                reactor=self._reactor,
                limits=self.limits,
                registry=self.registry,
                state=self.state,
                access=self.access,
                check_password=check_password,
                check_token=check_token,
                realm=self._realm,
                switches=ApiSwitches(json=self._json),
            )
        return self._made

    def resource(self) -> IResource:
        """Return a resource for any path of any ``twisted.web`` site.

        With ``root.putChild(b"rpc", service.resource())`` the URL for clients is ``.../rpc``.
        """
        return self.serving.resource()

    def framed_factory(self, dialect: str = "0006") -> FramedFactory:
        """Return a factory of raw connections, for an endpoint of the program's own.

        Args:
            dialect: What is spoken where TLS negotiates no other dialect.

        Raises:
            ValueError: There is no such dialect.
        """
        return self.serving.framed_factory(dialect)

    async def listen(
        self, endpoint: str, *, certificate: Certificate | None = None, dialect: str = "0006"
    ) -> Listener:
        """Listen for raw connections.

        Args:
            endpoint: A server endpoint string of Twisted.
            certificate: For TLS 1.2 and 1.3 with ALPN; None for what the endpoint itself does.
            dialect: What is spoken where TLS negotiates no other dialect.

        Raises:
            EndpointError: The string describes no endpoint.
            TlsError: The certificate cannot be used.
            ValueError: There is no such dialect.
            twisted.internet.error.CannotListenError: The port cannot be opened.
        """
        factory = self.framed_factory(dialect)
        return await self._listen(endpoint, factory, "hgrpc", certificate, factory.media_types)

    async def listen_http(
        self, endpoint: str, *, certificate: Certificate | None = None
    ) -> Listener:
        """Listen for HTTP, with a connection class of our own that streams bodies.

        Args:
            endpoint: A server endpoint string of Twisted.
            certificate: For HTTPS; None for what the endpoint itself does.

        Raises:
            EndpointError: The string describes no endpoint.
            TlsError: The certificate cannot be used.
            twisted.internet.error.CannotListenError: The port cannot be opened.
        """
        return await self._listen(
            endpoint, self.serving.site(), "http", certificate, (b"http/1.1",)
        )

    async def _listen(
        self,
        endpoint: str,
        factory: IProtocolFactory,
        scheme: str,
        certificate: Certificate | None,
        protocols: Sequence[bytes],
    ) -> Listener:
        serving = self.serving
        own = OwnConnections(factory, serving.guard, protocols)
        secured: Any = own
        if certificate is not None:
            options = server_options(
                certificate.certificate,
                certificate.private_key,
                protocols,
                client_authorities=certificate.client_ca,
            )
            secured = over_tls(own, options)
        port = await server_endpoint(serving.reactor, endpoint).listen(secured)
        if self._accepting is None:
            self._accepting = Accepting(serving.reactor)
        self._accepting.watch(port)
        is_tls = certificate is not None or endpoint.startswith("ssl:")
        listener = Listener(port, own, scheme=scheme + "s" * is_tls, reactor=serving.reactor)
        self._listeners = [each for each in self._listeners if not each.is_stopped]
        self._listeners.append(listener)
        return listener

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Stop all that this service has opened, and let requests end.

        Resources answer that the server is stopping from now on, and connections of
        `framed_factory` are closed as well.

        Args:
            seconds: The time that answers have; connections that are left then are aborted.
        """
        if self._made is None:
            return
        serving = self._made
        serving.refuse()
        for listener in self._listeners:
            await listener.close()
        self._listeners.clear()
        await Draining(serving.guard, serving.reactor, seconds).begin()
        serving.stop()
        if self._accepting is not None:
            self._accepting.stop()


def _command_of(function: Callable[..., Any]) -> Command:
    """Return the command that a function, or the function of a bound method, is marked as.

    Raises:
        TypeError: It is not marked, or what is marked is inside of it.
    """
    plain = function.__func__ if inspect.ismethod(function) else function
    mark = inspect.getattr_static(plain, MARK, None)
    if not is_marked(mark, plain):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is not marked with @command; or use Service.command")
    return mark.bound(function) if plain is not function else mark
