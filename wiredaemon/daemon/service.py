"""The running daemon: opens listeners, starts workers, reloads its configuration, and stops."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, inlineCallbacks
from twisted.logger import Logger

from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.daemon.assembly import Assembly
from wiredaemon.daemon.auth_config import accounts_error
from wiredaemon.daemon.descriptors import fit_connections
from wiredaemon.daemon.folders import folder_warnings
from wiredaemon.daemon.kept import keep, trusts_of
from wiredaemon.daemon.listening import ADMIN, Listening, StartError
from wiredaemon.daemon.restart_keys import restart_keys
from wiredaemon.daemon.service_manager import ServiceManager
from wiredaemon.daemon.signals import Signals
from wiredaemon.daemon.stopping import LAST_SECONDS, end_in_time, handle_impatience
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.guard.draining import Draining
from wiredaemon.net.hosting.recovery_gate import recover_all, transactions_of
from wiredaemon.net.workers.memory_watch import MemoryWatch
from wiredaemon.repository.returned_memory import set_up_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from twisted.python.failure import Failure

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.kept import Kept

__all__ = ["StartError", "WireDaemonService"]

_log: Final = Logger()


class WireDaemonService(Service):
    """The daemon.

    Nothing is opened or started before the service is.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        load: Callable[[], Config] | None = None,
    ) -> None:
        """Make the objects that the configuration names.

        Args:
            config: The configuration that is served first.
            reactor: Provides threads, delayed calls and ports.
            load: Reads the configuration again at SIGHUP. None is for a service inside of another
                program, whose signals and whose end are not the service's business.

        Raises:
            ConfigurationError: Commands cannot be loaded, or a certificate or a file of accounts
                cannot be used.
        """
        self._reactor = reactor
        if load is not None:
            config = _fitted(config)
        self._kept = keep(config, reactor)
        self._assembly = Assembly(config, reactor, self._kept)
        self._listening = Listening(reactor)
        self._memory = MemoryWatch(reactor)
        self._load = load
        self._signals = Signals(reactor, self._reload_file)
        # Inside of another program the manager is that program's.
        self._manager = ServiceManager(reactor, {} if load is None else os.environ)
        self._reloading = DeferredLock()

    # --- starting ----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Open the listeners, while ports below 1024 may still be opened.

        Raises:
            StartError: A listener cannot be opened.
        """
        super().privilegedStartService()
        if self._load is not None:
            # First: SIGHUP would end a daemon that says that it is ready and does not handle it.
            self._signals.handle()
        failures: list[Failure] = []
        opening = self._listening.change(self._assembly.listeners, self._assembly.config)
        # All of it is done when the call returns, for TCP and Unix endpoints listen at once.
        opening.addCallback(lambda change: change.commit()).addErrback(failures.append)
        if failures:
            raise StartError(failures[0].getErrorMessage()) from failures[0].value
        _log.info("wiredaemon is ready")

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        if self._load is not None:
            set_up_memory()  # before there are threads
        self._memory.start()
        if self._load is not None:
            self._kept.watchdog.start()
        for cache in self._kept.caches.values():
            cache.start()
        if self._assembly.config.paths:
            # Not in `__init__`: twistd forks and changes its user after that, and workers are
            # children of the process that serves.
            self._kept.pool.start()
            self._recover()
        self._tell_folders()
        if self._load is not None:
            # What is here now stays: collections of garbage need not look at it, some 30 ms each.
            gc.collect()
            gc.freeze()
        self._manager.tell_ready()

    def _tell_folders(self) -> None:
        for warning in folder_warnings(self._assembly.config):
            _log.warn("{warning}", warning=warning)
        self._assembly.hosts.tell_moves()

    def _recover(self) -> None:
        """Roll back the transactions that killed processes left in repositories."""
        assembly, pool = self._assembly, self._kept.pool
        found = assembly.call_in_thread(lambda: transactions_of(assembly.hosts.iter_repositories()))
        found.addCallback(lambda paths: Deferred.fromCoroutine(recover_all(paths, pool)))
        found.addErrback(lambda failure: _log.failure("repositories were not looked at", failure))

    # --- reloading ---------------------------------------------------------------------------

    def _reload_file(self) -> None:
        """Read the configuration again and serve it, or log what is wrong with it."""
        # One after the other: each may have to wait for ports.
        self._manager.tell_reloading()
        reloading = self._reloading.run(self._read_again)
        reloading.addErrback(_on_reload_failed)
        reloading.addCallback(lambda _: self._manager.tell_ready() if self.running else None)

    @inlineCallbacks
    def _read_again(self) -> Generator[Deferred[Any], Any, None]:
        if self._load is not None and self.running:
            yield self.reload(self._load())
            _log.info("the configuration was read again")

    @inlineCallbacks
    def reload(self, config: Config) -> Generator[Deferred[Any], Any, None]:
        """Serve another configuration from the next request of every connection on.

        Listeners that both configurations have stay open, and so do connections. TLS and, on raw
        connections, limits count for new ones only. If anything is wrong with the new one,
        all stays as it was.

        Raises:
            ConfigurationError: Something that the configuration names cannot be used.
            StartError: A new listener cannot be opened.
        """
        if self._load is not None:
            config = _fitted(config)
        kept = keep(config, self._reactor, self._kept)
        assembly = Assembly(config, self._reactor, kept)
        change = yield self._listening.change(assembly.listeners, config)
        try:
            if kept.authenticator is not None:
                kept.authenticator.reload(config.auth)
        except AccountsFileError as error:
            yield change.undo()
            raise accounts_error(error, config.auth, config.file) from error
        kept.guard.use(config.limits, trusts_of(config))
        before, self._assembly = self._assembly, assembly
        assembly.take_place_of(before)
        # They have read the settings of the system when they were started.
        kept.pool.renew()
        self._begin(kept, had_paths=bool(before.config.paths))
        self._tell_folders()
        unchanged = restart_keys(before.config, config)
        if unchanged:
            _log.warn("{keys}: changed, and counts from a restart on", keys=", ".join(unchanged))
        yield change.commit()

    def _begin(self, kept: Kept, *, had_paths: bool) -> None:
        """Start what the former configuration did not need."""
        before, self._kept = self._kept, kept
        for name, cache in kept.caches.items():
            if name not in before.caches:
                cache.start()
        if self._assembly.config.paths and not had_paths:
            kept.pool.start()
            self._recover()

    # --- stopping ----------------------------------------------------------------------------

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Close the listeners, let requests end or abort them, and end the workers."""
        super().stopService()
        self._kept.health.is_stopping = True
        self._manager.tell_stopping()
        self._memory.stop()
        self._kept.watchdog.stop()
        if self._kept.bundles is not None:
            self._kept.bundles.stop()
        guard = self._kept.guard
        seconds = self._assembly.config.server.drain_seconds
        draining = Draining(guard, self._reactor, seconds)
        if self._load is not None:
            handle_impatience(self._reactor, draining.abort)
            end_in_time(seconds + LAST_SECONDS)
        # Who watches the daemon sees it end.
        yield self._listening.close(but=ADMIN)
        if len(guard):
            _log.info(
                "stopping: {count} connections have {seconds:g} s to end",
                count=len(guard),
                seconds=seconds,
            )
        yield draining.begin()
        guard.stop()
        ending = [self._kept.pool.stop(), *(cache.stop() for cache in self._kept.caches.values())]
        yield DeferredList(ending, consumeErrors=True)
        yield self._listening.close()


def _fitted(config: Config) -> Config:
    """Return a configuration with as many connections as the process can have descriptors for."""
    return replace(config, limits=fit_connections(config.limits))


def _on_reload_failed(failure: Failure) -> None:
    if failure.check(ConfigurationError, StartError) is None:
        _log.failure("the configuration stays as it was", failure)
    else:
        _log.error("the configuration stays as it was: {error}", error=failure.getErrorMessage())
