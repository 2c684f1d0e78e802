"""The links of Mercurial's pages: where they lead, whatever the socket's address is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from wiredaemon.commands import Permission
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.worker.opening import KeptRepository
from wiredaemon.worker.public_links import asked_over, authority_of, scheme_of, with_base
from wiredaemon.worker.web import web
from wiredaemon.worker.wsgi_environ import environ

if TYPE_CHECKING:
    from worker.conftest import Repository

# Mercurial reads its templates and leaves them to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

ASKED: Final[dict[str, Any]] = {
    "method": b"GET",
    "server_name": b"hg.example.org",
    "server_port": 8443,
    "public_scheme": b"https",
    "script_name": b"/team",
    "public_path": b"/hg/team",
    # What the proxy asks us with, and nobody else should.
    "headers": ((b"Host", b"inner:8000"),),
}
PUBLIC: Final = "https://hg.example.org:8443/hg/team/"


class NoBody:
    def read(self, _size: int) -> bytes:
        return b""


def page(history: Repository, path: str) -> str:
    """Return the page at a path."""
    request = WebRequest(**ASKED, path_info=path.encode())
    kept = KeptRepository(history.path)
    context = CallContext(repository=b"", user="ann", permission=Permission.RO)
    answer: Any = web(kept, context, request=request, body=NoBody())
    head, *pieces = answer
    kept.close()
    assert head[b"status"] == 200
    return b"".join(pieces).decode()


def links(text: str) -> set[str]:
    """Return the links of a feed and the names in it that are made as links."""
    found = re.findall(r'href="([^"]*)"|<(?:id|guid[^>]*|link)>([^<]*)<', text)
    return {each for pair in found for each in pair if each}


@pytest.mark.parametrize(
    "path", ["/atom-log", "/rss-log", "/atom-tags", "/rss-tags", "/atom-bookmarks", "/rss-branches"]
)
def test_all_links_of_feeds_are_public_ones(history: Repository, path: str) -> None:
    found = links(page(history, path))
    assert len(found) > 2
    assert {each[: len(PUBLIC)] for each in found} == {PUBLIC}


def test_links_of_json_and_pages_are_public_ones(history: Repository) -> None:
    history.hgrc.write_text("[web]\nallow-archive = gz\n")
    assert '"https://hg.example.org:8443/hg/team/archive/' in page(history, "/json-summary")
    shown = page(history, "/shortlog")
    assert 'href="/hg/team/rev/' in shown
    assert 'href="/hg/team/static/' in shown
    assert 'href="/hg/team/archive/' in shown
    # A prefix is no part of the name.
    assert "<title>team: log</title>" in shown


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://code.example/x", "https://code.example/x/team/"),
        ("https://code.example/x/", "https://code.example/x/team/"),
        ("http://code.example:8080", "http://code.example:8080/team/"),
        ("http://[2001:db8::7]:81/", "http://[2001:db8::7]:81/team/"),
        ("/x", "https://hg.example.org:8443/x/team/"),
    ],
)
def test_the_setting_of_a_repository_stands_for_the_root_of_all_paths(
    history: Repository, base: str, expected: str
) -> None:
    history.hgrc.write_text(f"[web]\nbaseurl = {base}\nallow-archive = gz\n")
    found = links(page(history, "/rss-log"))
    assert {each[: len(expected)] for each in found} == {expected}
    archives = json.loads(page(history, "/json-summary"))["archives"]
    assert [each["url"].startswith(expected + "archive/") for each in archives] == [True]
    path = "/" + expected.split("/", 3)[3]
    assert f'href="{path}rev/' in page(history, "/shortlog")


class Application:
    """Mercurial's, as far as it is called."""

    def run_wsgi(self, request: Any, _response: Any) -> list[bytes]:
        return [request.urlscheme, request.advertisedbaseurl, request.baseurl]


@pytest.mark.parametrize(("is_secure", "scheme"), [(False, b"http"), (True, b"https")])
def test_hooks_are_told_how_the_client_asks_whatever_links_say(
    is_secure: bool,  # noqa: FBT001 parameter
    scheme: bytes,
) -> None:
    variables = environ(WebRequest(**ASKED), user=None, body=NoBody())
    application = asked_over(Application(), is_secure=is_secure)
    seen = list(application(variables, lambda *_: list[bytes]().append))
    assert seen == [scheme, *2 * [b"https://hg.example.org:8443"]]


@pytest.mark.parametrize("base", [None, b"", b"ftp://a/b", b"http://a:x/", b"https://[a"])
def test_what_is_no_base_changes_nothing(base: bytes | None) -> None:
    request = WebRequest(**ASKED)
    assert with_base(request, base) is request


@pytest.mark.parametrize(
    ("is_secure", "port", "expected"),
    [(False, 80, b"http a"), (True, 443, b"https a"), (False, 443, b"http a:443")],
)
def test_a_request_that_names_no_scheme_has_that_of_its_connection(
    is_secure: bool,  # noqa: FBT001 parameter
    port: int,
    expected: bytes,
) -> None:
    request = WebRequest(method=b"GET", server_name=b"a", server_port=port, is_secure=is_secure)
    assert b"%s %s" % (scheme_of(request), authority_of(request)) == expected
