"""The URLs by which clients know what is served: configured, forwarded, asked for, or our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from support.hgweb import Hosted
from support.logins import Users, identification_of
from support.web import ask
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from wiredaemon.net.hosting.collection import names_of
from wiredaemon.net.http.proxies import ForwardedHeaders, parse_proxies
from wiredaemon.net.http.public_urls import PublicUrl, PublicUrls, SeenUrls, parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.net.http.identification import Identification

FOR: Final = "X-Forwarded-For"
HOST: Final = "X-Forwarded-Host"
PREFIX: Final = "X-Forwarded-Prefix"
PROTO: Final = "X-Forwarded-Proto"
CLIENT: Final = "203.0.113.5"
INNER: Final = "10.0.0.9"


def behind(
    address: str = "192.168.1.1", headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED
) -> Identification:
    """Return what believes a proxy, by default the one that asks."""
    return identification_of(Users(), proxies=parse_proxies([address, INNER], headers=headers))


def url_of(hosted: Hosted, request: bytes) -> str:
    """Return the URL that a worker is told for the repository, without any default port."""
    hosted.send(request)
    sent = hosted.workers.asked[-1][1]
    assert sent.public_scheme is not None
    known = PublicUrl(
        scheme=sent.public_scheme,
        host=sent.server_name,
        port=sent.server_port,
        path=sent.public_path or b"",
    )
    return f"{known.scheme.decode()}://{known.authority.decode()}{known.path.decode()}"


def get(target: str, lines: Mapping[str, str]) -> bytes:
    named = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {target} HTTP/1.1\r\n{named}\r\n".encode("latin-1")


def asked(
    lines: Mapping[str, str],
    identification: Identification | None = None,
    target: str = "/team/log",
) -> str:
    hosted = Hosted(identification=identification, path="/team")
    return url_of(hosted, get(target, lines))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("hg.example.org", "http://hg.example.org/team"),
        ("hg.example.org:", "http://hg.example.org/team"),
        ("hg.example.org:80", "http://hg.example.org/team"),
        ("hg.example.org:8000", "http://hg.example.org:8000/team"),
        ("[2001:db8::7]", "http://[2001:db8::7]/team"),
        ("[2001:db8::7]:8000", "http://[2001:db8::7]:8000/team"),
        ("127.0.0.1:443", "http://127.0.0.1:443/team"),
    ],
)
def test_without_a_proxy_the_client_knows_us_by_the_host_that_it_asks(
    host: str, expected: str
) -> None:
    assert asked({"Host": host}) == expected
    # What anybody can send counts from nobody.
    said = {"Host": host, HOST: "elsewhere.example", PREFIX: "/x", PROTO: "https"}
    assert asked(said) == expected
    assert asked(said, behind("192.0.2.1")) == expected


@pytest.mark.parametrize(
    "host", ["", "a b", 'a"><script>', "a/b", "ann@a", "a:99999", "a:0", "::1", "[::1", "a:x"]
)
def test_what_is_no_host_makes_no_link(host: str) -> None:
    hosted = Hosted(path="/team")
    hosted.transport.hostAddr = IPv4Address("TCP", "192.168.1.9", 8000)
    assert url_of(hosted, get("/team/log", {"Host": host})) == "http://192.168.1.9:8000/team"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (IPv4Address("TCP", "192.168.1.9", 8000), "http://192.168.1.9:8000/team"),
        (IPv6Address("TCP", "2001:db8::7", 8000), "http://[2001:db8::7]:8000/team"),
        (IPv6Address("TCP", "fe80::1%eth0", 80), "http://[fe80::1]/team"),
        (UNIXAddress(b"/run/socket"), "http://localhost/team"),
    ],
)
def test_a_client_that_names_no_host_gets_our_own_address(address: Any, expected: str) -> None:
    hosted = Hosted(path="/team")
    hosted.transport.hostAddr = address
    assert url_of(hosted, b"GET /team/log HTTP/1.0\r\n\r\n") == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({}, "http://inner/team"),
        ({PROTO: "https"}, "https://inner/team"),
        ({HOST: "hg.example.org"}, "http://hg.example.org/team"),
        ({HOST: "hg.example.org:444", PROTO: "https"}, "https://hg.example.org:444/team"),
        ({HOST: "hg.example.org:443", PROTO: "https"}, "https://hg.example.org/team"),
        ({HOST: "[2001:db8::7]:8443", PROTO: "https"}, "https://[2001:db8::7]:8443/team"),
        ({HOST: "a b"}, "http://inner/team"),
        ({PREFIX: "/hg"}, "http://inner/hg/team"),
        ({PREFIX: "/hg/"}, "http://inner/hg/team"),
        ({PREFIX: "/"}, "http://inner/team"),
        ({PREFIX: "/a/b%20c"}, "http://inner/a/b c/team"),
        # A client may write in front of what its proxy adds.
        ({HOST: "evil.example, hg.example.org"}, "http://hg.example.org/team"),
        ({PREFIX: "/evil, /hg"}, "http://inner/hg/team"),
        # With two proxies that are trusted two of them count.
        (
            {FOR: f"{CLIENT}, {INNER}", HOST: "evil.example, hg.example.org, inner"},
            "http://hg.example.org/team",
        ),
        (
            {FOR: f"{CLIENT}, {INNER}", PREFIX: "/evil, /outer, /inner"},
            "http://inner/outer/inner/team",
        ),
        ({FOR: f"{CLIENT}, {INNER}", HOST: "hg.example.org"}, "http://hg.example.org/team"),
        (
            {FOR: f"192.0.2.9, {CLIENT}", HOST: "evil.example, hg.example.org"},
            "http://hg.example.org/team",
        ),
    ],
)
def test_a_trusted_proxy_says_what_its_client_has_asked_for(
    lines: dict[str, str], expected: str
) -> None:
    assert asked({"Host": "inner", FOR: CLIENT, **lines}, behind()) == expected


@pytest.mark.parametrize(
    "prefix",
    [
        *("hg", "//evil.example", "/a//b", "/..", "/a/../b", "/%2e%2e", "/a?b", '/"', "/a%0ab"),
        *("/%2f%2fevil.example", "/%2Fevil.example", "/a%2f%2fb", "/%5cevil.example"),
    ],
)
def test_what_is_no_path_is_no_prefix(prefix: str) -> None:
    assert asked({"Host": "inner", PREFIX: prefix}, behind()) == "http://inner/team"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"for={CLIENT};host=hg.example.org;proto=https", "https://hg.example.org/team"),
        (f'for={CLIENT};host="hg.example.org:444";proto=https', "https://hg.example.org:444/team"),
        (f'for={CLIENT};host="[2001:db8::7]:81"', "http://[2001:db8::7]:81/team"),
        (f"for={CLIENT}", "http://inner/team"),
        (
            f"for=192.0.2.9;host=evil, for={CLIENT};host=hg.example.org, for={INNER};host=inner",
            "http://hg.example.org/team",
        ),
    ],
)
def test_so_does_the_standard_header(value: str, expected: str) -> None:
    lines = {"Host": "inner", "Forwarded": value, HOST: "evil.example", PREFIX: "/evil"}
    assert asked(lines, behind(headers=ForwardedHeaders.FORWARDED)) == expected


def test_where_proxies_set_no_headers_none_counts() -> None:
    lines = {"Host": "inner", HOST: "evil.example", PREFIX: "/evil", PROTO: "https"}
    assert asked(lines, behind(headers=ForwardedHeaders.NONE)) == "http://inner/team"


def configured(**urls: str) -> PublicUrls:
    made = {}
    for path, text in urls.items():
        url = parse_url(text)
        assert url is not None
        made[names_of(path)] = url
    return PublicUrls(made)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "https://hg.example.org/code/"),
        ("/other", "https://hg.example.org/code/other"),
        ("/team", "http://team.example:81"),
        ("/team/a", "http://team.example:81/a"),
        ("/team/b", "https://b.example/x"),
        ("/teams", "https://hg.example.org/code/teams"),
    ],
)
def test_what_is_configured_counts_before_all_else(path: str, expected: str) -> None:
    urls = {
        "/": "https://hg.example.org/code/",
        "/team": "http://team.example:81",
        "/team/b": "https://b.example/x",
    }
    hosted = Hosted(identification=behind(), public_urls=configured(**urls), path=path)
    target = f"{path.rstrip('/')}/log"
    lines = {HOST: "elsewhere.example", PREFIX: "/x"}
    assert url_of(hosted, ask("GET", target, lines)) == expected.rstrip("/")


def test_paths_that_are_not_configured_are_as_they_are_asked_for() -> None:
    urls = configured(**{"/team": "http://team.example"})
    hosted = Hosted(public_urls=urls, path="/other")
    assert url_of(hosted, ask("GET", "/other/log")) == "http://test/other"


@pytest.mark.parametrize(
    "text",
    [
        *("", "hg.example.org", "/hg", "//hg.example.org", "ftp://hg.example.org", "https://"),
        *("https://ann@hg.example.org", "https://hg.example.org?x", "https://hg.example.org#x"),
        *("https://hg.example.org:99999", "https://hg.example.org/..", "https://hg.example.org//a"),
        *(
            "https://[::1",
            "https://h\xe9",
            "https://h/\xe9",
            "https://h/a b",
            "HTTPS://h",
            "https://h?",
        ),
    ],
)
def test_what_is_no_url_of_a_server_is_refused(text: str) -> None:
    assert parse_url(text) is None


@pytest.mark.parametrize(
    ("place", "link"),
    [
        ("https://hg.example.org/hg/a", "/hg/a/"),
        ("https://hg.example.org", "/"),
        ("https://hg.example.org/a%20%22b", "/a%20%22b/"),
        ("http://hg.example.org/a", "http://hg.example.org/a/"),
        ("https://hg.example.org:444/a", "https://hg.example.org:444/a/"),
        ("https://[::1]/a", "https://[::1]/a/"),
    ],
)
def test_a_link_on_the_same_server_is_a_path(place: str, link: str) -> None:
    here, there = parse_url("https://hg.example.org:443/hg"), parse_url(place)
    assert here is not None
    assert there is not None
    assert here.link_to(there) == link
    assert SeenUrls({(b"a",): there}, here).link((b"a",)) == link


@pytest.mark.parametrize(
    ("asked_for", "link"),
    [
        ("https://hg.example.org", "/code/a/"),
        ("http://hg.example.org", "https://hg.example.org/code/a/"),
        ("https://127.0.0.1:8443", "https://hg.example.org/code/a/"),
    ],
)
def test_who_comes_by_another_name_has_whole_links(asked_for: str, link: str) -> None:
    configured_root, root = parse_url("https://hg.example.org/code"), parse_url(asked_for)
    assert configured_root is not None
    assert root is not None
    urls = SeenUrls({(): configured_root}, root)
    assert urls.link((b"a",)) == link
    assert urls.is_configured((b"a",))
    # Without a configuration links are paths, whatever name there is for the server.
    assert SeenUrls({}, root).link((b"a",)) == "/a/"
    assert not SeenUrls({(b"b",): configured_root}, root).is_configured((b"a",))
