"""The objects that outlive a reload: commands, processes, kept answers, what is counted.

Nothing is opened, started or made on disk here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
from wiredaemon.net.admin.health import Health
from wiredaemon.net.cache.bundle_maker import BundleMaker
from wiredaemon.net.cache.bundle_shelf import BUNDLE_COPIES, BundleShelf
from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.clones import Clones
from wiredaemon.net.cache.redirects import Redirects
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.guard.watchdog import Watchdog
from wiredaemon.net.hosting.push_answers import PushAnswers
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.net.workers.staff import most_workers
from wiredaemon.repository import data_declarations, declarations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wiredaemon.accounts.authenticator import Authenticator
    from wiredaemon.commands import Command
    from wiredaemon.daemon.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The objects that outlive a reload: commands, processes, kept answers, what is counted."""

    commands_only: Registry
    with_repository: Registry
    pool: WorkerPool
    guard: ConnectionGuard
    watchdog: Watchdog
    health: Health
    pushes: PushAnswers
    cache: ResponseCache | None = None
    clones: Clones | None = None
    bundles: BundleMaker | None = None
    authenticator: Authenticator | None = None

    @property
    def caches(self) -> dict[str, ResponseCache]:
        """The caches there are, by their names in metrics."""
        clones = None if self.clones is None else self.clones.cache
        bundles = None if self.bundles is None else self.bundles.shelf.cache
        named = {"answers": self.cache, "clones": clones, "bundles": bundles}
        return {name: cache for name, cache in named.items() if cache is not None}


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
            watchdog=Watchdog(reactor, guard.turns.current),
            health=Health(reactor.seconds),
            pushes=PushAnswers(config.data.folder / "pushes"),
        )
    if kept.cache is None:
        kept = replace(kept, cache=_make_cache(config, reactor))
    if kept.clones is None:
        clones, bundles = _make_clones(config, reactor, kept.pool)
        kept = replace(kept, clones=clones, bundles=bundles)
    if kept.authenticator is None and knows_users(config):
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


def knows_users(config: Config) -> bool:
    """Return whether anybody can be known: otherwise requests need not be asked who sends them."""
    auth = config.auth
    return bool(auth.htpasswd or auth.tokens or config.proxy or config.tls.client_ca)
