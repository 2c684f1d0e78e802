"""Wiring: from a configuration to running listeners. The only place where objects are joined."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.registry import (
    CommandLoadError,
    Registry,
    load_commands,
    load_installed_commands,
    marked_commands,
)
from wiredaemon.daemon.config import Config, ConfigurationError
from wiredaemon.daemon.example import example_command
from wiredaemon.net.hosting import CommandsOnly, HostedRepository
from wiredaemon.net.http.site import make_site
from wiredaemon.net.http.tree import Application
from wiredaemon.net.rules import Api
from wiredaemon.net.tls import TlsError, over_tls, server_options
from wiredaemon.net.worker_pool import WorkerPool
from wiredaemon.repository import declarations
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Generator

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory
    from twisted.python.failure import Failure

    from wiredaemon.net.hosting import Host

_log: Final = Logger()


class StartError(Exception):
    """The daemon cannot start.

    Not a SystemExit: twistd tells its parent process, which waits for it, only of an Exception.
    """


class WireDaemonService(Service):
    """The daemon: listeners, hosts and workers.

    Nothing is opened or started before the service is.
    """

    def __init__(self, config: Config, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Join what the configuration names.

        Raises:
            ConfigurationError: Commands cannot be loaded or the certificate cannot be used.
        """
        self._config = config
        self._reactor = reactor
        self._pool = WorkerPool(reactor, config.limits)
        self._hosts = self._make_hosts()
        self._tls = self._make_tls()
        self._ports: list[IListeningPort] = []

    # --- joining -----------------------------------------------------------------------------

    def _make_hosts(self) -> dict[str, Host]:
        config = self._config
        try:
            commands = [
                *marked_commands(capabilities_module),
                *load_commands(map(str, config.commands.load)),
                *load_installed_commands(),
            ]
            commands_only = Registry(commands)
            with_repository = Registry([*marked_commands(declarations), *commands])
        except CommandLoadError as error:
            raise ConfigurationError(
                config.file, "commands.load", str(error), "modules and files that mark commands"
            ) from error
        if not config.paths:
            return {"/": CommandsOnly(commands_only, config.api.switches, config.web)}
        return {
            prefix: HostedRepository(
                os.fsencode(path),
                registry=with_repository,
                switches=config.api.switches,
                access=config.web,
                pool=self._pool,
            )
            for prefix, path in config.paths.items()
        }

    def _make_tls(self) -> Any:  # noqa: ANN401 CertificateOptions is not annotated
        tls = self._config.tls
        if not self._config.listen.https or tls.certificate is None or tls.private_key is None:
            return None
        try:
            return server_options(tls.certificate, tls.private_key)
        except TlsError as error:
            raise ConfigurationError(
                self._config.file, "tls", str(error), "a PEM certificate and its private key"
            ) from error

    def _make_site(self) -> IProtocolFactory:
        apis = [
            Api(name=name.encode(), framings=[DIALECTS[framing] for framing in framings])
            for name, framings in self._config.api.framings.items()
            if framings
        ]
        application = Application(apis=apis, limits=self._config.limits, reactor=self._reactor)
        return make_site(application, self._hosts)

    # --- running -----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened.

        Raises:
            StartError: One cannot be opened.
        """
        super().privilegedStartService()
        failures: list[Failure] = []
        opening: Deferred[None] = self._open_all()
        opening.addErrback(failures.append)
        if failures:
            raise StartError(failures[0].getErrorMessage()) from failures[0].value

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        if self._config.paths:
            self._pool.start()

    @inlineCallbacks
    def _open_all(self) -> Generator[Deferred[Any], Any, None]:
        site = self._make_site()
        for endpoint in self._config.listen.http:
            yield self._open("http", endpoint, site)
        if self._config.listen.https:
            secure = over_tls(site, self._tls)
            for endpoint in self._config.listen.https:
                yield self._open("https", endpoint, secure)
        _log.info("wiredaemon is ready")

    @inlineCallbacks
    def _open(
        self, name: str, endpoint: str, factory: IProtocolFactory
    ) -> Generator[Deferred[Any], Any, None]:
        try:
            port = yield serverFromString(self._reactor, endpoint).listen(factory)
        except Exception as error:
            message = f"cannot listen on {endpoint} ({name}): {error}"
            raise StartError(message) from error
        self._ports.append(port)
        address = port.getHost()
        host, number = getattr(address, "host", None), getattr(address, "port", None)
        if host is None:
            where = f"{name}+unix:{getattr(address, 'name', address)}"
        else:
            where = f"{name}://{f'[{host}]' if ':' in host else host}:{number}/"
        _log.info("{name} listening on {where}", name=name, where=where)
        if host is not None:
            _log.info("  try: {example}", example=example_command(self._config, where))

    def stopService(self) -> Deferred[None]:
        """Close the listeners and end the workers."""
        super().stopService()
        ports, self._ports = self._ports, []
        closing = [port.stopListening() for port in ports]
        done = DeferredList(
            [each for each in closing if isinstance(each, Deferred)] + [self._pool.stop()],
            consumeErrors=True,
        )
        return done.addCallback(lambda _: None)
