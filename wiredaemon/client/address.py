"""Addresses of servers: parsing the five kinds of URL."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

from wiredaemon.client.errors import UrlError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One kind of URL."""

    is_http: bool
    """The scheme is HTTP or HTTPS; otherwise frames travel on a connection of their own."""
    is_secure: bool
    """The connection is encrypted with TLS."""
    port: int
    """The port where the URL names none."""
    is_unix: bool = False
    """The server listens on a Unix socket."""


SCHEMES: Final[Mapping[str, Scheme]] = {
    "http": Scheme(is_http=True, is_secure=False, port=80),
    "https": Scheme(is_http=True, is_secure=True, port=443),
    # The ports of the daemon's own default listeners: no port is registered for the protocol.
    "hgrpc": Scheme(is_http=False, is_secure=False, port=8010),
    "hgrpcs": Scheme(is_http=False, is_secure=True, port=8011),
    "unix": Scheme(is_http=False, is_secure=False, port=0, is_unix=True),
}

_LONGEST_SOCKET: Final = 107
"""Bytes that the system's address of a Unix socket has room for."""
_LOGIN: Final = re.compile(r"^([A-Za-z+]*://)[^/?#]*@")
"""User and password in a URL: they go into neither requests nor errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and a repository on it."""

    scheme: Scheme
    host: str
    """A host name, or an IP address without brackets; the path of a Unix socket."""
    port: int
    path: bytes
    """The repository's path, percent-decoded: a leading slash and no trailing one, or ``/``."""
    url: bytes
    """The URL as given, without login and trailing slashes."""
    user: str | None = None
    """The user in the URL, if it names one."""
    password: bytes | None = field(default=None, repr=False)
    """The password in the URL, if it has one."""

    def __str__(self) -> str:
        """Return host and port as people write them."""
        if self.scheme.is_unix:
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def host_header(self) -> bytes:
        """The value of HTTP's ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == self.scheme.port else f"{host}:{self.port}").encode("idna")

    @property
    def url_path(self) -> bytes:
        """The path in the URL, without a trailing slash; HTTP's paths are appended to it."""
        return urlsplit(self.url).path.rstrip(b"/")

    def is_same_server(self, other: Address) -> bool:
        """Return whether two addresses are of one server."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)

    def moved(self, location: bytes, asked: bytes) -> Address:
        """Return the address that a redirection leads to.

        Args:
            location: The value of ``Location``, which may be relative.
            asked: The end of the URL that was asked for after the repository's, a query included.

        Raises:
            UrlError: It is no URL of HTTP, or leads from an encrypted connection to a plain one.
        """
        query = asked.rpartition(b"?")[2].decode("ascii")
        here = self.url.decode("ascii") + asked.decode("ascii")
        try:
            url = urljoin(here, location.decode("latin-1"))
        except ValueError as error:
            raise UrlError(f"{self} redirects to what is no URL: {error}") from None
        base, _, given = url.partition("?")
        there = parse_url(base if given == query else url)
        if not there.scheme.is_http:
            raise UrlError(f"{self} redirects to {there}, which is not reached over HTTP")
        if self.scheme.is_secure and not there.scheme.is_secure:
            raise UrlError(f"{self} redirects to {there}, where anybody could read along")
        return there


def parse_url(url: str) -> Address:
    """Parse a URL.

    Raises:
        UrlError: The URL is not accepted; the text names what is.
    """
    if not isinstance(url, str):
        raise UrlError(f"a URL is text, not {type(url).__name__}")
    shown = _LOGIN.sub(r"\1", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"{shown!r} is no URL: {error}") from None
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None:
        kinds = ", ".join(f"{name}:" if SCHEMES[name].is_unix else f"{name}://" for name in SCHEMES)
        raise UrlError(f"{shown!r} must begin with one of {kinds}")
    if scheme.is_unix:
        return _parse_unix(scheme, url)
    host = _host(parts, shown)
    # The URL goes into a request line: a line end in it would be a header of the caller's choice.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UrlError(f"{shown!r} must be percent-encoded: printable ASCII, no spaces")
    # Refused, not ignored: a password in a URL would be taken for a login, and is none.
    if parts.query or parts.fragment:
        raise UrlError(f"{shown!r} may hold a login, a host, a port and a path, and nothing else")
    login, at, _ = parts.netloc.rpartition("@")
    name, colon, password = login.partition(":")
    if at and not name:
        raise UrlError(f"{shown!r} has a password and no user")
    try:
        user = unquote_to_bytes(name).decode()
    except UnicodeDecodeError:
        raise UrlError(f"the user's name in {shown!r} is not UTF-8") from None
    return Address(
        scheme=scheme,
        host=host,
        port=scheme.port if port is None else port,
        path=b"/" + unquote_to_bytes(parts.path).strip(b"/"),
        url=_LOGIN.sub(r"\1", url).rstrip("/").encode("ascii"),
        user=user or None,
        password=unquote_to_bytes(password) if colon else None,
    )


def _host(parts: SplitResult, shown: str) -> str:
    """Return the host of a URL.

    Raises:
        UrlError: There is none, or no host can have such a name or address.
    """
    host = parts.hostname
    if not host:
        raise UrlError(f"{shown!r} names no host")
    # The standard library drops a text between the closing bracket and the port.
    rest = parts.netloc.rpartition("]")[2] if ":" in host else ""
    can_exist = ":" in host or "%" not in host
    try:
        host.encode("idna")
    except UnicodeError:
        can_exist = False
    if not can_exist or (rest and not rest.startswith(":")):
        raise UrlError(f"{shown!r} names no host that can exist")
    return host


def _parse_unix(scheme: Scheme, url: str) -> Address:
    """Parse ``unix:/path/of/socket``, perhaps with ``:/repository`` at its end.

    Raises:
        UrlError: The socket has no absolute path.
    """
    socket, _, repository = url.removeprefix("unix:").removeprefix("//").partition(":")
    if not socket.startswith("/"):
        raise UrlError(f"{url!r} must name a socket by its absolute path: unix:/run/some.sock")
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise UrlError(f"the path of a socket has at most {_LONGEST_SOCKET} bytes: {socket}")
    return Address(
        scheme=scheme,
        host=socket,
        port=0,
        path=b"/" + unquote_to_bytes(repository).strip(b"/"),
        url=url.encode(),
    )
