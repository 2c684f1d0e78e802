from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.web import FakeHost, Web, ask, settings_of, text_answer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from wiredaemon.net.hgweb.index_page import render_page
from wiredaemon.net.hgweb.index_rows import Query, Row
from wiredaemon.net.hgweb.index_styles import STYLES, Links
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wiredaemon.net.hosting.collection import Names

NOTHING: Final = text_answer("404 Not Found", b"no repository is served at this path\n")
HTML: Final = [
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-cache",
    "Vary: Accept",
]
VOID: Final = {"meta"}
ENTRIES: Final = {"atom": "{http://www.w3.org/2005/Atom}entry", "rss": "item"}


def described(
    description: str = "", contact: str = "", *, access: AccessRules | None = None, **more: Any
) -> Settings:
    return Settings(
        switches=ApiSwitches(),
        access=access or AccessRules(),
        description=description,
        contact=contact,
        **more,
    )


class Page(HTMLParser):
    """Reads a page, and checks that what was opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.sorts: list[str] = []
        self.is_loaded_again = False
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        for name, value in attrs:
            assert name in {"lang", "charset", "href", "datetime", "http-equiv", "content"}
            if name == "href":
                links = self.sorts if (value or "").startswith("?") else self.links
                links.append(value or "")
            if name == "http-equiv":
                self.is_loaded_again = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data

    @property
    def cells(self) -> list[list[str]]:
        """The rows below the head."""
        assert self.rows[:1] in ([], [["Name", "Description", "Contact", "Last change"]])
        return self.rows[1:]


def path_of(names: Names) -> str:
    """A link to a path."""
    return "".join(f"/{quote(name, safe='')}" for name in names) + "/"


def rendered(names: Names, rows: Sequence[Row]) -> str:
    """The page, where nobody else needs a turn."""
    pages: list[bytes] = []
    page = render_page(
        *(names, rows, path_of),
        query=Query.parse(b""),
        is_cut=False,
        is_partial=False,
        take_turns=lambda: succeed(None),
    )
    Deferred.fromCoroutine(page).addCallback(pages.append)
    return pages[0].decode()


def page_of(answer: bytes) -> Page:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = f"Content-Length: {len(body)}"
    assert head.decode().split("\r\n") == ["HTTP/1.1 200 OK", *HTML, length]
    return Page(body.decode("utf-8"))


def hosts_of(folder: Path, settings: Mapping[str, Settings | Deferred[Settings]]) -> HostLookup:
    """Make repositories, served below ``/team``, with these settings."""
    for name in settings:
        (folder / name / ".hg").mkdir(parents=True)

    def make_host(path: bytes) -> FakeHost:
        host = FakeHost()
        host.now = settings[os.path.relpath(os.fsdecode(path), folder)]
        return host

    return HostLookup({}, [Collection(prefix="/team", folder=folder)], make_host=make_host)


def test_a_collection_lists_its_repositories_by_name(tmp_path: Path) -> None:
    hosts = hosts_of(
        tmp_path,
        {
            "two": described("The second", "Bob <bob@example.com>"),
            "one": described(),
            "sub/three": described("Deeper"),
        },
    )
    store = tmp_path / "two/.hg/store"
    store.mkdir()
    (store / "00changelog.i").touch()
    os.utime(store / "00changelog.i", (0, 1_700_000_000))
    web = Web("0006", hosts=hosts)
    for target in ("/team", "/team/", "/team?style=paper"):
        page = page_of(web.exchange(ask("GET", target)))
        assert page.cells == [
            ["one", "", "", ""],
            ["sub/three", "Deeper", "", ""],
            ["two", "The second", "Bob <bob@example.com>", "2023-11-14 22:13 UTC"],
        ]
        assert page.links == ["/", "/team/one/", "/team/sub/three/", "/team/two/"]
        assert "Repositories in team/" in page.texts
        assert page.tags.isdisjoint({"script", "img", "link", "iframe", "form"})
    page = page_of(web.exchange(ask("GET", "/")))
    assert page.links == ["/team/one/", "/team/sub/three/", "/team/two/"]
    page = page_of(web.exchange(ask("GET", "/team/sub")))
    assert (page.cells, page.links) == (
        [["three", "Deeper", "", ""]],
        ["/team/", "/team/sub/three/"],
    )


def test_a_time_beyond_any_calendar_is_not_shown() -> None:
    memory = Path("/dev/shm")  # noqa: S108 ext4 keeps no such times
    if not os.access(memory, os.W_OK):
        pytest.skip("there is no file system here that keeps any time")
    with TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        hosts = hosts_of(folder, {"one": described()})
        index = folder / "one/.hg/store/00changelog.i"
        index.parent.mkdir()
        index.touch()
        os.utime(index, (0, 10**15))
        page = page_of(Web("0006", hosts=hosts).exchange(ask("GET", "/team/")))
        assert page.cells == [["one", "", "", ""]]


@pytest.mark.parametrize(
    ("target", "accept"),
    [
        ("/team?style=raw", None),
        ("/team", "text/plain"),
        ("/team/", "application/x, Text/Plain;q=1"),
    ],
)
def test_a_list_is_given_as_text_to_those_who_want_it(
    tmp_path: Path, target: str, accept: str | None
) -> None:
    hosts = hosts_of(tmp_path, {"two": described(), "a b\n": described()})
    headers = {"Accept": accept} if accept else {}
    assert Web("0006", hosts=hosts).exchange(ask("GET", target, headers)) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\nVary: Accept\r\n"
        b"Content-Length: 27\r\n\r\n/team/a%20b%0A/\n/team/two/\n"
    )


def test_who_takes_html_too_is_given_html(tmp_path: Path) -> None:
    headers = {"Accept": "text/html,text/plain;q=0.8"}
    page_of(Web(hosts=hosts_of(tmp_path, {})).exchange(ask("GET", "/team", headers)))


def test_head_gives_the_head_and_other_methods_are_refused(tmp_path: Path) -> None:
    web = Web("0006", hosts=hosts_of(tmp_path, {"sub/one": described()}))
    for target in ("/", "/team", "/team/sub"):
        whole = web.exchange(ask("GET", target))
        assert web.exchange(ask("HEAD", target)) == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        for method in ("POST", "PUT", "OPTIONS"):
            answer = web.exchange(ask(method, target))
            assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
            assert b"\r\nAllow: GET, HEAD\r\n" in answer
    assert web.exchange(ask("POST", "/team/other")) == NOTHING


def test_a_folder_without_repositories_is_as_good_as_none(tmp_path: Path) -> None:
    hosts = hosts_of(tmp_path, {"one": described()})
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    web = Web("0006", hosts=hosts)
    for target in ("/team/empty", "/team/file", "/team/no", "/team/..", "/team/%2e%2e", "/other"):
        assert web.exchange(ask("GET", target)) == NOTHING


def test_an_empty_collection_and_a_missing_one_say_that_nothing_is_there(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        collection = Collection(prefix="/team", folder=folder)
        page = page_of(
            Web("0006", hosts=HostLookup({}, [collection])).exchange(ask("GET", "/team"))
        )
        assert page.rows == []
        assert "There is nothing to list." in page.texts


def test_the_parents_of_single_entries_list_them() -> None:
    web = Web("0006", hosts={"/team/tools/one": FakeHost(), "/team/two": FakeHost()})
    assert page_of(web.exchange(ask("GET", "/team"))).links == [
        "/",
        "/team/tools/one/",
        "/team/two/",
    ]
    assert page_of(web.exchange(ask("GET", "/"))).links == ["/team/tools/one/", "/team/two/"]
    assert web.exchange(ask("GET", "/tools")) == NOTHING


# --- who sees what ----------------------------------------------------------------------------


def test_only_what_the_peer_may_read_and_nobody_hides_is_listed(tmp_path: Path) -> None:
    settings = {
        "open": described(),
        "hidden": described(hidden=True),
        "denied": described(access=AccessRules(deny_read=("*",))),
        "named": described(access=AccessRules(allow_read=("ann",))),
        "all": described(access=AccessRules(allow_read=("*",))),
        "nopull": described(access=AccessRules(allow_pull=False)),
        "secret/folder": described(access=AccessRules(allow_read=("ann",))),
    }
    web = Web("0006", hosts=hosts_of(tmp_path, settings))
    answer = web.exchange(ask("GET", "/team"))
    assert [name for name, *_ in page_of(answer).cells] == ["all", "nopull", "open"]
    for word in (b"hidden", b"denied", b"named", b"secret"):
        assert word not in answer
    # Not even that there is such a folder.
    assert web.exchange(ask("GET", "/team/secret")) == NOTHING
    assert web.exchange(ask("POST", "/team/secret")) == NOTHING


def test_a_repository_that_cannot_be_described_is_left_out(tmp_path: Path) -> None:
    broken: Deferred[Settings] = Deferred()
    hosts = hosts_of(tmp_path, {"broken": broken, "one": described()})
    connection = Web("0006", hosts=hosts).connect()
    assert connection.exchange(ask("GET", "/team")) == b""
    broken.errback(OSError("broken"))
    assert [name for name, *_ in page_of(connection.take()).cells] == ["one"]


def test_the_answer_waits_for_what_is_asked_for_and_keeps_its_order(tmp_path: Path) -> None:
    settings: dict[str, Settings | Deferred[Settings]] = {name: Deferred() for name in "abcdef"}
    connection = Web("0006", hosts=hosts_of(tmp_path, settings)).connect()
    assert connection.exchange(ask("GET", "/team") + ask("GET", "/team/no")) == b""
    for name in "dcbafe":
        waiting = settings[name]
        assert isinstance(waiting, Deferred)
        waiting.callback(described(name))
    answer = connection.take()
    assert answer.endswith(NOTHING)
    page = page_of(answer.removesuffix(NOTHING))
    assert [description for _, description, *_ in page.cells] == list("abcdef")


def test_for_a_client_that_has_gone_nothing_more_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []
    settings: dict[str, Deferred[Settings]] = {f"{number:02}": Deferred() for number in range(20)}
    for name in settings:
        (tmp_path / name / ".hg").mkdir(parents=True)

    class Slow(FakeHost):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def known_settings(self) -> None:
            """Nothing is known before it was asked for."""

        def settings(self) -> Any:
            asked.append(self.name)
            return settings[self.name]

    hosts = HostLookup(
        {},
        [Collection(prefix="/", folder=tmp_path)],
        make_host=lambda path: Slow(os.path.basename(path).decode()),  # noqa: PTH119 bytes
    )
    connection = Web("0006", hosts=hosts).connect()
    connection.send(ask("GET", "/"))
    before = list(asked)
    assert 0 < len(before) < 20
    connection.protocol.connectionLost(Failure(ConnectionLost()))
    for name in before:
        settings[name].callback(settings_of())
    assert asked == before


# --- bounds -----------------------------------------------------------------------------------


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    names = [f"{number:03}" for number in range(200)]
    for name in names:
        (tmp_path / name / ".hg").mkdir(parents=True)
    hosts = HostLookup(
        {},
        [Collection(prefix="/", folder=tmp_path)],
        make_host=lambda _: FakeHost(),
        limits=Limits(index_entries=150),
    )
    web = Web("0006", hosts=hosts)
    connection = web.connect()
    # Others have their turn in between.
    assert connection.exchange(ask("GET", "/")) == b""
    for _ in range(10):
        web.clock.advance(0)
    page = page_of(connection.take())
    assert [name for name, *_ in page.cells] == names[:150]
    assert "There are more than this list can hold." in page.texts


# --- what comes from outside is text ----------------------------------------------------------

EVIL: Final = "\"><script>alert(1)</script>&amp;'<!--"


def test_names_descriptions_and_contacts_are_never_markup(tmp_path: Path) -> None:
    name = EVIL.replace("/", "")
    hosts = hosts_of(tmp_path, {f"sub'\"<b>/{name}": described(EVIL, EVIL)})
    web = Web("0006", hosts=hosts)
    page = page_of(web.exchange(ask("GET", "/team/sub'%22%3Cb%3E")))
    assert page.cells == [[name, EVIL, EVIL, ""]]
    assert "script" not in page.tags
    assert page.links == [
        "/team/",
        "/team/sub%27%22%3Cb%3E/%22%3E%3Cscript%3Ealert%281%29%3Cscript%3E%26amp%3B%27%3C%21--/",
    ]
    # The link leads there.
    assert web.exchange(ask("GET", page.links[1])).startswith(b"HTTP/1.1 200 OK")
    assert web.exchange(ask("GET", f"{page.links[1]}api")).startswith(b"HTTP/1.1 200 OK")


def test_a_name_that_is_not_utf_8_is_shown_as_far_as_it_can_be_and_linked_right(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"caf\xe9")
    web = Web("0006", hosts=hosts_of(tmp_path, {name: described(), "ü": described()}))
    page = page_of(web.exchange(ask("GET", "/team")))
    assert [shown for shown, *_ in page.cells] == ["caf\ufffd", "ü"]
    assert page.links[1:] == ["/team/caf%E9/", "/team/%C3%BC/"]
    assert web.exchange(ask("GET", "/team/caf%E9/api")).startswith(b"HTTP/1.1 200 OK")


PART: Final = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name)
TEXT: Final = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(
    above=st.lists(PART, max_size=2).map(tuple),
    rows=st.lists(
        st.builds(
            Row,
            st.lists(PART, min_size=1, max_size=2).map(tuple),
            TEXT,
            TEXT,
            st.none() | st.floats(0, 2e9),
        ),
        max_size=4,
    ),
)
def test_whatever_is_shown_the_page_has_one_row_for_each_repository_and_only_our_tags(
    above: Names, rows: Iterable[Row]
) -> None:
    placed = [row._replace(names=above + row.names) for row in rows]
    page = Page(rendered(above, placed))
    assert page.tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "p", "a", "time"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert [row[1:3] for row in page.cells] == [[row.description, row.contact] for row in placed]
    links = Links(path_of, lambda names: f"http://hg.example{path_of(names)}")
    for name, style in STYLES.items():
        listed = style.render(above, placed, links)
        if name == "raw":
            assert len(listed.splitlines()) == len(placed)
        elif name == "json":
            entries = json.loads(listed)["entries"]
            assert [each["url"] for each in entries] == [path_of(row.names) for row in placed]
        else:
            feed = ET.fromstring(listed)  # noqa: S314 of our own
            assert len(list(feed.iter(ENTRIES[name]))) == len(placed)
