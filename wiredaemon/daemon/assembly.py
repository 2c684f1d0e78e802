"""Wiring a configuration to listeners: the only place where objects are joined.

Nothing is opened, started or made on disk here. An `Assembly` is one configuration's objects; what
outlives a reload of the configuration is `Kept` apart from them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from twisted.internet.threads import deferToThreadPool

from wiredaemon.daemon.kept import knows_users
from wiredaemon.daemon.listening import ADMIN
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.admin.figures import Figures
from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.hgweb.static_files import StaticFiles
from wiredaemon.net.hosting.collection import names_of
from wiredaemon.net.hosting.host import CommandsOnly, HostedRepository
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application, apis_of
from wiredaemon.net.http.identification import Identification
from wiredaemon.net.http.public_urls import PublicUrls
from wiredaemon.net.logins import Logins
from wiredaemon.net.site.site import make_site
from wiredaemon.net.tls import TlsError, over_tls, server_options
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory

    from wiredaemon.daemon.config import Config, Framed
    from wiredaemon.daemon.kept import Kept
    from wiredaemon.net.site.site import ApiSite

_T = TypeVar("_T")


class Listener(NamedTuple):
    """A listener: its kind, its endpoint string and its factory."""

    kind: str
    endpoint: str
    factory: IProtocolFactory
    dialect: str = "0006"
    """The dialect of a raw listener."""


class Assembly:
    """The hosts and the listeners of one configuration.

    Args:
        config: What is to be served.
        reactor: Provides threads, delayed calls and ports.
        kept: As `keep` returned it for this configuration.

    Raises:
        ConfigurationError: The certificate cannot be used.
    """

    def __init__(self, config: Config, reactor: Any, kept: Kept) -> None:  # noqa: ANN401 the same
        self.config = config
        self._reactor = reactor
        self._kept = kept
        self.hosts = self._make_hosts()
        self._logins = self._make_logins()
        self.site = self._make_site()
        self.listeners = self._make_listeners()

    def call_in_thread(self, call: Callable[..., _T], *arguments: Any) -> Deferred[_T]:  # noqa: ANN401 as the call's
        """Call a function in a thread of the reactor's pool."""
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *arguments)

    def take_place_of(self, before: Assembly) -> None:
        """Serve the next request of each connection that an earlier configuration serves.

        A right that was taken away must not live on in a connection that is kept open.
        """
        before.hosts.replaced_by = self.hosts
        before.site.replaced_by = self.site

    def _make_hosts(self) -> HostLookup:
        config, kept = self.config, self._kept
        if not config.paths:
            only, switches, reactor = kept.commands_only, config.api.switches, self._reactor
            return HostLookup({"/": CommandsOnly(only, switches, config.web, reactor=reactor)})

        def make_host(path: bytes) -> HostedRepository:
            return HostedRepository(
                path,
                registry=kept.with_repository,
                switches=config.api.switches,
                access=config.web,
                pool=kept.pool,
                cache=kept.cache,
                clones=kept.clones,
                bundles=kept.bundles,
            )

        return HostLookup(
            {prefix: make_host(os.fsencode(path)) for prefix, path in config.repositories.items()},
            config.collections,
            make_host=make_host,
            call_in_thread=self.call_in_thread,
            limits=config.limits,
            moved=config.moved,
            shape=config.lists,
        )

    def _make_logins(self) -> Logins | None:
        """Return the logins; None where nobody can log in, which costs no request anything."""
        config, authenticator = self.config, self._kept.authenticator
        if authenticator is None or not knows_users(config):
            return None
        return Logins(
            authenticator,
            # Who lets others write over plain connections trusts them with passwords too.
            plain_passwords=not config.web.push_ssl,
            certificate_user=config.auth.certificate_user,
            again=config.limits.login_cache_seconds,
        )

    def _make_listeners(self) -> list[Listener]:
        listen = self.config.listen
        site = self.site
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
        return [*listeners, *self._make_admin_listeners()]

    def _make_admin_listeners(self) -> list[Listener]:
        endpoints = self.config.admin.listen
        if not endpoints:
            return []
        # Not at the top: the library of metrics is an extra, which only this needs.
        from wiredaemon.net.admin.site import AdminSite  # noqa: PLC0415

        kept = self._kept
        figures = Figures(
            guard=kept.guard,
            pool=kept.pool,
            watchdog=kept.watchdog,
            health=kept.health,
            caches=kept.caches,
            authenticator=kept.authenticator,
        )
        site = AdminSite(figures, self.config.limits, self._reactor)
        return [Listener(ADMIN, endpoint, site) for endpoint in endpoints]

    def _make_framed(self, framed: Framed) -> FramedFactory:
        return FramedFactory(
            self.hosts,
            DIALECTS[framed.dialect],
            reactor=self._reactor,
            limits=self.config.limits,
            logins=self._logins,
            guard=self._kept.guard,
        )

    def _over_tls(
        self, factory: IProtocolFactory, protocols: Sequence[bytes] = ()
    ) -> IProtocolFactory:
        """Return a factory that speaks TLS in front of another one.

        Each has TLS options of its own, because ALPN's choices are kept in them.
        """
        tls = self.config.tls
        if tls.certificate is None or tls.private_key is None:
            raise ConfigurationError(
                self.config.file, "tls", "there is no certificate", "one for the TLS listeners"
            )
        try:
            options = server_options(
                tls.certificate, tls.private_key, protocols, client_authorities=tls.client_ca
            )
            return over_tls(factory, options)
        except TlsError as error:
            raise ConfigurationError(
                self.config.file, "tls", str(error), "a PEM certificate and its private key"
            ) from error

    def _make_site(self) -> ApiSite:
        config, identification = self.config, None
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
            guard=self._kept.guard,
            pushes=self._kept.pushes,
            read_static=StaticFiles(self._kept.pool).read if config.paths else None,
            public_urls=PublicUrls(
                {names_of(path): url for path, url in config.public_urls.items()}
            ),
        )
        return make_site(application, self.hosts)
