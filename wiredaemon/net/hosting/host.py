"""Hosts: a host answers at a path, with a repository behind the worker pool or with commands alone.

Owns the settings that a request is decided with, and when they are stale. Which path leads to which
host is in ``host_lookup``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.logger import Logger

from wiredaemon.commands import Permission, ServerError
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.net.cache.bundles import RepositoryBundles
from wiredaemon.net.cache.cached_repository import CacheableRepository
from wiredaemon.net.cache.clones import RepositoryClones
from wiredaemon.net.hosting.access import UNAVAILABLE, may_everybody_pull
from wiredaemon.net.hosting.recovery_gate import RecoveryGate
from wiredaemon.net.hosting.repository_handle import RepositoryHandle, share_of
from wiredaemon.net.hosting.shared_answer import SharedAnswer
from wiredaemon.repository.declarations import repository_facts
from wiredaemon.repository.descriptions import Description
from wiredaemon.repository.stat_signatures import WatchedFiles
from wiredaemon.repository.worker_calls import CallContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.commands import Peer
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.cache.bundle_maker import BundleMaker
    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.clones import Clones
    from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
    from wiredaemon.net.workers.pool import WorkerPool
    from wiredaemon.repository.stat_signatures import StatSignatures

_FIRST_WATCHED: Final = (b"hgrc", b"hgrc-not-shared", b"requires")
"""The files that are watched until a worker's description names all of them."""
_BUNDLES: Final = "bundles"
"""The share of the workers that bundles are made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that must be known of a host before a request to it can be decided.

    A host returns the same object as long as nothing has changed. So whatever was decided with an
    object may be kept with it, and holds as long as the host returns just that object.
    """

    switches: ApiSwitches
    access: AccessRules
    facts: RepositoryFacts = field(default_factory=RepositoryFacts)
    description: str = ""
    """A line for people, shown in lists of repositories; empty where none is set."""
    contact: str = ""
    """The person to write to, shown in lists; empty where none is set."""
    name: str = ""
    """The name that lists show in place of the path; empty where none is set."""
    labels: tuple[str, ...] = ()
    """Words for programs that read lists."""
    hidden: bool = False
    """Lists of repositories leave it out."""
    version1: Mapping[bytes, bytes] = field(default_factory=dict)
    """The commands of version 1, and the right each needs: ``pull`` or ``push``."""
    lacks_repository: bool = False
    """There is none yet where one is to be served: commands that need none can be called."""


class Host(Protocol):
    """The commands served at a path, and their settings."""

    @property
    def registry(self) -> Registry:
        """The commands that can be called."""

    @property
    def has_repository(self) -> bool:
        """There is a repository, with version 1 of the protocol and pages for people."""

    @property
    def bundles(self) -> RepositoryBundles | None:
        """The bundles that clients may unpack before they pull; known as long as settings are."""

    @property
    def state(self) -> Any:  # noqa: ANN401 the embedding program's own
        """The state that commands see of the program they are embedded in; None for none."""

    @property
    def reactor(self) -> Any:  # noqa: ANN401 zope interfaces do not intersect
        """The reactor that commands see; None where none of them sees one."""

    def settings(self) -> Settings | Deferred[Settings]:
        """Return the settings that are in force now; a Deferred where a worker must be asked.

        As long as nothing has changed it returns the same `Settings` object.
        """

    def known_settings(self) -> Settings | None:
        """Return the settings that are in force, if they are known without asking a worker."""

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:
        """Return the repository as one peer's commands use it.

        It holds as long as the settings do: with other settings it must be asked for again.

        Args:
            peer: The peer that asks; its user's name reaches hooks.
            permission: The permission that the command needs, and that was granted.

        Raises:
            ServerError: There is none.
        """


class CommandsOnly:
    """Commands without a repository."""

    has_repository = False
    bundles = None

    def __init__(
        self,
        registry: Registry,
        switches: ApiSwitches,
        access: AccessRules,
        *,
        state: Any = None,  # noqa: ANN401 of Host
        reactor: Any = None,  # noqa: ANN401 of Host
    ) -> None:
        self.registry = registry
        self.state, self.reactor = state, reactor
        self._settings = Settings(switches=switches, access=access)

    def settings(self) -> Settings:
        """Return the settings of the configuration."""
        return self._settings

    known_settings = settings

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:  # noqa: ARG002 of Host
        """Refuse: there is none."""
        message = "no repository is served at this path"
        raise ServerError(message)


