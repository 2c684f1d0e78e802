"""The site of the documents is made without a warning, and its links lead to something."""

from __future__ import annotations

import posixpath
import tomllib
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from sphinx.util.inventory import InventoryFile
from support.site import PAGES, ROOT

HOME: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
    "Documentation"
]
"""Where the site will be: each page names its own place there."""

PACKAGES: Final = (
    "wiredaemon",
    "wiredaemon.client",
    "wiredaemon.commands",
    "wiredaemon.protocol",
    "wiredaemon.service",
    "wiredaemon.testing",
)
"""Those that say what is public."""

HOMES: Final = ("wiredaemon", "wiredaemon.commands")
"""Where names are that several of them have."""

MADE_BY_THE_THEME: Final = frozenset({"", "searchbox"})
"""Fragments that need no target, or get it by a script."""


class Links(HTMLParser):
    """What one page links to, and where others can link to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        """What a browser fetches to show the page."""
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.targets += [named[name] or "" for name in ("href", "src") if name in named]
        if tag != "a":
            self.loaded += [named[name] or "" for name in ("href", "src") if name in named]
        self.anchors |= {value for name, value in attrs if name == "id" and value}


def test_the_site_is_made_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    made = {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")}
    assert {Path(name) for name in PAGES} - made == set()


def test_every_link_within_the_site_leads_to_a_file_and_a_place_in_it(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    missing: list[str] = []
    for page, links in pages.items():
        for link in links.targets:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.is_file() or parts.fragment not in anchors | MADE_BY_THE_THEME:
                missing.append(f"{page.relative_to(site)}: {link}")
    assert missing == []


def readme_links() -> tuple[set[str], set[str]]:
    """Return where the README links to, and all URLs that it defines at its end."""
    environment: dict[str, dict[str, dict[str, str]]] = {}
    tokens = MarkdownIt().parse((ROOT / "README.md").read_text("utf-8"), environment)
    inline = [child for token in tokens for child in token.children or ()]
    used = {str(token.attrs["href"]) for token in inline if token.type == "link_open"}
    return used, {each["href"] for each in environment["references"].values()}


def test_every_link_of_the_readme_is_absolute_and_leads_to_a_page_of_the_site(site: Path) -> None:
    used, defined = readme_links()
    assert used == defined
    missing = []
    for link in used:
        path, _, anchor = link.removeprefix(HOME).partition("#")
        page = site / (path or "index.html")
        if not page.is_file() or (anchor and anchor not in Links(page).anchors):
            missing.append(link)
    assert missing == []


def documented(site: Path) -> set[str]:
    """The names in the API."""
    with (site / "objects.inv").open("rb") as file:
        entries = InventoryFile.load(file, "", posixpath.join)
    return {name for kind, of_kind in entries.items() if kind.startswith("py:") for name in of_kind}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_api(site: Path, package: str) -> None:
    found = documented(site)
    names = import_module(package).__all__
    assert [
        name for name in names if not {f"{home}.{name}" for home in (package, *HOMES)} & found
    ] == []


def test_the_api_has_of_a_call_what_its_caller_may_use(site: Path) -> None:
    prefix = "wiredaemon.client.Call."
    found = {name.removeprefix(prefix) for name in documented(site) if name.startswith(prefix)}
    assert found == {"is_over", "result", "close", "aclose"}


def test_a_browser_asks_no_other_server_for_a_page(site: Path) -> None:
    loaded = [link for page in site.rglob("*.html") for link in Links(page).loaded]
    assert loaded
    assert {link for link in loaded if urlsplit(link).netloc and not link.startswith(HOME)} == set()
