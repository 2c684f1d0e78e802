"""Clients that count as near, for which copies of the store go first; over the site in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
import pytest_twisted
from support.bundling import SPEC, Bundling
from support.hgweb import VERSION1, Hosted
from support.logins import Users, identification_of
from support.responding import ensure_deferred
from twisted.internet.task import deferLater

from wiredaemon.net.cache.bundle_maker import QUIET_SECONDS
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.http.proxies import ForwardedHeaders, parse_proxies
from wiredaemon.repository.clone_bundles import StreamsFirst

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from wiredaemon.net.http.identification import Identification

STREAM: Final = b"none-v2;stream=v2"
FAR: Final = "203.0.113.5"
NEAR: Final = "10.1.2.3"
PROXY: Final = "192.168.1.1"
FOR: Final = "X-Forwarded-For"


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # not annotated
async def bundling(tmp_path: Path) -> AsyncIterator[Bundling]:
    made = Bundling(tmp_path)
    yield made
    made.maker.stop()
    await made.cache.stop()


async def first(
    bundling: Bundling,
    address: str,
    headers: Mapping[str, str],
    *,
    identification: Identification | None = None,
    switch: StreamsFirst = StreamsFirst.NEAR,
    version: str = "1.1",
) -> bytes:
    """Return what the manifest names first for a client: the stream, or changes."""
    repository = bundling.repository("r", SPEC, STREAM, first=switch)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    hosted = Hosted(identification=identification)
    settings = hosted.host.now
    assert isinstance(settings, Settings)
    commands = {**VERSION1, b"clonebundles_manifest": b"pull"}
    hosted.host.now = replace(settings, version1=commands)
    hosted.host.bundles = repository.bundles
    connection = hosted.web.connect(address=address)
    lines = {"Host": "test", "X-HgProto-1": "0.2", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection.send(f"GET /?cmd=clonebundles_manifest HTTP/{version}\r\n{head}\r\n".encode())
    body = b""
    while not body.endswith(b"\n"):
        await deferLater(bundling.reactor._real, 0.001, lambda: None)
        body += connection.take().partition(b"\r\n\r\n")[2]
    specs = [line.rpartition(b"BUNDLESPEC=")[2] for line in body.splitlines()]
    assert sorted(set(specs)) == [b"none-v2%3Bstream%3Dv2", SPEC]
    return STREAM if b"stream" in specs[0] else SPEC


@pytest.mark.parametrize(
    ("address", "headers", "version", "expected"),
    [
        ("127.0.0.1", {}, "1.1", STREAM),
        (NEAR, {}, "1.1", STREAM),
        (FAR, {}, "1.1", SPEC),
        # A proxy may stand for anybody.
        ("127.0.0.1", {}, "1.0", SPEC),
        (NEAR, {"Via": "1.1 proxy"}, "1.1", SPEC),
        (NEAR, {"Forwarded": f"for={NEAR}"}, "1.1", SPEC),
        (NEAR, {FOR: NEAR}, "1.1", SPEC),
        (NEAR, {"X-Forwarded-Host": "hg"}, "1.1", SPEC),
        (NEAR, {"X-Forwarded-Proto": "https"}, "1.1", SPEC),
        (NEAR, {"X-Real-IP": NEAR}, "1.1", SPEC),
        (FAR, {FOR: NEAR}, "1.1", SPEC),
    ],
)
@ensure_deferred
async def test_a_client_in_a_private_network_is_near_unless_a_proxy_shows_itself(
    bundling: Bundling, address: str, headers: Mapping[str, str], version: str, expected: bytes
) -> None:
    assert await first(bundling, address, headers, version=version) == expected


@pytest.mark.parametrize(
    ("headers", "said", "expected"),
    [
        (ForwardedHeaders.X_FORWARDED, {FOR: NEAR}, STREAM),
        (ForwardedHeaders.X_FORWARDED, {FOR: f"{NEAR}, {PROXY}", "Via": "1.1 x"}, STREAM),
        (ForwardedHeaders.X_FORWARDED, {FOR: FAR}, SPEC),
        # Whoever is at this address stands for somebody else, or says so.
        (ForwardedHeaders.X_FORWARDED, {FOR: f"{FAR}, {NEAR}"}, SPEC),
        (ForwardedHeaders.X_FORWARDED, {FOR: f"unknown, {PROXY}"}, SPEC),
        # Nobody knows who it is.
        (ForwardedHeaders.X_FORWARDED, {}, SPEC),
        (ForwardedHeaders.X_FORWARDED, {FOR: "unknown"}, SPEC),
        (ForwardedHeaders.FORWARDED, {"Forwarded": f"for={NEAR}"}, STREAM),
        (ForwardedHeaders.FORWARDED, {"Forwarded": f"for={FAR}"}, SPEC),
        (ForwardedHeaders.FORWARDED, {"Forwarded": "for=secret"}, SPEC),
        (ForwardedHeaders.FORWARDED, {FOR: NEAR}, SPEC),
        (ForwardedHeaders.NONE, {FOR: NEAR}, SPEC),
    ],
)
@ensure_deferred
async def test_a_trusted_proxy_says_whether_its_client_is_near(
    bundling: Bundling, headers: ForwardedHeaders, said: Mapping[str, str], expected: bytes
) -> None:
    trusting = identification_of(Users(), proxies=parse_proxies([PROXY], headers=headers))
    assert await first(bundling, PROXY, said, identification=trusting) == expected


@pytest.mark.parametrize(
    ("switch", "expected"), [(StreamsFirst.YES, STREAM), (StreamsFirst.NO, SPEC)]
)
@pytest.mark.parametrize("address", [NEAR, FAR])
@ensure_deferred
async def test_a_repository_may_decide_for_all_clients(
    bundling: Bundling, switch: StreamsFirst, expected: bytes, address: str
) -> None:
    assert await first(bundling, address, {}, switch=switch) == expected
