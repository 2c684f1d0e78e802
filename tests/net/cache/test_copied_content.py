"""Copies of bundles at a redirect target; those of answers are in `test_redirects`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from support.bundling import CONTENT, Bundling
from support.caching import object_server
from support.responding import ensure_deferred
from twisted.internet.task import deferLater

from wiredaemon.net.cache.bundle_maker import INTERVAL_SECONDS, QUIET_SECONDS
from wiredaemon.net.cache.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.bundling import Repository
    from support.caching import ObjectServer

FRESH: float = 3 * INTERVAL_SECONDS


class Copying(Bundling):
    """A folder of bundles that are copied to a target."""

    def __init__(self, folder: Path, server: ObjectServer, min_size: int) -> None:
        target = Target(
            name="here",
            url=server.url,
            upload=f"put:{server.url}",
            min_size=min_size,
            fresh_seconds=FRESH,
            bundles=True,
        )
        super().__init__(folder, targets=[target])

    async def uploaded(self) -> None:
        """Wait until nothing is done in the background."""
        while self.redirects._working is not None:
            await deferLater(self.reactor._real, 0)

    async def prepared(self, *specs: bytes, is_public: bool) -> Repository:
        """Return a repository that has a bundle."""
        repository = self.repository("r", *specs, is_public=is_public)
        repository.bundles.cloned()
        await self.pass_by(QUIET_SECONDS + 1)
        await self.uploaded()
        return repository


@asynccontextmanager
async def copying(folder: Path, min_size: int = 1) -> AsyncIterator[tuple[Copying, ObjectServer]]:
    async with object_server() as server:
        made = Copying(folder, server, min_size)
        try:
            yield made, server
        finally:
            made.maker.stop()
            await made.cache.stop()


@ensure_deferred
async def test_a_copy_is_the_bundle_alone_and_is_told_once_it_is_there(tmp_path: Path) -> None:
    async with copying(tmp_path) as (made, server):
        repository = await made.prepared(is_public=True)
        (bundle,) = await repository.offered()
        assert server.objects == {f"/objects/{bundle.name}".encode(): CONTENT}
        assert server.headers[b"Content-Type"] == b"application/octet-stream"
        assert [target.name for target in repository.bundles.copies(bundle)] == ["here"]


@ensure_deferred
async def test_a_copy_of_the_store_that_lies_elsewhere_is_not_near_to_anybody(
    tmp_path: Path,
) -> None:
    async with copying(tmp_path) as (made, _):
        repository = await made.prepared(b"zstd-v2", b"none-v2;stream=v2", is_public=True)
        changes, stream = await repository.offered(is_near=True)
        assert (changes.facts.spec, stream.facts.spec) == (b"zstd-v2", b"none-v2;stream=v2")
        assert len(repository.bundles.copies(stream)) == 1


@ensure_deferred
async def test_a_copy_that_is_lost_is_told_no_more_and_made_again(tmp_path: Path) -> None:
    async with copying(tmp_path) as (made, server):
        repository = await made.prepared(is_public=True)
        (bundle,) = await repository.offered()
        server.objects.clear()
        made.reactor.clock.advance(FRESH + 1)
        assert repository.bundles.copies(bundle) == []
        await made.uploaded()
        assert repository.bundles.copies(bundle) == []
        await repository.offered()
        await made.uploaded()
        assert len(repository.bundles.copies(bundle)) == 1
        assert list(server.objects.values()) == [CONTENT]


@ensure_deferred
async def test_what_not_everybody_may_read_is_not_copied(tmp_path: Path) -> None:
    async with copying(tmp_path) as (made, server):
        repository = await made.prepared(is_public=False)
        (bundle,) = await repository.offered()
        await made.uploaded()
        assert server.requests == []
        assert repository.bundles.copies(bundle) == ()
        # Nor is anybody told of what was copied before its readers were restricted.
        public = made.repository(is_public=True)
        (bundle,) = await public.offered()
        await made.uploaded()
        assert len(public.bundles.copies(bundle)) == 1
        assert repository.bundles.copies(bundle) == ()


@ensure_deferred
async def test_a_small_bundle_is_not_copied(tmp_path: Path) -> None:
    async with copying(tmp_path, min_size=10 * len(CONTENT)) as (made, server):
        repository = await made.prepared(is_public=True)
        (bundle,) = await repository.offered()
        assert server.requests == []
        assert repository.bundles.copies(bundle) == []
