"""What proxies say of their clients, and whose word counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.web.http_headers import Headers

from wiredaemon.commands import Peer
from wiredaemon.net.http.proxies import ForwardedHeaders, Proxies, parse_proxies

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

PROXY: Final = Peer(address="10.0.0.2:4711")
TRUSTED: Final = ("10.0.0.0/8", "::1", "unix")


def proxies(
    *,
    headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED,
    user_header: str = "X-Remote-User",
) -> Proxies:
    made = parse_proxies(TRUSTED, headers=headers, user_header=user_header)
    assert made is not None
    return made


def client(
    *given: tuple[str, str],
    headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED,
    proxy: Peer = PROXY,
) -> tuple[str, bool, str | None]:
    """Return address, security and user."""
    sent = Headers()
    for name, value in given:
        sent.addRawHeader(name, value)
    peer, user = proxies(headers=headers).client(proxy, sent)
    assert (peer.user, peer.groups, peer.read_only) == (None, frozenset(), False)
    return peer.address, peer.is_secure, user


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (IPv4Address("TCP", "10.1.2.3", 5), True),
        (IPv4Address("TCP", "11.1.2.3", 5), False),
        (IPv6Address("TCP", "::1", 5), True),
        (IPv6Address("TCP", "::ffff:10.1.2.3", 5), True),
        (IPv6Address("TCP", "::2", 5), False),
        (IPv6Address("TCP", "fe80::1%eth0", 5), False),
        (UNIXAddress(b"/run/socket"), True),
        (UNIXAddress(None), True),
        (HostnameAddress(b"localhost", 5), False),
    ],
)
def test_a_proxy_is_known_by_its_address(
    address: IAddress,
    expected: bool,  # noqa: FBT001 parameter
) -> None:
    assert proxies().trusts(address) is expected


def test_without_the_word_unix_no_unix_socket_is_trusted() -> None:
    made = parse_proxies(["10.0.0.1"])
    assert made is not None
    assert not made.trusts(UNIXAddress(b"/run/socket"))


def test_nobody_is_trusted_where_nobody_is_named() -> None:
    assert parse_proxies([], user_header="X-User") is None


@pytest.mark.parametrize("entry", ["localhost", "10.0.0.0/33", "10.0.0.1/8", ""])
def test_what_is_no_network_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=entry or "''"):
        parse_proxies([entry])


# --- X-Forwarded-For, X-Forwarded-Proto ----------------------------------------------------------

FOR: Final = "X-Forwarded-For"
PROTO: Final = "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ([], "10.0.0.2:4711"),
        (["203.0.113.5"], "203.0.113.5:0"),
        (["203.0.113.5:99"], "203.0.113.5:99"),
        (["2001:db8::1"], "2001:db8::1:0"),
        (["[2001:db8::1]:99"], "2001:db8::1:99"),
        (["[2001:db8::1]"], "2001:db8::1:0"),
        # What a client has written itself stands farther left.
        (["127.0.0.1, 203.0.113.5"], "203.0.113.5:0"),
        (["127.0.0.1", "203.0.113.5"], "203.0.113.5:0"),
        (["127.0.0.1, 203.0.113.5, 10.3.3.3, 10.4.4.4"], "203.0.113.5:0"),
        (["10.3.3.3, 10.4.4.4"], "10.3.3.3:0"),
        (["203.0.113.5, unknown, 10.4.4.4"], "10.4.4.4:0"),
        (["203.0.113.5, "], "10.0.0.2:4711"),
        (["unknown"], "10.0.0.2:4711"),
        (["203.0.113.5, \xe9"], "10.0.0.2:4711"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_not_trusted(
    given: list[str], address: str
) -> None:
    assert client(*((FOR, value) for value in given)) == (address, False, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["https"], True),
        (["HTTPS"], True),
        (["http"], False),
        (["https, https"], True),
        (["https, http"], False),
        (["http, https"], False),
        (["https", "http"], False),
        ([""], False),
        (["https,"], False),
    ],
)
@pytest.mark.parametrize("forwarded", [[], [(FOR, "203.0.113.5")]])
def test_a_client_is_secure_if_all_say_https(
    given: list[str],
    forwarded: list[tuple[str, str]],
    expected: bool,  # noqa: FBT001 parameter
) -> None:
    _, is_secure, _ = client(*forwarded, *((PROTO, value) for value in given))
    assert is_secure is expected


def test_without_a_word_a_client_is_as_secure_as_the_proxy() -> None:
    secure = Peer(address="10.0.0.2:1", is_secure=True)
    assert client((FOR, "203.0.113.5"), proxy=secure) == ("203.0.113.5:0", True, None)
    assert client((PROTO, "http"), proxy=secure) == ("10.0.0.2:1", False, None)


# --- Forwarded -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("for=203.0.113.5", ("203.0.113.5:0", False)),
        ("For=203.0.113.5;proto=https", ("203.0.113.5:0", True)),
        ("for=203.0.113.5 ; Proto=HTTPS ;by=10.0.0.2", ("203.0.113.5:0", True)),
        ('for="[2001:db8::1]:4711";proto="https"', ("2001:db8::1:4711", True)),
        ('for="203.0.113.5\\:80"', ("203.0.113.5:80", False)),
        (
            "for=127.0.0.1;proto=https, for=203.0.113.5;proto=http, for=10.3.3.3;proto=https",
            ("203.0.113.5:0", False),
        ),
        ("for=203.0.113.5;proto=https, for=10.3.3.3", ("203.0.113.5:0", True)),
        ("for=203.0.113.5, for=_hidden", ("10.0.0.2:4711", False)),
        ("for=203.0.113.5, proto=https", ("10.0.0.2:4711", False)),
        ('for="203.0.113.5', ("10.0.0.2:4711", False)),
        ("203.0.113.5", ("10.0.0.2:4711", False)),
        ("", ("10.0.0.2:4711", False)),
    ],
)
def test_forwarded_is_read_from_its_end(given: str, expected: tuple[str, bool]) -> None:
    found = client(("Forwarded", given), headers=ForwardedHeaders.FORWARDED)
    assert found == (*expected, None)


def test_headers_that_the_proxy_does_not_set_do_not_count() -> None:
    theirs = [("Forwarded", "for=127.0.0.1;proto=https"), (FOR, "127.0.0.1"), (PROTO, "https")]
    assert client(theirs[0]) == ("10.0.0.2:4711", False, None)
    kind = ForwardedHeaders.FORWARDED
    assert client(*theirs[1:], headers=kind) == ("10.0.0.2:4711", False, None)
    assert client(*theirs, headers=ForwardedHeaders.NONE) == ("10.0.0.2:4711", False, None)


# --- users ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "user"),
    [
        ([], None),
        (["ann"], "ann"),
        ([" ann "], "ann"),
        (["zo\xc3\xa9"], "zoé"),
        (["zo\xe9"], None),
        ([""], None),
        (["@devs"], None),
        (["a\tb"], None),
        (["a" * 255], "a" * 255),
        (["a" * 256], None),
        (["ann", "bob"], None),
        (["ann", "ann"], None),
    ],
)
def test_a_user_is_named_by_one_header_that_can_be_read(given: list[str], user: str | None) -> None:
    headers = Headers()
    for value in given:
        headers.addRawHeader(b"X-Remote-User", value.encode("latin-1"))
    assert proxies().client(PROXY, headers)[1] == user


def test_no_header_names_users_unless_it_was_configured() -> None:
    headers = Headers({"X-Remote-User": ["ann"], "Remote-User": ["ann"]})
    assert proxies(user_header="").client(PROXY, headers)[1] is None
