"""Bundles behind proxies: who is told of a URL, and clones that unpack one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import ANY_PORT
from support.environment import LOOPBACK
from support.hg import HG7
from support.links import fetch
from support.proxies import haproxy, nginx
from support.repositories import make_repository, run_hg
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hg import Hg

MADE: Final = r"a bundle of \S+/team is kept"
UNPACKED: Final = b"finished applying clone bundle"
TRUSTED: Final = f'[proxy]\ntrusted = ["{LOOPBACK}"]\n'
NGINX: Final = """server {{
    listen @LISTEN@;
    location / {{
        proxy_pass http://{address};
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""
HAPROXY: Final = """defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen hg
    bind @LISTEN@
    server daemon {address} send-proxy-v2
"""


@contextmanager
def behind(proxy: str, folder: Path) -> Iterator[tuple[Served, int]]:
    """Serve a repository behind a proxy, and yield the proxy's port."""
    team = make_repository(folder / "team")
    for number in range(3):
        (team / "file").write_text("".join(f"line {number} {line}\n" for line in range(5000)))
        run_hg("commit", "-A", "-q", "-m", f"{number}", "-u", "ann", folder=team)
    is_haproxy = proxy == "haproxy"
    with Served.start(
        {"team": team},
        folder,
        tables="" if proxy == "untrusted nginx" else TRUSTED,
        endpoint=f"haproxy:{ANY_PORT}" if is_haproxy else ANY_PORT,
    ) as served:
        address = f"{LOOPBACK}:{served.daemon.port()}"
        start, text = (haproxy, HAPROXY) if is_haproxy else (nginx, NGINX)
        with start(text.format(address=address), folder) as port:
            yield served, port


@pytest.mark.parametrize("proxy", ["nginx", "untrusted nginx", "haproxy"])
def test_clients_unpack_a_bundle_and_are_told_only_of_urls_that_are_certain(
    hg6: Hg, tmp_path: Path, proxy: str
) -> None:
    with behind(proxy, tmp_path) as (served, port):
        url = f"http://{LOOPBACK}:{port}/team"
        HG7.run("clone", "--noupdate", url, "first", folder=tmp_path)
        served.daemon.wait_for_log(MADE)
        team = served.folders["team"]
        # From here on the answer that was kept above is not the right one any more.
        run_hg("bookmark", "-r", "1", "one more", folder=team)
        status, manifest = fetch(LOOPBACK, port, "/team?cmd=clonebundles")
        assert status == 200
        is_certain = proxy != "untrusted nginx"
        urls = [line.split()[0] for line in manifest.splitlines()]
        assert all(each.startswith(f"{url}/.hg/clonebundles/") for each in urls)
        assert bool(urls) is is_certain
        for hg, unpacks in ((HG7, True), (hg6, is_certain)):
            output = hg.run(
                "clone", "--noupdate", url, f"by-{unpacks}-{hg is HG7}", folder=tmp_path
            )
            assert (UNPACKED in output) is unpacks
            clone = tmp_path / f"by-{unpacks}-{hg is HG7}"
            HG7.verify(clone)
            assert HG7.view(clone).changesets.keys() == HG7.view(team).changesets.keys()
