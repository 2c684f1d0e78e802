"""Copies at a redirect target: a small HTTP server of twisted.web on loopback."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.caching import Kept, TimedReactor, object_server
from support.responding import ensure_deferred, failures
from twisted.internet.task import deferLater

from wiredaemon.commands import Followed
from wiredaemon.commands.capabilities import RedirectTarget
from wiredaemon.net.cache.redirects import FIRST_WAIT, Redirects
from wiredaemon.net.cache.targets import Target
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import CBOR_MEDIA_TYPE, Redirect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.caching import ObjectServer
    from twisted.logger import LogEvent

FOLLOWED = Followed(frozenset({b"here"}), frozenset({b"sha256", b"sha1"}))


class Redirecting(Kept):
    """A cache with a target."""

    def __init__(self, folder: Path, server: ObjectServer, **target: Any) -> None:
        self.server = server
        self.now = 1_700_000_000.0
        self.clock = TimedReactor()
        values = {"name": "here", "url": server.url, "upload": f"put:{server.url}", "min_size": 1}
        self.redirects = Redirects(
            [Target(**{**values, **target})],
            folder / "cache",
            Limits(),
            self.clock,
            lambda: self.now,
        )
        super().__init__(folder, self.redirects)

    def is_working(self) -> bool:
        """Something is done in the background."""
        return self.redirects._working is not None

    async def uploaded(self) -> None:
        """Wait until nothing is."""
        while self.is_working():
            await deferLater(self.clock._real, 0)

    async def ask(self, encoding: bytes | None = b"zlib", **more: Any) -> Any:
        answer = await super().ask(encoding, **more)
        await self.uploaded()
        return answer


@asynccontextmanager
async def redirecting(folder: Path, **target: Any) -> AsyncIterator[Redirecting]:
    async with object_server() as server:
        made = Redirecting(folder, server, **target)
        try:
            yield made
        finally:
            await made.stop()


@ensure_deferred
@pytest.mark.parametrize("encoding", [b"identity", b"zlib", b"zstd-8mb"])
async def test_what_was_recorded_is_uploaded_and_told_to_who_follows(
    tmp_path: Path, encoding: bytes
) -> None:
    async with redirecting(tmp_path) as kept:
        kept.handle.parts = [[bytes([number]) * 90_000] for number in range(10)]
        content = await kept.ask(encoding)
        ((path, stored),) = kept.server.objects.items()
        assert stored == content
        redirect = await kept.ask(encoding, followed=FOLLOWED)
        assert redirect == Redirect(
            url=f"http://127.0.0.1:{kept.server.port}{path.decode()}".encode(),
            media_type=CBOR_MEDIA_TYPE,
            size=900_000,
            full_hashes=[
                (b"sha256", hashlib.sha256(content).digest()),
                (b"sha1", hashlib.sha1(content, usedforsecurity=False).digest()),
            ],
        )
        assert await kept.ask(encoding) == content
        assert len(kept.handle.asked) == 1
        assert kept.server.headers == {
            b"Content-Type": CBOR_MEDIA_TYPE,
            b"Content-Length": b"900000",
            b"Authorization": None,
        }
        # Another encoding of the same content needs no other copy.
        assert await kept.ask(b"identity", followed=FOLLOWED) == redirect


@ensure_deferred
async def test_only_hashes_that_the_client_knows_are_told(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        await kept.ask()
        sha1 = Followed(frozenset({b"here"}), frozenset({b"sha1", b"other"}))
        redirect = await kept.ask(followed=sha1)
        assert [name for name, _ in redirect.full_hashes] == [b"sha1"]


@ensure_deferred
@pytest.mark.parametrize("targets", [(), (b"elsewhere",)])
async def test_who_does_not_follow_is_answered_from_here(
    tmp_path: Path, targets: tuple[bytes, ...]
) -> None:
    async with redirecting(tmp_path) as kept:
        content = await kept.ask()
        followed = Followed(frozenset(targets), frozenset())
        assert await kept.ask(followed=followed) == content


@ensure_deferred
async def test_small_answers_are_not_worth_it(tmp_path: Path) -> None:
    async with redirecting(tmp_path, min_size=12) as kept:
        await kept.ask()
        assert len(kept.handle.content) == 11
        assert kept.server.requests == []
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content


@ensure_deferred
async def test_what_not_everybody_may_read_is_never_uploaded(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        for _ in range(2):
            assert await kept.ask(followed=FOLLOWED, may_redirect=False) == kept.handle.content
        assert kept.server.requests == []
        # Nor is anybody sent to what was uploaded before its readers were restricted.
        await kept.ask(followed=FOLLOWED)
        assert isinstance(await kept.ask(followed=FOLLOWED), Redirect)
        assert await kept.ask(followed=FOLLOWED, may_redirect=False) == kept.handle.content


@ensure_deferred
async def test_a_repository_that_has_changed_redirects_to_its_new_answer(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        await kept.ask()
        before = await kept.ask(followed=FOLLOWED)
        kept.change()
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        after = await kept.ask(followed=FOLLOWED)
        assert isinstance(after, Redirect)
        assert after.url != before.url


@ensure_deferred
@pytest.mark.parametrize("passed", [61, -1], ids=["late", "the clock was set back"])
async def test_what_is_no_longer_fresh_is_looked_at_before_it_is_used_again(
    tmp_path: Path, passed: int
) -> None:
    async with redirecting(tmp_path, fresh_seconds=60.0) as kept:
        await kept.ask()
        redirect = await kept.ask(followed=FOLLOWED)
        kept.now += passed
        kept.server.requests.clear()
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        assert [method for method, _ in kept.server.requests] == [b"HEAD"]
        assert await kept.ask(followed=FOLLOWED) == redirect


@ensure_deferred
@pytest.mark.parametrize("left", [None, b"cut"])
async def test_what_is_gone_or_changed_is_uploaded_again(
    tmp_path: Path, left: bytes | None
) -> None:
    async with redirecting(tmp_path, fresh_seconds=60.0) as kept:
        await kept.ask()
        (path,) = kept.server.objects
        kept.server.objects.clear()
        if left is not None:
            kept.server.objects[path] = left
        kept.now += 61
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content  # looks
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content  # uploads
        assert isinstance(await kept.ask(followed=FOLLOWED), Redirect)
        assert kept.server.objects == {path: kept.handle.content}


@ensure_deferred
async def test_what_was_uploaded_is_known_after_a_restart(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        await kept.ask()
        redirect = await kept.ask(followed=FOLLOWED)
        await kept.stop()
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        kept.cache.start()
        kept.server.requests.clear()
        assert await kept.ask(followed=FOLLOWED) == redirect
        assert kept.server.requests == []


@ensure_deferred
async def test_another_address_of_the_target_is_another_target(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        await kept.ask()
        await kept.stop()
        other = Redirecting(tmp_path, kept.server, url=kept.server.url + "other/")
        assert await other.ask(followed=FOLLOWED) == kept.handle.content
        await other.stop()


@ensure_deferred
@pytest.mark.parametrize("fault", [{"status": 507}, {"loses": True}])
async def test_a_target_that_fails_is_left_alone_for_a_while(
    tmp_path: Path, logged: list[LogEvent], fault: dict[str, Any]
) -> None:
    async with redirecting(tmp_path) as kept:
        for name, value in fault.items():
            setattr(kept.server, name, value)
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        asked = len(kept.server.requests)
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        assert len(kept.server.requests) == asked
        kept.clock.now += FIRST_WAIT
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        assert len(kept.server.requests) > asked
        waits = [event["seconds"] for event in failures(logged)]
        assert waits == [FIRST_WAIT, 2 * FIRST_WAIT]
        kept.server.status, kept.server.loses = 201, False
        kept.clock.now += 2 * FIRST_WAIT
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        assert isinstance(await kept.ask(followed=FOLLOWED), Redirect)


@ensure_deferred
async def test_a_target_that_is_not_there_is_no_bodys_trouble(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    async with redirecting(tmp_path) as kept:
        upload = "put:http://127.0.0.1:1/"
        other = Redirecting(tmp_path / "cache", kept.server, upload=upload)
        assert await other.ask(followed=FOLLOWED) == kept.handle.content
        assert len(failures(logged)) == 1
        await other.stop()


@ensure_deferred
async def test_no_password_is_logged_or_told(tmp_path: Path, logged: list[LogEvent]) -> None:
    async with object_server() as server:
        upload = f"put:http://ann:s%20cret@127.0.0.1:{server.port}/objects/"
        kept = Redirecting(tmp_path, server, upload=upload)
        await kept.ask()
        assert server.headers[b"Authorization"] == b"Basic YW5uOnMgY3JldA=="
        redirect = await kept.ask(followed=FOLLOWED)
        assert b"cret" not in redirect.url
        server.status = 500
        kept.change()
        await kept.ask()
        assert len(failures(logged)) == 1
        assert "cret" not in repr(logged)
        await kept.stop()


@ensure_deferred
async def test_an_end_in_the_middle_of_an_upload_waits_for_nobody(tmp_path: Path) -> None:
    async with redirecting(tmp_path) as kept:
        await Kept.ask(kept)
        assert kept.is_working()
        await kept.stop()
        assert not kept.is_working()
        kept.cache.start()
        assert await kept.ask(followed=FOLLOWED) == kept.handle.content
        assert isinstance(await kept.ask(followed=FOLLOWED), Redirect)


def test_clients_are_told_of_targets() -> None:
    target = Target(
        name="here",
        url="https://cdn.example.org/hg/",
        upload="s3://bucket/hg/",
        tls_versions=("1.2", "1.3"),
        sni_required=True,
    )
    assert target.described == RedirectTarget(
        name=b"here",
        protocol=b"https",
        uris=[b"https://cdn.example.org/hg/"],
        sni_required=True,
        tls_versions=[b"1.2", b"1.3"],
    )
