"""Wiring a configuration to listeners: the only place where objects are joined.

Nothing is opened, started or made on disk here. An `Assembly` is one configuration's objects; what
outlives a reload of the configuration is `Kept` apart from them.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from twisted.internet.threads import deferToThreadPool

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
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.cache.bundle_maker import BundleMaker
from wiredaemon.net.cache.bundle_shelf import BUNDLE_COPIES, BundleShelf
from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.clones import Clones
from wiredaemon.net.cache.redirects import Redirects
from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hgweb.static_files import StaticFiles
from wiredaemon.net.hosting.collection import names_of
from wiredaemon.net.hosting.host import CommandsOnly, HostedRepository
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.hosting.push_answers import PushAnswers
from wiredaemon.net.http.application import Application, apis_of
from wiredaemon.net.http.identification import Identification
from wiredaemon.net.http.public_urls import PublicUrls
from wiredaemon.net.logins import Logins
from wiredaemon.net.site.site import make_site
from wiredaemon.net.tls import TlsError, over_tls, server_options
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.net.workers.staff import most_workers
from wiredaemon.repository import data_declarations, declarations
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory

    from wiredaemon.accounts.authenticator import Authenticator
    from wiredaemon.commands import Command
    from wiredaemon.daemon.config import Config, Framed
    from wiredaemon.net.site.site import ApiSite

_T = TypeVar("_T")


class Listener(NamedTuple):
    """A listener: its kind, its endpoint string and its factory."""

    kind: str
    endpoint: str
    factory: IProtocolFactory
    dialect: str = "0006"
    """The dialect of a raw listener."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The objects that outlive a reload: commands, processes, kept answers, what is counted."""

    commands_only: Registry
    with_repository: Registry
    pool: WorkerPool
    guard: ConnectionGuard
    pushes: PushAnswers
    cache: ResponseCache | None = None
    clones: Clones | None = None
    bundles: BundleMaker | None = None
    authenticator: Authenticator | None = None

    @property
    def caches(self) -> list[ResponseCache]:
        """The caches there are."""
        clones = None if self.clones is None else self.clones.cache
        bundles = None if self.bundles is None else self.bundles.shelf.cache
        return [cache for cache in (self.cache, clones, bundles) if cache is not None]


def keep(config: Config, reactor: Any, before: Kept | None = None) -> Kept:  # noqa: ANN401 zope interfaces do not intersect
    """Return what a configuration needs of the objects that are kept, those of before and new ones.

    Raises:
        ConfigurationError: Commands cannot be loaded, or a file of accounts cannot be used.
    """
    kept = before
    if kept is None:
        pool = WorkerPool(reactor, config.limits)
        guard = ConnectionGuard(reactor, config.limits, is_exempt=trusts_of(config))
        only, with_repository = _load(config)
        kept = Kept(
            commands_only=only,
            with_repository=with_repository,
            pool=pool,
            guard=guard,
            pushes=PushAnswers(config.data.folder / "pushes"),
        )
    if kept.cache is None:
        kept = replace(kept, cache=_make_cache(config, reactor))
    if kept.clones is None:
        clones, bundles = _make_clones(config, reactor, kept.pool)
        kept = replace(kept, clones=clones, bundles=bundles)
    if kept.authenticator is None and _knows_users(config):
        try:
            authenticator = make_authenticator(config.auth, config.limits, reactor)
        except AccountsFileError as error:
            raise accounts_error(error, config.auth, config.file) from error
        kept = replace(kept, authenticator=authenticator)
    return kept


def _load(config: Config) -> tuple[Registry, Registry]:
    """Return the commands of daemons without and with repositories.

    They are loaded once: a module of a user's may hold a state that others know.
    """
    try:
        loaded = [*load_commands(map(str, config.commands.load)), *load_installed_commands()]
        return registries_of(loaded)
    except CommandLoadError as error:
        raise ConfigurationError(
            config.file, "commands.load", str(error), "modules and files that mark commands"
        ) from error


def registries_of(loaded: Iterable[Command]) -> tuple[Registry, Registry]:
    """Return the registries of daemons without and with repositories, our own commands included.

    Two of them: a daemon without repositories must not describe commands that it cannot run.

    Raises:
        CommandLoadError: A name is declared twice.
    """
    # Each once: a module may be both installed and named.
    documented = [known.with_help() for known in {id(one): one for one in loaded}.values()]
    commands = [*marked_commands(capabilities_module), *documented]
    # The project's own in front: a user's command of the same name is reported as declared
    # twice, by both names.
    own = [*marked_commands(declarations), *marked_commands(data_declarations)]
    return Registry(commands), Registry([*own, *commands])


def trusts_of(config: Config) -> Callable[[Any], bool]:
    """Return what says whether an address is that of a trusted proxy."""
    return (lambda _: False) if config.proxy is None else config.proxy.trusts


def _make_cache(config: Config, reactor: Any) -> ResponseCache | None:  # noqa: ANN401 the same
    if not config.limits.cache_size or not config.paths:
        return None
    folder = config.data.folder / "cache"
    redirects = None
    if config.redirect.targets:
        redirects = Redirects(config.redirect.targets, folder, config.limits, reactor, time.time)
    return ResponseCache(folder, config.limits, reactor, redirects)


def _make_clones(
    config: Config,
    reactor: Any,  # noqa: ANN401 the same
    pool: WorkerPool,
) -> tuple[Clones | None, BundleMaker | None]:
    limits = config.limits
    if not limits.cache_clones or not config.paths:
        return None, None
    folder = config.data.folder / "cache"
    # Half of the room for each: a bundle that clients were told of must not go for an answer.
    half, quarter = limits.cache_clones // 2, limits.cache_clones // 4
    own = replace(limits, cache_size=half, cache_entry=quarter)
    clones = Clones(ResponseCache(folder / "clones", own, reactor), reactor)
    if most_workers(limits) == 1:
        return clones, None  # it would keep everybody waiting for as long as a clone takes
    targets = [target for target in config.redirect.targets if target.bundles]
    redirects = None
    if targets:
        kept, clock = folder / "bundles", time.time
        redirects = Redirects(targets, kept, limits, reactor, clock, kind=BUNDLE_COPIES)
    cache = ResponseCache(folder / "bundles", own, reactor, redirects)
    shelf = BundleShelf(cache, own, reactor.seconds)
    return clones, BundleMaker(shelf, reactor, pool.is_quiet)


def _knows_users(config: Config) -> bool:
    """Return whether anybody can be known: otherwise requests need not be asked who sends them."""
    auth = config.auth
    return bool(auth.htpasswd or auth.tokens or config.proxy or config.tls.client_ca)


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
        if authenticator is None or not _knows_users(config):
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
        return listeners

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
