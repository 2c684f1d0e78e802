"""Wiring a configuration to running listeners: the only place where objects are joined."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.accounts.make import make_authenticator
from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.registry import (
    CommandLoadError,
    Registry,
    load_commands,
    load_installed_commands,
    marked_commands,
)
from wiredaemon.daemon.auth_config import accounts_error
from wiredaemon.daemon.example import example_clone, example_command
from wiredaemon.daemon.stopping import LAST_SECONDS, end_in_time, handle_impatience
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.redirects import Redirects
from wiredaemon.net.framed.protocol import FramedFactory
from wiredaemon.net.guard.accepting import Accepting
from wiredaemon.net.guard.draining import Draining
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.host import CommandsOnly, HostedRepository
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.hosting.recovery_gate import recover_all, transactions_of
from wiredaemon.net.http.application import Application, apis_of
from wiredaemon.net.http.identification import Identification
from wiredaemon.net.logins import Logins
from wiredaemon.net.site.site import make_site
from wiredaemon.net.tls import TlsError, over_tls, server_options
from wiredaemon.net.workers.memory_watch import MemoryWatch
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.repository import data_declarations, declarations
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory
    from twisted.python.failure import Failure

    from wiredaemon.daemon.config import Config, Framed

_log: Final = Logger()
_T = TypeVar("_T")

_SCHEMES: Final = {
    "http": "http",
    "https": "https",
    "framed": "hgrpc",
    "framed_tls": "hgrpcs",
}
"""The URL scheme of each kind of listener."""


class Listener(NamedTuple):
    """A listener to open: its kind, its endpoint string and its factory."""

    kind: str
    endpoint: str
    factory: IProtocolFactory
    dialect: str = "0006"
    """The dialect of a raw listener."""


class StartError(Exception):
    """The daemon cannot start.

    Not a SystemExit: twistd reports only an Exception to its parent process, which waits for it.
    """


class WireDaemonService(Service):
    """The daemon: listeners, hosts and workers.

    Nothing is opened or started before the service is.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        *,
        is_main: bool = False,
    ) -> None:
        """Make the objects that the configuration names.

        Args:
            config: What is to be served.
            reactor: Provides threads, delayed calls and ports.
            is_main: The process is this daemon's own, and may be ended by it.

        Raises:
            ConfigurationError: Commands cannot be loaded or the certificate cannot be used.
        """
        self._config = config
        self._reactor = reactor
        self._is_main = is_main
        proxies = config.proxy
        self._guard = ConnectionGuard(
            reactor,
            config.limits,
            is_exempt=(lambda _: False) if proxies is None else proxies.trusts,
        )
        self._pool = WorkerPool(reactor, config.limits)
        self._memory = MemoryWatch(reactor)
        self._cache = self._make_cache()
        self._hosts = self._make_hosts()
        self._logins = self._make_logins()
        self._listeners = self._make_listeners()
        self._ports: list[IListeningPort] = []
        self._accepting = Accepting(reactor)

    # --- joining -----------------------------------------------------------------------------

    def _make_hosts(self) -> HostLookup:
        config = self._config
        try:
            commands = [
                *marked_commands(capabilities_module),
                *load_commands(map(str, config.commands.load)),
                *load_installed_commands(),
            ]
            # Two registries: a daemon without repositories must not describe commands that it
            # cannot run.
            commands_only = Registry(commands)
            with_repository = Registry(
                # The project's own in front: a user's command of the same name is reported as
                # declared twice, by both names.
                [*marked_commands(declarations), *marked_commands(data_declarations), *commands]
            )
        except CommandLoadError as error:
            raise ConfigurationError(
                config.file, "commands.load", str(error), "modules and files that mark commands"
            ) from error
        if not config.paths:
            return HostLookup({"/": CommandsOnly(commands_only, config.api.switches, config.web)})

        def make_host(path: bytes) -> HostedRepository:
            return HostedRepository(
                path,
                registry=with_repository,
                switches=config.api.switches,
                access=config.web,
                pool=self._pool,
                cache=self._cache,
            )

        return HostLookup(
            {prefix: make_host(os.fsencode(path)) for prefix, path in config.repositories.items()},
            config.collections,
            make_host=make_host,
            call_in_thread=self._call_in_thread,
            limits=config.limits,
        )

    def _make_cache(self) -> ResponseCache | None:
        config = self._config
        if not config.limits.cache_size or not config.paths:
            return None
        folder = config.data.folder / "cache"
        redirects = None
        if config.redirect.targets:
            redirects = Redirects(
                config.redirect.targets, folder, config.limits, self._reactor, time.time
            )
        return ResponseCache(folder, config.limits, self._reactor, redirects)

    def _make_logins(self) -> Logins | None:
        """Return the logins; None where nobody can log in, which costs no request anything."""
        config, auth = self._config, self._config.auth
        if not (auth.htpasswd or auth.tokens or config.proxy or config.tls.client_ca):
            return None
        try:
            authenticator = make_authenticator(auth, config.limits, self._reactor)
        except AccountsFileError as error:
            raise accounts_error(error, auth, config.file) from error
        return Logins(
            authenticator,
            # Who lets others write over plain connections trusts them with passwords too.
            plain_passwords=not config.web.push_ssl,
            certificate_user=auth.certificate_user,
        )

    def _call_in_thread(self, call: Callable[..., _T], *arguments: Any) -> Deferred[_T]:  # noqa: ANN401 as the call's
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *arguments)

    def _over_tls(
        self, factory: IProtocolFactory, protocols: Sequence[bytes] = ()
    ) -> IProtocolFactory:
        """Return a factory that speaks TLS in front of another one.

        Each has TLS options of its own, because ALPN's choices are kept in them.
        """
        tls = self._config.tls
        if tls.certificate is None or tls.private_key is None:
            message = "there is no certificate"
            raise StartError(message)
        try:
            options = server_options(
                tls.certificate, tls.private_key, protocols, client_authorities=tls.client_ca
            )
            return over_tls(factory, options)
        except TlsError as error:
            raise ConfigurationError(
                self._config.file, "tls", str(error), "a PEM certificate and its private key"
            ) from error

    def _make_site(self) -> IProtocolFactory:
        config, identification = self._config, None
        if self._logins is not None:
            identification = Identification(
                self._logins, realm=config.auth.realm, proxies=config.proxy
            )
        application = Application(
            apis=apis_of(config.api.framings),
            limits=config.limits,
            reactor=self._reactor,
            keeps_log=config.log.requests,
            identification=identification,
            guard=self._guard,
        )
        return make_site(application, self._hosts)

    # --- running -----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened.

        Raises:
            StartError: A listener cannot be opened.
        """
        super().privilegedStartService()
        failures: list[Failure] = []
        opening: Deferred[None] = self._open_all()
        # All of `_open_all` is done when the call returns, for TCP and Unix endpoints listen at
        # once.
        opening.addErrback(failures.append)
        if failures:
            raise StartError(failures[0].getErrorMessage()) from failures[0].value

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        self._memory.start()
        if self._cache is not None:
            self._cache.start()
        if self._config.paths:
            # Not in `__init__`: twistd forks and changes its user behind that, and workers are
            # children of the process that serves.
            self._pool.start()
            self._recover()
        for folder in self._hosts.missing_folders():
            _log.warn(
                "the folder {folder} is missing; its repositories are served when it is there",
                folder=folder,
            )

    def _recover(self) -> None:
        """Roll back the transactions that killed processes left in repositories."""
        found = self._call_in_thread(lambda: transactions_of(self._hosts.iter_repositories()))
        found.addCallback(lambda paths: Deferred.fromCoroutine(recover_all(paths, self._pool)))
        found.addErrback(lambda failure: _log.failure("repositories were not looked at", failure))

    def _make_listeners(self) -> list[Listener]:
        listen = self._config.listen
        site = self._make_site()
        listeners = [Listener("http", endpoint, site) for endpoint in listen.http]
        if listen.https:
            secure = self._over_tls(site)
            listeners += [Listener("https", endpoint, secure) for endpoint in listen.https]
        for framed in listen.framed:
            plain = self._make_framed(framed)
            listeners.append(Listener("framed", framed.endpoint, plain, framed.dialect))
        for framed in listen.framed_tls:
            made = self._make_framed(framed)
            secure = self._over_tls(made, made.media_types)
            listeners.append(Listener("framed_tls", framed.endpoint, secure, framed.dialect))
        return listeners

    def _make_framed(self, framed: Framed) -> FramedFactory:
        return FramedFactory(
            self._hosts,
            DIALECTS[framed.dialect],
            reactor=self._reactor,
            limits=self._config.limits,
            logins=self._logins,
            guard=self._guard,
        )

    @inlineCallbacks
    def _open_all(self) -> Generator[Deferred[Any], Any, None]:
        # One after the other, so that the log has them in the order of the configuration.
        for listener in self._listeners:
            yield self._open(listener)
        _log.info("wiredaemon is ready")

    @inlineCallbacks
    def _open(self, listener: Listener) -> Generator[Deferred[Any], Any, None]:
        name = listener.kind
        try:
            port = yield serverFromString(self._reactor, listener.endpoint).listen(listener.factory)
        except Exception as error:
            message = f"cannot listen on {listener.endpoint} ({name}): {error}"
            raise StartError(message) from error
        self._ports.append(port)
        self._accepting.watch(port)
        address = port.getHost()
        host, number = getattr(address, "host", None), getattr(address, "port", None)
        scheme = _SCHEMES[name]
        if host is None:
            path = getattr(address, "name", address)
            where = f"{scheme}+unix:{os.fsdecode(path) if isinstance(path, bytes) else path}"
        else:
            where = f"{scheme}://{f'[{host}]' if ':' in host else host}:{number}/"
        _log.info("{name} listening on {where}", name=name, where=where)
        if host is not None:
            example = example_command(self._config, where, listener.dialect)
            _log.info("  try: {example}", example=example)
            clone = example_clone(self._config, where)
            if clone is not None:
                _log.info("  or:  {example}", example=clone)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Close the listeners, let requests end or abort them, and end the workers."""
        super().stopService()
        self._memory.stop()
        seconds = self._config.server.drain_seconds
        draining = Draining(self._guard, self._reactor, seconds)
        if self._is_main:
            handle_impatience(self._reactor, draining.abort)
            end_in_time(seconds + LAST_SECONDS)
        ports, self._ports = self._ports, []
        closing = [port.stopListening() for port in ports]
        yield DeferredList(
            [each for each in closing if isinstance(each, Deferred)], consumeErrors=True
        )
        if self._guard.connections():
            _log.info(
                "stopping: {count} connections have {seconds:g} s to end",
                count=len(self._guard.connections()),
                seconds=seconds,
            )
        yield draining.begin()
        ending = [self._pool.stop(), *([] if self._cache is None else [self._cache.stop()])]
        yield DeferredList(ending, consumeErrors=True)
