"""Addresses of servers: parsing the four kinds of URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

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


SCHEMES: Final[Mapping[str, Scheme]] = {
    "http": Scheme(is_http=True, is_secure=False, port=80),
    "https": Scheme(is_http=True, is_secure=True, port=443),
    # The ports of the daemon's own default listeners: no port is registered for the protocol.
    "hgrpc": Scheme(is_http=False, is_secure=False, port=8010),
    "hgrpcs": Scheme(is_http=False, is_secure=True, port=8011),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and a repository on it."""

    scheme: Scheme
    host: str
    """A host name, or an IP address without brackets."""
    port: int
    path: bytes
    """The repository's path, percent-decoded: a leading slash and no trailing one, or ``/``."""
    url: bytes
    """The URL as given, without trailing slashes: the paths of HTTP are appended to it."""

    def __str__(self) -> str:
        """Return host and port as people write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_url(url: str) -> Address:
    """Parse a URL.

    Raises:
        UrlError: The URL is not accepted; the text names what is.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"{url!r} is no URL: {error}") from None
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None:
        kinds = ", ".join(f"{name}://" for name in SCHEMES)
        raise UrlError(f"{url!r} must begin with one of {kinds}")
    if not parts.hostname:
        raise UrlError(f"{url!r} names no host")
    # The URL goes into a request line: a line end in it would be a header of the caller's choice.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UrlError(f"{url!r} must be percent-encoded: printable ASCII, no spaces")
    # Refused, not ignored: a password in a URL would be taken for a login, and is none.
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UrlError(f"{url!r} may hold a host, a port and a path, and nothing else")
    return Address(
        scheme=scheme,
        host=parts.hostname,
        port=scheme.port if port is None else port,
        path=b"/" + unquote_to_bytes(parts.path).strip(b"/"),
        url=url.rstrip("/").encode("ascii"),
    )
