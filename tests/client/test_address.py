from __future__ import annotations

import pytest

from wiredaemon.client.address import SCHEMES, Address, parse_url
from wiredaemon.client.errors import UrlError


def test_a_url_says_how_where_and_which_repository() -> None:
    assert parse_url("https://example.org:8443/team/a%20repo/") == Address(
        scheme=SCHEMES["https"],
        host="example.org",
        port=8443,
        path=b"/team/a repo",
        url=b"https://example.org:8443/team/a%20repo",
    )


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://h", 80),
        ("https://h/", 443),
        ("hgrpc://h", 8010),
        ("hgrpcs://h", 8011),
        ("hgrpc://h:9", 9),
    ],
)
def test_the_port_may_be_left_out(url: str, port: int) -> None:
    address = parse_url(url)
    assert (address.host, address.port, address.path) == ("h", port, b"/")


def test_an_address_of_ipv6_is_shown_as_it_is_written() -> None:
    address = parse_url("hgrpc://[::1]:8010/")
    assert (address.host, str(address)) == ("::1", "[::1]:8010")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("example.org", "'example.org' must begin with one of http://, https://, hgrpc://"),
        ("ftp://example.org/", "must begin with one of"),
        ("http:///path", "names no host"),
        ("http://h:port/", "is no URL"),
        ("http://h:99999/", "is no URL"),
        ("http://[::1/", "is no URL"),
        ("http://h/a b", "must be percent-encoded"),
        ("http://h/\u00e9", "must be percent-encoded"),
        ("http://h/?cmd=heads", "may hold a login, a host, a port and a path, and nothing else"),
        ("hgrpc://h/#fragment", "may hold a login, a host, a port and a path, and nothing else"),
        ("http://:secret@h/", "has a password and no user"),
        ("http://@h/", "has a password and no user"),
        ("http://%ff:secret@h/", "is not UTF-8"),
        ("hgrpc://[::1]x/", "names no host that can exist"),
        ("http://%zz/", "names no host that can exist"),
        (b"http://h/", "a URL is text, not bytes"),
    ],
)
def test_what_is_no_such_url_is_refused(url: str, text: str) -> None:
    with pytest.raises(UrlError, match=text):
        parse_url(url)


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("ann", "ann", None),
        ("ann:", "ann", b""),
        ("ann:p%3aw%20%ff", "ann", b"p:w \xff"),
        ("zo%C3%A9:a:b", "zo\u00e9", b"a:b"),
        ("ann%40example.org:a@b", "ann@example.org", b"a@b"),
    ],
)
def test_a_login_is_part_of_neither_the_url_nor_of_what_is_shown(
    login: str, user: str, password: bytes | None
) -> None:
    address = parse_url(f"https://{login}@h:1/a/b")
    assert (address.user, address.password) == (user, password)
    assert address.url == b"https://h:1/a/b"
    assert str(address) == "h:1"
    assert not password or repr(password) not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ann:secret@h/",
        "http://ann:secret@h:port/",
        "http://ann:secret@h/?a",
        "http://ann:secret@/",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://example.org/new?cmd=capabilities", "http://example.org/new"),
        ("https://other.example/?cmd=capabilities", "https://other.example"),
        ("/new/?cmd=capabilities", "http://example.org:8000/new"),
        ("/new", "http://example.org:8000/new"),
    ],
)
def test_a_redirection_leads_to_another_address(location: str, expected: str) -> None:
    there = parse_url("http://example.org:8000/old").moved(location.encode(), b"/?cmd=capabilities")
    assert there.url == expected.encode()


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("http://example.org/new", "where anybody could read along"),
        ("hgrpcs://example.org/new", "which is not reached over HTTP"),
        ("https://example.org/new?cmd=heads", "and nothing else"),
    ],
)
def test_nobody_is_redirected_everywhere(location: str, text: str) -> None:
    here = parse_url("https://example.org/old")
    with pytest.raises(UrlError, match=text):
        here.moved(location.encode(), b"/?cmd=capabilities")


@pytest.mark.parametrize(
    ("url", "socket", "path"),
    [
        ("unix:/run/w.sock", "/run/w.sock", b"/"),
        ("unix:///run/w.sock", "/run/w.sock", b"/"),
        ("unix:/run/w.sock:/team/tools/", "/run/w.sock", b"/team/tools"),
    ],
)
def test_a_socket_has_a_path_and_perhaps_a_repository(url: str, socket: str, path: bytes) -> None:
    address = parse_url(url)
    assert (address.host, address.path) == (socket, path)
    assert str(address) == f"unix:{socket}"


def test_a_socket_has_an_absolute_path() -> None:
    with pytest.raises(UrlError, match="must name a socket by its absolute path"):
        parse_url("unix:w.sock")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.org/", b"example.org"),
        ("http://example.org:80/", b"example.org"),
        ("https://[::1]:8443/", b"[::1]:8443"),
    ],
)
def test_the_host_header_names_the_port_where_it_must(url: str, host: bytes) -> None:
    assert parse_url(url).host_header == host
