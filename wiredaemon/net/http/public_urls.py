"""Finds the URLs by which clients know what is served, for links.

The path that arrives need not be the one that the client has asked for: a proxy may have another
name, speak TLS, and take a prefix off the path. What counts, the first of these that there is: the
configuration, the word of a trusted proxy, the Host header, the address of the socket.

Source: RFC 3986, section 3; RFC 7239, sections 5.3 and 5.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.http.request import StreamingRequest

_PORTS: Final = {b"http": 80, b"https": 443}
"""The schemes, and the port that a URL of each need not name."""
_MOST: Final = 65535
_AUTHORITY: Final = re.compile(rb"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
"""Host and port. Not all that RFC 3986 allows: nothing that means something else inside of a page
or a feed."""
_PREFIX: Final = re.compile(rb"(?:/[A-Za-z0-9._~!$&'()*+;=:@%-]+)*")
_STEPS: Final = frozenset({b".", b".."})
_LAST_CONTROL: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicUrl:
    """A URL as clients have it."""

    scheme: bytes
    """``http`` or ``https``."""
    host: bytes
    """A name or an address; that of IPv6 is in brackets."""
    port: int
    path: bytes = b""
    """Percent-decoded: empty, or with a slash in front and none at the end."""

    @property
    def authority(self) -> bytes:
        """The host, with its port where that is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else b"%s:%d" % (self.host, self.port)

    def below(self, names: Names) -> PublicUrl:
        """Return the URL of what is below this one, by the components of its path."""
        return replace(self, path=self.path + b"".join(b"/" + name for name in names))

    def text(self) -> str:
        """Return the URL; it ends with a slash, and what means something else in it is quoted."""
        return f"{self.scheme.decode()}://{self.authority.decode()}{self._quoted()}"

    def link_to(self, other: PublicUrl) -> str:
        """Return a link from here to another one: its path, or all of it on another server."""
        if (self.scheme, self.authority) == (other.scheme, other.authority):
            return other._quoted()
        return other.text()

    def _quoted(self) -> str:
        return "/".join(quote_from_bytes(name, safe="") for name in self.path.split(b"/")) + "/"


def parse_url(text: str) -> PublicUrl | None:
    """Return the URL of a configuration; None if it is none, or has more than a path.

    Args:
        text: For instance ``https://hg.example.org/code``.
    """
    try:
        parts = urlsplit(text)
        scheme, path = parts.scheme.encode("ascii"), parts.path.encode("ascii")
        place = _parse_authority(parts.netloc.encode("ascii"), scheme)
    except ValueError:
        return None
    prefix = _parse_prefix(path)
    if place is None or prefix is None or text != f"{parts.scheme}://{parts.netloc}{parts.path}":
        return None
    return PublicUrl(scheme=scheme, host=place[0], port=place[1], path=prefix)


class PublicUrls:
    """The URLs of what is served, as one configuration has them.

    Args:
        configured: The URLs of some paths, by their components; those below them follow.
    """

    def __init__(self, configured: Mapping[Names, PublicUrl] | None = None) -> None:
        self._configured = {} if configured is None else configured

    def seen_by(self, request: StreamingRequest) -> SeenUrls:
        """Return the URLs for the client of a request."""
        return SeenUrls(self._configured, _asked(request))


class SeenUrls:
    """The URLs of what is served, for the client of one request.

    Args:
        configured: As of `PublicUrls`.
        asked: The URL that the client has for the root of all paths, as far as it is known.
    """

    def __init__(self, configured: Mapping[Names, PublicUrl], asked: PublicUrl) -> None:
        self._configured = configured
        self._asked = asked

    def of(self, names: Names) -> PublicUrl:
        """Return the URL of a path, by its components."""
        return self._configured_for(names) or self._asked.below(names)

    def link(self, names: Names) -> str:
        """Return a link to a path: without the server's name where the client has asked there."""
        return self._asked.link_to(self.of(names))

    def is_configured(self, names: Names) -> bool:
        """Return whether the URL of a path does not depend on the client."""
        return self._configured_for(names) is not None

    def _configured_for(self, names: Names) -> PublicUrl | None:
        # Nearly always there is none.
        for size in range(len(names), -1, -1) if self._configured else ():
            found = self._configured.get(tuple(names[:size]))
            if found is not None:
                return found.below(names[size:])
        return None


def _asked(request: StreamingRequest) -> PublicUrl:
    """Return the URL that the client of a request has for the root of all paths."""
    scheme = b"https" if request.peer().is_secure else b"http"
    host: bytes = b""
    prefixes: Sequence[bytes] = ()
    if request.identification is not None:
        host, prefixes = request.identification.asked(request)
    for each in (host, request.header(b"Host") or b""):
        place = _parse_authority(each, scheme)
        if place is not None:
            break
    else:
        place = _own_place(request, scheme)
    parsed = [_parse_prefix(each) for each in prefixes]
    path = b"".join(each for each in parsed if each)
    return PublicUrl(scheme=scheme, host=place[0], port=place[1], path=path)


def _own_place(request: StreamingRequest, scheme: bytes) -> tuple[bytes, int]:
    """Return the address of our end, for clients that name no host."""
    address = request.channel.getHost()
    # A Unix socket has neither host nor port, and WSGI requires both (PEP 3333).
    host: str = getattr(address, "host", None) or "localhost"
    # Without the zone of a link-local address, which means something here only.
    shown = f"[{host.partition('%')[0]}]" if ":" in host else host
    return shown.encode("ascii"), getattr(address, "port", _PORTS[scheme])


def _parse_authority(value: bytes, scheme: bytes) -> tuple[bytes, int] | None:
    """Return host and port; None if the value has not the form of an authority."""
    found = _AUTHORITY.fullmatch(value)
    if found is None or scheme not in _PORTS:
        return None
    port = int(found[2]) if found[2] else _PORTS[scheme]
    return (found[1], port) if 0 < port <= _MOST else None


def _parse_prefix(value: bytes) -> bytes | None:
    """Return a prefix, percent-decoded and without a slash at its end; None if it is no path."""
    stripped = value.rstrip(b"/")
    if _PREFIX.fullmatch(stripped) is None:
        return None
    decoded = unquote_to_bytes(stripped)
    is_plain = all(byte > _LAST_CONTROL for byte in decoded)
    # Two slashes at the beginning, however they were written, are another host to a browser.
    is_plain = is_plain and b"//" not in decoded and b"\\" not in decoded
    return decoded if is_plain and _STEPS.isdisjoint(decoded.split(b"/")) else None
