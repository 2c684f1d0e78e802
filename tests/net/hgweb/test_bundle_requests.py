"""Requests for bundles over the real site in memory, where the test is the worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
import pytest_twisted
from support.bundling import Bundling, answer
from support.hgweb import VERSION1, Hosted, posted
from support.responding import ensure_deferred
from support.web import ask
from twisted.internet.task import deferLater

from wiredaemon.net.cache.bundle_maker import QUIET_SECONDS
from wiredaemon.net.hosting.host import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.bundling import Repository

CONTENT: Final = bytes(range(256)) * 4096
PROTOCOLS: Final = {"X-HgProto-1": "0.1 0.2 comp=zstd,zlib,none,bzip2"}
COMMANDS: Final = {b"clonebundles", b"clonebundles_manifest", b"get_cached_bundle_inline"}
LENGTH: Final = b"\x80\x80\x40"
"""A mebibyte in groups of seven bits."""


class BundledSite:
    """One connection to a site with a repository that has a bundle."""

    def __init__(self, bundling: Bundling) -> None:
        self.bundling = bundling
        self.repository: Repository = bundling.repository()
        self.hosted = Hosted()
        settings = self.hosted.host.now
        assert isinstance(settings, Settings)
        commands = {**VERSION1, **dict.fromkeys(COMMANDS, b"pull")}
        self.hosted.host.now = replace(settings, version1=commands)
        self.hosted.host.bundles = self.repository.bundles

    async def prepare(self) -> None:
        """Let the bundle be made."""
        self.repository.worker.next = answer(CONTENT)
        self.repository.bundles.cloned()
        await self.bundling.pass_by(QUIET_SECONDS + 1)
        (bundle,) = await self.repository.offered()
        self.name = f"{bundle.name}.hg"

    async def turn(self) -> None:
        """Let threads and the reactor have some turns."""
        for _ in range(10):
            await deferLater(self.bundling.reactor._real, 0.001, lambda: None)

    async def get(self, target: str, headers: dict[str, str] | None = None) -> tuple[bytes, bytes]:
        """Send a request, and return head and body of the whole response."""
        self.hosted.connection.send(ask("GET", target, headers or {}))
        return await self.response()

    async def response(self) -> tuple[bytes, bytes]:
        """Wait for a response that announces its length."""
        found = b""
        while True:
            found += self.hosted.take()
            head, end, body = found.partition(b"\r\n\r\n")
            length = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
            if end and length and len(body) == int(length[0].partition(b" ")[2]):
                return head, body
            await self.turn()


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # not annotated
async def site(tmp_path: Path) -> AsyncIterator[BundledSite]:
    bundling = Bundling(tmp_path, size=4 << 20)
    made = BundledSite(bundling)
    await made.prepare()
    yield made
    bundling.maker.stop()
    await bundling.cache.stop()


@ensure_deferred
async def test_a_manifest_names_the_bundle_in_two_ways(site: BundledSite) -> None:
    head, body = await site.get("/?cmd=clonebundles_manifest", PROTOCOLS)
    assert b"Content-Type: application/mercurial-0.1" in head
    assert body.decode().splitlines() == [
        f"peer-bundle-cache://{site.name} BUNDLESPEC=zstd-v2",
        f"http://test/.hg/clonebundles/{site.name} BUNDLESPEC=zstd-v2",
    ]
    _, body = await site.get("/?cmd=clonebundles", PROTOCOLS)
    assert body.decode() == f"http://test/.hg/clonebundles/{site.name} BUNDLESPEC=zstd-v2\n"
    # What such a client cannot unpack is not offered.
    _, body = await site.get("/?cmd=clonebundles_manifest")
    assert b"peer-bundle-cache" not in body
    assert site.hosted.workers.asked == []


@ensure_deferred
async def test_a_bundle_is_the_answer_to_a_command(site: BundledSite) -> None:
    argument = {"X-HgArg-1": f"path={site.name}"}
    head, body = await site.get("/?cmd=get_cached_bundle_inline", {**PROTOCOLS, **argument})
    assert b"Content-Type: application/mercurial-0.2" in head
    assert body == b"\x04none" + LENGTH + CONTENT
    written = f"path={site.name}".encode()
    request = posted(
        "/?cmd=get_cached_bundle_inline",
        written,
        X_HgArgs_Post=str(len(written)),
        X_HgProto_1="0.2 comp=none",
    )
    site.hosted.connection.send(request)
    assert (await site.response())[1] == body
    assert site.hosted.workers.asked == []


@pytest.mark.parametrize("name", ["other.hg", "0" * 40 + ".hg", ""])
@ensure_deferred
async def test_a_bundle_that_is_none_of_ours_is_mercurials(site: BundledSite, name: str) -> None:
    headers = {**PROTOCOLS, "X-HgArg-1": f"path={name}"}
    site.hosted.connection.send(ask("GET", "/?cmd=get_cached_bundle_inline", headers))
    await site.turn()
    site.hosted.workers.last.answer(b"theirs")
    await site.turn()
    assert b"theirs" in site.hosted.take()


@ensure_deferred
async def test_a_client_that_takes_nothing_is_sent_no_more(site: BundledSite) -> None:
    transport = site.hosted.transport
    site.hosted.connection.send(ask("GET", f"/.hg/clonebundles/{site.name}", {}))
    while transport.producer is None:
        await site.turn()
    transport.producer.pauseProducing()
    await site.turn()
    first = site.hosted.take()
    await site.turn()
    assert site.hosted.take() == b""
    assert len(first) < len(CONTENT)
    transport.producer.resumeProducing()
    rest = b""
    while len(first + rest) < len(CONTENT):
        await site.turn()
        rest += site.hosted.take()
    assert (first + rest).endswith(CONTENT)


@ensure_deferred
async def test_a_client_that_leaves_is_sent_no_more(site: BundledSite) -> None:
    site.hosted.connection.send(ask("GET", f"/.hg/clonebundles/{site.name}", {}))
    while site.hosted.transport.producer is None:
        await site.turn()
    site.hosted.transport.producer.pauseProducing()
    await site.turn()
    site.hosted.take()
    site.hosted.lose()
    await site.turn()
    assert site.hosted.take() == b""


@ensure_deferred
async def test_a_file_that_becomes_shorter_breaks_the_answer_off(site: BundledSite) -> None:
    (file,) = site.bundling.files
    site.hosted.connection.send(ask("GET", f"/.hg/clonebundles/{site.name}", {}))
    while site.hosted.transport.producer is None:
        await site.turn()
    site.hosted.transport.producer.pauseProducing()
    await site.turn()
    with file.open("r+b") as opened:
        opened.truncate(len(CONTENT) // 2)
    site.hosted.transport.producer.resumeProducing()
    while not site.hosted.transport.disconnecting:
        await site.turn()
    assert len(site.hosted.take()) < len(CONTENT)
