"""The forms of lists for programs, and what sorts, leaves out and joins their rows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from net.hgweb.test_repository_index import described, hosts_of, page_of
from support.web import FakeHost, Web, ask

from wiredaemon.net.hgweb.index_rows import Query, Row, arrange
from wiredaemon.net.hosting.collection import Collection, names_of
from wiredaemon.net.hosting.host_lookup import HostLookup, ListShape

if TYPE_CHECKING:
    from pathlib import Path

ATOM = "{http://www.w3.org/2005/Atom}"


def rows_of(*paths: str) -> list[Row]:
    return [
        Row(names_of(f"/team/{path}"), "", "", float(number)) for number, path in enumerate(paths)
    ]


def arranged(rows: list[Row], query: bytes = b"", **shape: bool) -> list[str]:
    below = names_of("/team")
    found = arrange(rows, below, ListShape(**shape), Query.parse(query))
    return [row.shown(below) for row in found]


@pytest.fixture
def web(tmp_path: Path) -> Web:
    settings = {
        "b": described("Second & <last>", "Ann", name="named", labels=("x", "y")),
        "a": described("first", ""),
        "sub/c": described("", "bob"),
    }
    hosts = hosts_of(tmp_path, settings)
    for number, name in enumerate(("a", "sub/c", "b")):
        store = tmp_path / name / ".hg/store"
        store.mkdir()
        (store / "00changelog.i").touch()
        os.utime(store / "00changelog.i", (0, 1_700_000_000 + number))
    return Web("0006", hosts=hosts)


def listed(web: Web, query: str) -> tuple[str, Any]:
    """Type and content of a list."""
    answer = web.exchange(ask("GET", f"/team?{query}"))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    kind = next(line for line in lines if line.startswith("Content-Type: "))
    return kind.partition(": ")[2], body


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["a", "b", "sub/c"]),
        ("name", ["a", "b", "sub/c"]),
        ("-name", ["sub/c", "b", "a"]),
        # "unknown", which small letters sort behind all others.
        ("description", ["a", "b", "sub/c"]),
        ("contact", ["b", "sub/c", "a"]),
        ("-contact", ["a", "sub/c", "b"]),
        ("lastchange", ["b", "sub/c", "a"]),
        ("-lastchange", ["a", "sub/c", "b"]),
        ("nothing", ["a", "b", "sub/c"]),
    ],
)
def test_a_list_is_sorted_by_any_column_and_its_page_too(
    web: Web, sort: str, expected: list[str]
) -> None:
    _, body = listed(web, f"style=raw&sort={sort}")
    assert body.decode().split() == [f"/team/{name}/" for name in expected]
    page = page_of(web.exchange(ask("GET", f"/team?sort={sort}")))
    assert page.links[1:] == [f"/team/{name}/" for name in expected]
    turned = "-name" if sort == "name" else "name"
    assert page.sorts[0] == f"?sort={turned}"


def test_json_has_the_keys_of_hgwebdir_and_the_path(web: Web) -> None:
    kind, body = listed(web, "style=json")
    assert kind == "application/json"
    assert json.loads(body)["entries"] == [
        {
            "name": "a",
            "description": "first",
            "contact": "unknown",
            "lastchange": [1_700_000_000, 0],
            "labels": [],
            "url": "/team/a/",
        },
        {
            "name": "named",
            "description": "Second & <last>",
            "contact": "Ann",
            "lastchange": [1_700_000_002, 0],
            "labels": ["x", "y"],
            "url": "/team/b/",
        },
        {
            "name": "sub/c",
            "description": "unknown",
            "contact": "bob",
            "lastchange": [1_700_000_001, 0],
            "labels": [],
            "url": "/team/sub/c/",
        },
    ]


def test_a_feed_has_an_entry_for_each_repository_with_whole_urls(web: Web) -> None:
    kind, body = listed(web, "style=atom&sort=lastchange")
    assert kind == "application/atom+xml; charset=utf-8"
    feed = ET.fromstring(body)  # noqa: S314 of our own
    assert feed.findtext(f"{ATOM}updated") == "2023-11-14T22:13:22+00:00"
    assert feed.findtext(f"{ATOM}id") == "http://test/team/"
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [
        f"http://test/team/{name}/" for name in ("b", "sub/c", "a")
    ]
    assert entries[0].findtext(f"{ATOM}content") == "Second & <last>"
    assert entries[0].findtext(f"{ATOM}title") == "named"
    assert entries[0].findtext(f"{ATOM}author/{ATOM}name") == "Ann"


def test_the_same_as_rss(web: Web) -> None:
    kind, body = listed(web, "style=rss")
    assert kind == "text/xml; charset=utf-8"
    items = ET.fromstring(body).findall("channel/item")  # noqa: S314 likewise
    assert [item.findtext("link") for item in items] == [
        f"http://test/team/{name}/" for name in ("a", "b", "sub/c")
    ]
    assert items[0].findtext("pubDate") == "Tue, 14 Nov 2023 22:13:20 +0000"


def test_an_unknown_style_is_the_page(web: Web) -> None:
    assert len(page_of(web.exchange(ask("GET", "/team?style=paper"))).cells) == 3


def test_index_behind_a_path_is_its_list(web: Web) -> None:
    for path in ("/index", "/team/index", "/team/sub/index"):
        asked = web.exchange(ask("GET", path))
        assert asked == web.exchange(ask("GET", path.removesuffix("index")))
        assert asked.startswith(b"HTTP/1.1 200")
    assert web.exchange(ask("GET", "/team/other/index")).startswith(b"HTTP/1.1 404")


def test_without_descend_only_the_folder_itself_is_listed() -> None:
    assert arranged(rows_of("a", "b/c", "d"), descend=False) == ["a", "d"]
    assert arranged(rows_of("a", "b/c", "d"), descend=False, collapse=True) == ["a", "d"]


def test_a_folder_stands_for_its_repositories_where_lists_collapse() -> None:
    rows = rows_of("a", "b/c", "b/d/e", "f", "f/inside")
    assert arranged(rows, collapse=True) == ["a", "b/", "f", "f/inside"]
    assert arranged(rows, b"sort=lastchange", collapse=True) == ["f/inside", "f", "b/", "a"]
    assert arranged(rows, b"sort=-name", collapse=True) == ["f/inside", "f", "b/", "a"]


def test_the_shape_of_lists_is_that_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "sub/one/.hg").mkdir(parents=True)
    collection = Collection(prefix="/", folder=tmp_path)
    asked = [
        Web(
            hosts=HostLookup(
                {},
                [collection],
                make_host=lambda _: FakeHost(),
                shape=shape,
            )
        )
        for shape in (ListShape(descend=False), ListShape(collapse=True))
    ]
    assert [page_of(web.exchange(ask("GET", "/"))).links for web in asked] == [[], ["/sub/"]]
