"""What a hosted repository knows of a cache, from its description and from what it configures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.descriptions import described
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.commands import Peer, Permission
from wiredaemon.commands.registry import Registry
from wiredaemon.net.cache.cache import ResponseCache
from wiredaemon.net.cache.cached_repository import CacheableRepository, CachedRepository
from wiredaemon.net.cache.keys import CachedAs
from wiredaemon.net.cache.redirects import Redirects
from wiredaemon.net.cache.targets import Target
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches, may_everybody_pull
from wiredaemon.net.hosting.host import HostedRepository, Settings
from wiredaemon.repository.stat_signatures import stat_files
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.net.hosting.repository_handle import RepositoryHandle

TARGET: Final = Target(name="here", url="http://example.org/", upload="put:http://example.org/")
AS: Final = CachedAs(b"filesdata", b"media", b"zlib")


class DescribingPool:
    """A pool that describes at once."""

    def __init__(self, web: dict[bytes, object]) -> None:
        self._web = web
        self.reactor = Clock()

    def describe(self, _repository: bytes) -> Deferred[object]:
        answer: Deferred[object] = Deferred()
        description = described(
            web=self._web,
            watched=[b"/"],
            rare=[],
            state=[b"/one", b"/", b"/two"],
            journals=[b"/journal"],
        )
        answer.callback(description.encode())
        return answer


def hosted(folder: Path, web: dict[bytes, object] | None = None, **more: Any) -> HostedRepository:
    pool: Any = DescribingPool(web or {})
    host = HostedRepository(
        os.fsencode(folder),
        registry=Registry(),
        switches=ApiSwitches(),
        access=AccessRules(),
        pool=pool,
        **more,
    )
    host.settings()
    return host


def cache_in(folder: Path, *targets: Target) -> ResponseCache:
    reactor = Clock()
    redirects = Redirects(targets, folder, Limits(), reactor, reactor.seconds) if targets else None
    return ResponseCache(folder, Limits(), reactor, redirects)


def facts_of(host: HostedRepository) -> Any:
    settings = host.settings()
    assert isinstance(settings, Settings)
    return settings.facts


def handle_of(host: HostedRepository) -> RepositoryHandle:
    return host.repository(Peer(address="127.0.0.1:1"), Permission.RO)


def test_a_cacheable_command_gets_a_repository_that_is_cached(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cached = handle_of(hosted(tmp_path, cache=cache)).cached(AS, None)
    assert isinstance(cached, CachedRepository)
    known = cached._repository
    assert known == CacheableRepository(
        cache=cache,
        path=os.fsencode(tmp_path),
        files=known.files,
        journals=[b"/journal"],
        may_redirect=True,
    )
    assert known.files.stat_state() == stat_files([b"/", b"/one", b"/two"])


def test_without_a_cache_it_gets_the_repository_itself(tmp_path: Path) -> None:
    handle = handle_of(hosted(tmp_path))
    assert handle.cached(AS, None) is handle


@pytest.mark.parametrize(
    "web", [{b"deny_read": [b"eve"]}, {b"allow_read": [b"ann"]}, {b"allow-pull": False}]
)
def test_only_repositories_that_everybody_may_read_have_targets(
    tmp_path: Path, web: dict[bytes, object]
) -> None:
    cache = cache_in(tmp_path, TARGET)
    assert facts_of(hosted(tmp_path, cache=cache)).redirect_targets == [TARGET.described]
    restricted = hosted(tmp_path, web, cache=cache)
    assert list(facts_of(restricted).redirect_targets) == []
    cached = handle_of(restricted).cached(AS, None)
    assert isinstance(cached, CachedRepository)
    assert not cached._repository.may_redirect


def test_without_targets_none_are_told(tmp_path: Path) -> None:
    assert list(facts_of(hosted(tmp_path, cache=cache_in(tmp_path))).redirect_targets) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (AccessRules(), True),
        (AccessRules(allow_read=("*",)), True),
        (AccessRules(allow_read=("ann",)), False),
        (AccessRules(allow_read=("*", "ann")), False),
        (AccessRules(deny_read=("eve",)), False),
        (AccessRules(allow_pull=False), False),
    ],
)
def test_everybody_may_pull_where_nobody_is_kept_out(rules: AccessRules, *, expected: bool) -> None:
    assert may_everybody_pull(rules) is expected
