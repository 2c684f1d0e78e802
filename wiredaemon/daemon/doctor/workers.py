"""Examines repositories: a worker is started, and opens each of them, as in the daemon."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import TimeoutError as TooLateError
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.daemon.doctor.finding import error, fine, warning
from wiredaemon.daemon.doctor.machine import is_there
from wiredaemon.daemon.embedded import mercurial_is_installed
from wiredaemon.net.hosting.collection import Budget
from wiredaemon.net.workers.described import RepositoryUnavailableError
from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.repository.descriptions import Description
from wiredaemon.repository.worker_calls import READY, CallContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding

MOST_REPOSITORIES: Final = 1000
"""Repositories that are opened: some 20 s of them."""
OPEN_SECONDS: Final = 30.0
"""Time that a repository may take to be opened."""
ALL_SECONDS: Final = 300.0
"""Time for all repositories together."""

_WORKER: Final = "workers"


@implementer(ILogObserver)
class _Heard:
    """Collects what workers print, and why they end: in the daemon that goes to the log."""

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}
        self.reason = ""

    def __call__(self, event: dict[str, Any]) -> None:
        """Receive an event of Twisted's log."""
        if str(event.get("log_namespace", "")).startswith("wiredaemon.net.workers."):
            self.reason = str(event.get("reason", self.reason))
            if "line" in event:
                self.lines[str(event["line"])] = None

    def take(self) -> list[str]:
        """Return what was printed since this was asked last."""
        lines, self.lines = [*self.lines], {}
        return lines


async def examine_repositories(config: Config, reactor: Any) -> list[Finding]:  # noqa: ANN401 zope interfaces do not intersect
    """Return what is to be said of the workers and of each repository.

    Args:
        config: The configuration.
        reactor: Starts the workers, which have ended when this returns.
    """
    if not config.paths:
        return [fine(_WORKER, "[paths] is empty: commands are served, and no repositories")]
    if not mercurial_is_installed():
        how = "pip install 'wiredaemon[hg]', in the environment of the daemon"
        return [error(_WORKER, "Mercurial is not installed", how)]
    # One is enough: it answers questions one after the other.
    limits = replace(config.limits, worker_processes=1)
    heard = _Heard()
    pool = WorkerPool(reactor, limits)
    globalLogPublisher.addObserver(heard)
    try:
        pool.start()
        return await _Examination(config, reactor, pool, heard).run()
    finally:
        await pool.stop()
        globalLogPublisher.removeObserver(heard)


class _Examination:
    def __init__(
        self,
        config: Config,
        reactor: Any,  # noqa: ANN401 the same
        pool: WorkerPool,
        heard: _Heard,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._pool = pool
        self._heard = heard

    async def run(self) -> list[Finding]:
        """Ask a worker whether it is ready, then for each repository."""
        try:
            version = await self._pool.call(CallContext(repository=b""), READY, {})
        except (CommandError, ServerError):
            how = "`python -m wiredaemon.worker </dev/null` in the daemon's environment shows more"
            text = f"a worker cannot be started: {self._heard.reason or 'it gives no reason'}"
            return [error(_WORKER, text, how)]
        shown = version.decode("ascii", "replace") if isinstance(version, bytes) else "?"
        found = [fine(_WORKER, f"a worker has started, with Mercurial {shown}")]
        found += await self._printed(_WORKER)
        until = self._reactor.seconds() + ALL_SECONDS
        paths = list(islice(_repositories(self._config), MOST_REPOSITORIES + 1))
        for number, path in enumerate(paths):
            if number == MOST_REPOSITORIES or self._reactor.seconds() > until:
                text = f"only the first {number} repositories were opened"
                how = "look at the others with a configuration that names fewer folders"
                return [*found, warning("paths", text, how)]
            found += await self._examine(path)
        return found

    async def _examine(self, path: bytes) -> list[Finding]:
        area = f"repository {os.fsdecode(path)}"
        answered = await self._ask(area, path)
        return [*await self._printed(area), *answered]

    async def _ask(self, area: str, path: bytes) -> list[Finding]:
        try:
            description = self._pool.describe(path)
            described = Description.parse(await description.addTimeout(OPEN_SECONDS, self._reactor))
        except RepositoryUnavailableError as wrong:
            how = "`hg verify` there, as the daemon's user, shows what Mercurial says of it"
            return [error(area, wrong.reason, how)]
        except TooLateError:
            text = f"it was not open within {OPEN_SECONDS:g} s"
            return [error(area, text, "look at the disk that it is on")]
        except (CommandError, ServerError) as wrong:
            text = f"it cannot be opened: {wrong} {self._heard.reason}".rstrip()
            return [error(area, text, "see what the line before says")]
        return [*self._state(area, path, described)]

    def _state(self, area: str, path: bytes, described: Description) -> Iterator[Finding]:
        store = Path(os.fsdecode(path), ".hg", "store")
        pushed = described.web.get(b"allow-push") or self._config.web.allow_push
        if pushed and not os.access(store, os.W_OK):
            text = f"allow-push lets users push, and {store} cannot be written"
            yield warning(area, text, "let the daemon's user write all of .hg")
        elif any(is_there(Path(os.fsdecode(journal))) for journal in described.journals):
            text = "a push is running, or was broken off"
            yield warning(area, text, "nothing: the start of the daemon rolls it back")
        else:
            yield fine(area, "it can be opened")

    async def _printed(self, area: str) -> list[Finding]:
        # What was printed in front of an answer is in a pipe of its own, which the reactor may read
        # after it, in the same turn.
        await deferLater(self._reactor, 0)
        how = "mend what the text names; in the daemon it goes to the log"
        return [warning(area, line, how) for line in self._heard.take()]


def _repositories(config: Config) -> Iterator[bytes]:
    """Yield the folder of each repository that is there, single ones first. Blocks."""
    seen: set[bytes] = set()
    budget = Budget(config.limits.index_scan)
    single = (os.fsencode(path) for path in config.repositories.values() if is_there(path / ".hg"))
    located = (
        each.path
        for collection in config.collections
        for each in collection.scan((), config.limits.collection_depth, budget)
    )
    for path in (*single, *located):
        if path not in seen:
            seen.add(path)
            yield path