class HostedRepository:
    """A repository, described by a worker, and described anew when its files change."""

    has_repository = True
    state = None
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
        clones: Clones | None = None,
        bundles: BundleMaker | None = None,
    ) -> None:
        """Host the repository in the folder ``path``.

        Args:
            path: The repository's working folder, absolute.
            registry: The commands that can be called.
            switches: The APIs that are on where the repository's hgrc does not say.
            access: The rules that hold where the repository's hgrc does not say.
            pool: The workers that run whatever needs Mercurial.
            cache: Keeps the answers of cacheable commands; None keeps none.
            clones: Keeps clones over version 1; None keeps none.
            bundles: Makes bundles for clients over version 1; None makes none.
        """
        self.path = path
        self.registry = registry
        self._switches = switches
        self._access = access
        self._pool = pool
        self.reactor: Any = pool.reactor
        self._cache = cache
        self._settings: Settings | None = None
        """The settings that are in force while the watched files are as `_signatures` say."""
        self._signatures: StatSignatures = ()
        first_watched = [b"%s/.hg/%s" % (path, name) for name in _FIRST_WATCHED]
        self._files = WatchedFiles(first_watched, (), pool.reactor.seconds)
        self._described = SharedAnswer(self._describe, pool.reactor)
        self._was_described = False
        self._complaint: str | None = None
        """The reason for which the repository was said to be unavailable."""
        self._cacheable: CacheableRepository | None = None
        self._clones = clones
        self._repository_clones: RepositoryClones | None = None
        self._maker = bundles
        self.bundles: RepositoryBundles | None = None
        self.recovery_gate = RecoveryGate(path, pool)

    def settings(self) -> Settings | Deferred[Settings]:
        """Return the settings; a Deferred while a worker describes the repository.

        The Deferred fails if the repository cannot be described.
        """
        return self.known_settings() or self._described.wait()

    def known_settings(self) -> Settings | None:
        """Return the settings if nothing of them has changed since a worker has described them."""
        # Asked again for each request: a request after a change of `deny_read` must not be let in.
        if self._settings is not None and self._files.stat_settings() == self._signatures:
            return self._settings
        return None

    def repository(self, peer: Peer, permission: Permission) -> RepositoryHandle:
        """Return the repository as one peer's commands use it."""
        if self._settings is not None and self._settings.lacks_repository:
            raise ServerError(UNAVAILABLE)
        context = CallContext(repository=self.path, user=peer.user, permission=permission)
        return RepositoryHandle(
            context,
            self._pool,
            self.recovery_gate,
            share_of(peer),
            self._cacheable,
            clones=self._repository_clones,
        )

    # --- descriptions ------------------------------------------------------------------------

    def _describe(self) -> Deferred[Settings]:
        # Taken before the worker reads them: a change in between is seen at the next request.
        before = self._files.stat_settings()
        described = self._pool.describe(self.path).addCallback(self._learn, before)
        return described.addErrback(self._complain, before)

    def _learn(self, result: object, before: StatSignatures) -> Settings:
        description = Description.parse(result)
        signatures = self._watch(description, before)
        access = self._access.overridden_by(description.web)
        facts = repository_facts(description)
        if self._cache is not None:
            self._cacheable = CacheableRepository(
                cache=self._cache,
                path=self.path,
                files=self._files,
                journals=description.journals,
                may_redirect=may_everybody_pull(access),
            )
            facts = replace(facts, redirect_targets=self._cacheable.redirect_targets)
        self.bundles = self._make_bundles(description, is_public=may_everybody_pull(access))
        self._repository_clones = self._keep_clones(description)
        settings = Settings(
            switches=self._switches.overridden_by(description.api),
            access=access,
            facts=facts,
            description=description.description.decode("utf-8", "replace"),
            contact=description.contact.decode("utf-8", "replace"),
            name=description.name.decode("utf-8", "replace"),
            labels=tuple(each.decode("utf-8", "replace") for each in description.labels),
            hidden=description.hidden,
            version1=description.version1,
        )
        self._settings, self._signatures = settings, signatures
        self._was_described = True
        if self._complaint is not None:
            self._complaint = None
            self._log.info("repository {path} is available again", path=os.fsdecode(self.path))
        return settings

    def _keep_clones(self, description: Description) -> RepositoryClones | None:
        if self._clones is None or not description.clones:
            return None
        return RepositoryClones(
            clones=self._clones,
            repository=CacheableRepository(
                cache=self._clones.cache,
                path=self.path,
                files=self._files,
                journals=description.journals,
            ),
            described=description.clones,
            by_user=description.clones_by_user,
            bundles=self.bundles,
        )

    def _make_bundles(
        self, description: Description, *, is_public: bool
    ) -> RepositoryBundles | None:
        if self._maker is None or not description.bundles:
            return None
        context = CallContext(repository=self.path)
        return RepositoryBundles(
            maker=self._maker,
            worker=RepositoryHandle(context, self._pool, self.recovery_gate, _BUNDLES),
            path=self.path,
            files=self._files,
            described=description.clones,
            specs=description.bundles,
            streams_first=description.streams_first,
            changesets=description.state[0],
            is_public=is_public,
        )

    def _watch(self, description: Description, before: StatSignatures) -> StatSignatures:
        """Watch the files of a description, and return the signatures that it holds with."""
        self.recovery_gate.journals = description.journals
        known = dict(zip(self._files.settings, before, strict=True))
        self._files = files = WatchedFiles(
            description.watched, description.state, self._pool.reactor.seconds, description.rare
        )
        # A file that was not watched before the worker read it has only the signature of now.
        now = files.stat_settings()
        return tuple(
            known.get(path, signature) for path, signature in zip(files.settings, now, strict=True)
        )

    def _complain(self, failure: Failure, before: StatSignatures) -> Settings:
        """Log why the repository is not available, once for each reason, and fail again.

        Returns:
            The settings of a host without a repository, where there never was one.
        """
        # Fails closed: what was known may have allowed more than the broken file does.
        self._settings = None
        reason = failure.getErrorMessage()
        if reason != self._complaint:
            self._complaint = reason
            self._log.error(
                "repository {path} is not available: {reason}",
                path=os.fsdecode(self.path),
                reason=reason,
            )
        # One that was there and has gone may have had rules of its own.
        if self._was_described or os.path.lexists(b"%s/.hg" % self.path):
            failure.raiseException()
        self._signatures = before
        self._settings = Settings(
            switches=self._switches, access=self._access, lacks_repository=True
        )
        return self._settings
