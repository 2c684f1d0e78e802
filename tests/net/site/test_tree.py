"""Paths: which host, API or page each leads to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.eras import (
    ERAS,
    INDEX,
    ONE,
    READ,
    host_of,
)
from support.web import (
    API,
    FIRST,
    MEDIA,
    FakeHost,
    Web,
    ask,
    framed_answer,
    posted,
    text_answer,
)

from wiredaemon.net.hosting.access import ApiSwitches
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path


# --- paths -------------------------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize(
    "target",
    [
        "/api/{api}/ro/customreadonly/",
        "/api/{api}/ro/customreadonly//",
        "/api/{api}/ro/customreadonly/more/x",
        "/api/{api}/ro/customreadonly//x",
        "//api/{api}/ro/customreadonly",
        "/%61%70i/{api}/r%6F/custom%72eadonly",
        "/api%2F{api}%2fro/customreadonly",
        "/api/{api}/ro/customreadonly?cmd=heads&x",
        "/api/{api}/ro/customreadonly?/zz",
    ],
)
def test_one_command_has_many_spellings(era: str, target: str) -> None:
    headers = {
        "Accept": MEDIA[era],
        "Content-Type": MEDIA[era],
        "Content-Length": str(len(ONE[era])),
    }
    request = ask("POST", target.format(api=API[era]), headers) + ONE[era]
    assert Web(era).exchange(request) == framed_answer(era, *READ[era])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/API", b"API"),
        ("/Api/exp-http-v2-0001", b"Api"),
        ("/zz", b"zz"),
        ("/zz/api", b"zz"),
        ("/apix", b"apix"),
        ("/a%0D%0Ab", b"a??b"),
        ("/%FF", b"?"),
        ("*", b"*"),
        ("/?cmd=heads", b"heads"),
        ("/?cmd=%FF%0A", b"??"),
        ("/?cmd=c&cmd=a+b", b"a b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_path_that_is_none_of_the_pages_is_named(target: str, name: bytes, method: str) -> None:
    assert Web().exchange(ask(method, target)) == text_answer(
        f"400 no such method: {name.decode()}", b"no such method: " + name + b"\n"
    )


def test_a_version_1_command_below_the_repository_is_not_found() -> None:
    assert Web().exchange(ask("GET", "/foo?cmd=heads")) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/mercurial-0.1\r\n"
        b"Content-Length: 12\r\n\r\n0\nNot Found\n"
    )


@pytest.mark.parametrize("target", ["/", "//", "/?", "/?cmd=", "/?x=y"])
def test_the_root_says_what_this_is(target: str) -> None:
    assert Web().exchange(ask("GET", target)) == text_answer(
        "200 OK",
        b"wiredaemon serves Mercurial's frame-based wire protocol; see api below this path\n",
    )


def test_hosts_are_found_by_their_prefix() -> None:
    off = host_of(switches=ApiSwitches(enabled=False))
    web = Web("0003", hosts={"/team/one": FakeHost(), "/team": off, "/café": FakeHost()})
    nothing = text_answer("404 Not Found", b"no repository is served at this path\n")
    assert web.exchange(ask("GET", "/api")) == nothing
    assert web.exchange(ask("GET", "/team/api")).startswith(b"HTTP/1.1 400 no such method: api")
    assert web.exchange(ask("GET", "/team/two/api")) == text_answer(
        "400 no such method: two", b"no such method: two\n"
    )
    index = text_answer("200 OK", INDEX + b"exp-http-v2-0001")
    assert web.exchange(ask("GET", "/team/one/api")) == index
    assert web.exchange(ask("GET", "/caf%C3%A9/api/")) == index
    # The path that messages repeat begins behind the prefix.
    assert web.exchange(ask("GET", f"/team/one/api/{FIRST}/ro")) == text_answer(
        "404 Not Found", b"do not know how to process api/exp-http-v2-0001/ro\n"
    )


def make_repositories(folder: Path, *names: str) -> None:
    """Make what looks like repositories."""
    for name in names:
        (folder / name / ".hg").mkdir(parents=True)


def test_repositories_of_a_collection_come_and_go_also_for_a_head_that_is_remembered(
    tmp_path: Path,
) -> None:
    made: list[bytes] = []

    def make_host(path: bytes) -> FakeHost:
        made.append(path)
        return FakeHost()

    collections = [Collection(prefix="/team", folder=tmp_path, enters_repositories=True)]
    limits = Limits(known_repositories=1)
    hosts = HostLookup({}, collections, make_host=make_host, limits=limits)
    connection = Web("0006", hosts=hosts).connect()
    request = posted("0006", "customreadonly", ONE["0006"])
    request = request.replace(b"POST /api", b"POST /team/one/api", 1)
    missing = text_answer("404 Not Found", b"no repository is served at this path\n")
    answer = framed_answer("0006", *READ["0006"])
    assert connection.exchange(request) == missing
    make_repositories(tmp_path, "one", "two")
    for _ in range(3):
        assert connection.exchange(request) == answer
    assert len(made) == 1
    # Another repository takes its place among those that are known.
    assert connection.exchange(ask("GET", "/team/two/api")).startswith(b"HTTP/1.1 200 OK")
    assert connection.exchange(request) == answer
    assert [os.path.basename(path) for path in made] == [b"one", b"two", b"one"]  # noqa: PTH119 bytes
    # A nearer one takes what was behind the name.
    make_repositories(tmp_path, "one/api")
    assert connection.exchange(request) == text_answer(
        "400 no such method: exp-http-v2-0003", b"no such method: exp-http-v2-0003\n"
    )
    (tmp_path / "one" / "api" / ".hg").rmdir()
    assert connection.exchange(request) == answer
    (tmp_path / "one" / ".hg").rmdir()
    assert connection.exchange(request) == missing
    assert connection.exchange(request) == missing


TRAPS: Final = [
    *("/", "..", ".", "%2e%2e", "%2E.", "%2F", "%2f..", "%5c", "\\", "%00", "%252e%252e", "%252F"),
    *(
        ".hg",
        "%2ehg",
        ".HG",
        ".Hg%2Fpatches",
        "patches",
        "team",
        "one",
        "two",
        "out",
        "link",
        "api",
    ),
    *("//", "?", ";", "%", "%ff", "..;", "hgrc", "http://x"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(TRAPS), max_size=10), glue=st.sampled_from(["", "/"]))
def test_whatever_a_url_says_nothing_outside_of_the_collection_is_opened(
    tmp_path: Path, parts: list[str], glue: str
) -> None:
    if not (tmp_path / "top").exists():
        make_repositories(
            tmp_path, "out", "two", "top/one", "top/one/.hg/patches", "top/.two", "top/sub/two"
        )
        (tmp_path / "top" / "link").symlink_to(tmp_path / "out")
    opened: set[str] = set()

    def make_host(path: bytes) -> FakeHost:
        opened.add(os.path.relpath(os.fsdecode(path), tmp_path))
        return FakeHost()

    collections = [
        Collection(prefix="/", folder=tmp_path / "top"),
        Collection(prefix="/team", folder=tmp_path / "top", enters_repositories=True),
    ]
    web = Web("0006", hosts=HostLookup({}, collections, make_host=make_host))
    answer = web.connect().exchange(ask("GET", "/" + glue.join(parts)))
    # Lists name all that is served, and nothing else.
    assert opened <= {"top/one", "top/sub/two"}
    for name in (b"out", b".two", b"patches", b"link"):
        assert b'/%s/"' % name not in answer


def test_every_era_is_tested() -> None:
    assert set(API) == set(DIALECTS) - {"0004"}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://example.org/api", "/api"),
        ("https://example.org:8443/api/", "/api"),
        ("http://example.org/nothing?x=1", "/nothing?x=1"),
        ("http://example.org", "/"),
    ],
)
def test_a_whole_url_as_request_target_is_its_path(target: str, path: str) -> None:
    asked = "GET {} HTTP/1.1\r\nHost: example.org\r\n\r\n"
    answers = [Web("0006").exchange(asked.format(each).encode()) for each in (target, path)]
    assert answers[0] == answers[1]
