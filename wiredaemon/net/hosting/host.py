"""What is hosted at a path: a repository behind the worker pool, or commands alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import Permission, ServerError
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.net.cache.cached_repository import Cached
from wiredaemon.net.hosting.access import may_everybody_pull
from wiredaemon.net.hosting.recovery_gate import RecoveryGate
from wiredaemon.net.hosting.repository_handle import RepositoryHandle
from wiredaemon.repository.declarations import repository_facts
from wiredaemon.repository.descriptions import Description
from wiredaemon.repository.stat_signatures import stat_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.python.failure import Failure

    from wiredaemon.commands import Peer
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
    from wiredaemon.net.workers.pool import WorkerPool

_FIRST_WATCHED: Final = (b"hgrc", b"hgrc-not-shared", b"requires")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that must be known of a host before a request to it can be decided."""

    switches: ApiSwitches
    access: AccessRules
    facts: RepositoryFacts = field(default_factory=RepositoryFacts)
    description: str = ""
    """For people, in lists of repositories; as the contact."""
    contact: str = ""
    hidden: bool = False
    """It is left out of such lists."""
    version1: Mapping[bytes, bytes] = field(default_factory=dict)
    """Commands of version 1 and whether they need the right to ``pull`` or to ``push``."""


class Host(Protocol):
    """Something that serves commands at a path."""

    @property
    def registry(self) -> Registry:
        """The commands it knows."""

    @property
    def has_repository(self) -> bool:
        """There is a repository, with version 1 and pages."""

    def settings(self) -> Settings | Deferred[Settings]:
        """Give what is in force now; a Deferred only where it must be asked for."""

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:
        """Give the repository for one request's commands.

        Raises:
            ServerError: There is none.
        """


class CommandsOnly:
    """Commands without a repository."""

    has_repository = False

    def __init__(self, registry: Registry, switches: ApiSwitches, access: AccessRules) -> None:
        self.registry = registry
        self._settings = Settings(switches=switches, access=access)

    def settings(self) -> Settings:
        """Give the configuration's settings."""
        return self._settings

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:  # noqa: ARG002 of Host
        """Refuse: there is none."""
        message = "no repository is served at this path"
        raise ServerError(message)


class HostedRepository:
    """A repository, described by a worker and described anew when its files change."""

    has_repository = True
    _log = Logger()

    def __init__(  # noqa: PLR0913 its collaborators
        self,
        path: bytes,
        *,
        registry: Registry,
        switches: ApiSwitches,
        access: AccessRules,
        pool: WorkerPool,
        cache: ResponseCache | None = None,
    ) -> None:
        """Host the repository in the folder ``path``.

        Args:
            path: Absolute.
            registry: The commands it knows.
            switches: What holds where its hgrc says nothing.
            access: The same.
            pool: Runs what needs Mercurial.
            cache: Keeps what cacheable commands answer.
        """
        self.path = path
        self.registry = registry
        self._switches = switches
        self._access = access
        self._pool = pool
        self._known: Settings | None = None
        self._watched: Sequence[bytes] = [b"%s/.hg/%s" % (path, name) for name in _FIRST_WATCHED]
        self._signature: object = None
        self._asking: list[Deferred[Settings]] = []
        self._complaint: str | None = None
        self._cache = cache
        self._cached: Cached | None = None
        self.recovery = RecoveryGate(path, pool)

    def settings(self) -> Settings | Deferred[Settings]:
        """Give the settings; a Deferred while a worker is asked.

        It fails where the repository cannot be described.
        """
        if self._known is not None and stat_files(self._watched) == self._signature:
            return self._known
        waiting: Deferred[Settings] = Deferred()
        self._asking.append(waiting)
        if len(self._asking) == 1:
            # Read before the worker looks: a change in between is then seen at the next request.
            before = stat_files(self._watched)
            asked = self._pool.describe(self.path)
            asked.addCallback(self._learn, before)
            asked.addCallbacks(self._tell, self._tell_failure)
        return waiting

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:
        """Give the repository for one request's commands."""
        return RepositoryHandle(
            self.path, self._pool, self.recovery, peer, permission, self._cached
        )

    def _learn(self, result: object, before: object) -> Settings:
        description = Description.parse(result)
        if description.watched != self._watched:
            self._watched = description.watched
            before = stat_files(self._watched)
        self.recovery.signs = description.abandoned
        access = self._access.overridden_by(description.web)
        facts = repository_facts(description)
        if self._cache is not None:
            self._cached = cached = Cached(
                cache=self._cache,
                path=self.path,
                state=description.state,
                unsettled=description.abandoned,
                may_redirect=may_everybody_pull(access),
            )
            facts = replace(facts, redirect_targets=cached.redirect_targets)
        settings = Settings(
            switches=self._switches.overridden_by(description.api),
            access=access,
            facts=facts,
            description=description.description.decode("utf-8", "replace"),
            contact=description.contact.decode("utf-8", "replace"),
            hidden=description.hidden,
            version1=description.version1,
        )
        self._known, self._signature = settings, before
        if self._complaint is not None:
            self._complaint = None
            self._log.info("repository {path} is available again", path=_shown(self.path))
        return settings

    def _tell(self, settings: Settings) -> None:
        asking, self._asking = self._asking, []
        for waiting in asking:
            waiting.callback(settings)

    def _tell_failure(self, failure: Failure) -> None:
        self._known = None
        reason = failure.getErrorMessage()
        if reason != self._complaint:
            self._complaint = reason
            self._log.error(
                "repository {path} is not available: {reason}",
                path=_shown(self.path),
                reason=reason,
            )
        asking, self._asking = self._asking, []
        for waiting in asking:
            waiting.errback(failure)


def _shown(path: bytes) -> str:
    return os.fsdecode(path)
