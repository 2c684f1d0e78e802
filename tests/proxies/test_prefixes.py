"""nginx in front below a prefix, taken off as docs/proxies.md shows it, or kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from support.documents import documented
from support.environment import LOOPBACK
from support.hg import HG7, Hg
from support.links import archives_in, fetch, links_in
from support.proxies import nginx, replaced
from support.repositories import make_repository, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN: Final = "[web]\nallow-push = *\npush_ssl = no\nallow-archive = gz\n"
TRUSTED: Final = f'[proxy]\ntrusted = ["{LOOPBACK}"]\n'
EXAMPLE: Final = documented("nginx: a prefix that it takes off")
TAKEN_OFF: Final = "127.0.0.1:8000/;"
NAMED: Final = "X-Forwarded-Prefix /hg;"
FEEDS: Final = ("atom-log", "rss-log", "atom-tags", "rss-branches", "atom-bookmarks")


@contextmanager
def served(folder: Path, above: str, tables: str) -> Iterator[Served]:
    """Serve a collection with a repository that had another name before, and one below it."""
    for name in ("a b", "x/deep"):
        place = folder / "all" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_hgrc(make_repository(place), OPEN)
        (place / "file").write_text("content")
        HG7.run("commit", "--addremove", "-m", "a file", "-u", "ann", folder=place)
    tables += f'[moved]\n"{above}/before" = "{above}/team"\n'
    folders = {f"{above[1:]}/team/*".lstrip("/"): folder / "all" / "*"}
    with Served.start(folders, folder, tables=tables) as running:
        yield running


@pytest.fixture(scope="module", params=["taken off", "kept"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("prefix")
    is_kept = request.param == "kept"
    with served(folder, "/hg" if is_kept else "", TRUSTED) as running:
        to = f"{LOOPBACK}:{running.daemon.port()}"
        changes = {"listen 80": "listen @LISTEN@", TAKEN_OFF: f"{to};" if is_kept else f"{to}/;"}
        if is_kept:
            changes[NAMED] = 'X-Forwarded-Prefix "";'
        with nginx(replaced(EXAMPLE, changes), folder) as listening:
            yield listening


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
@pytest.mark.parametrize("feed", FEEDS)
def test_links_of_feeds_lead_to_where_the_client_asks(port: int, host: str, feed: str) -> None:
    status, text = fetch(host, port, f"/hg/team/a%20b/{feed}")
    assert status == 200
    start = f"http://{host}:{port}/hg/team/a%20b/"
    assert {link[: len(start)] for link in links_in(text)} == {start}


def test_links_to_archives_can_be_followed(port: int) -> None:
    _, text = fetch(LOOPBACK, port, "/hg/team/a%20b/json-summary")
    (archive,) = archives_in(text)
    start = f"http://{LOOPBACK}:{port}"
    # Mercurial's template for JSON quotes nothing.
    assert archive.startswith(f"{start}/hg/team/a b/archive/")
    assert fetch(LOOPBACK, port, archive.removeprefix(start).replace(" ", "%20"))[0] == 200


def test_links_of_pages_and_lists_lead_to_pages(port: int) -> None:
    _, page = fetch(LOOPBACK, port, "/hg/team/a%20b/")
    _, lists = fetch(LOOPBACK, port, "/hg/team/", {"Accept": "text/html"})
    _, plain = fetch(LOOPBACK, port, "/hg/team/?style=raw")
    assert plain == "/hg/team/a%20b/\n/hg/team/x/deep/\n"
    found = links_in(page) | links_in(lists)
    assert {"/hg/team/a%20b/", "/hg/team/x/deep/", "/hg/team/a%20b/shortlog/tip"} <= found
    followed = {link for link in found if link.startswith("/hg/team")}
    assert len(followed) > 10
    assert {fetch(LOOPBACK, port, link)[0] for link in followed} == {200}


@pytest.mark.parametrize("release", ["7", "6"])
def test_clients_clone_and_push_and_follow_a_repository_that_has_moved(
    port: int, release: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    hg: Hg = HG7 if release == "7" else request.getfixturevalue("hg6")
    clone = tmp_path / "clone"
    old = f"http://{LOOPBACK}:{port}/hg/before/a%20b"
    printed = hg.text("clone", old, str(clone), folder=tmp_path)
    assert f"real URL is http://{LOOPBACK}:{port}/hg/team/a%20b" in printed
    (clone / release).write_text(release)
    hg.run("commit", "--addremove", "-m", release, "-u", "ann", folder=clone)
    hg.run("push", f"http://{LOOPBACK}:{port}/hg/team/a%20b", folder=clone)
    hg.run("clone", f"http://{LOOPBACK}:{port}/hg/team/a%20b", "again", folder=tmp_path)
    assert hg.nodes(".", folder=tmp_path / "again") == hg.nodes(".", folder=clone)


def test_without_a_word_of_nginx_a_configured_url_does_as_well(tmp_path: Path) -> None:
    tables = '[public_urls]\n"/" = "https://hg.example.org/hg"\n'
    with served(tmp_path, "", tables) as running:
        to = f"{LOOPBACK}:{running.daemon.port()}"
        text = replaced(
            EXAMPLE,
            {"listen 80": "listen @LISTEN@", TAKEN_OFF: f"{to}/;", f"proxy_set_header {NAMED}": ""},
        )
        with nginx(text, tmp_path) as port:
            found = links_in(fetch(LOOPBACK, port, "/hg/team/a%20b/rss-log")[1])
            start = "https://hg.example.org/hg/team/a%20b/"
            assert {link[: len(start)] for link in found} == {start}
            _, plain = fetch(LOOPBACK, port, "/hg/team/?style=raw")
            assert plain.splitlines()[0] == "https://hg.example.org/hg/team/a%20b/"
