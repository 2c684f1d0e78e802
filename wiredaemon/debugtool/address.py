"""URLs that the debug client tool accepts. Source: client-tool, section 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wiredaemon.debugtool.errors import ToolError

_PORT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, and the path below it."""

    host: str
    port: int
    authority: bytes
    """The value of the `host` header."""
    path: bytes
    """Begins with a slash."""

    def below(self, path: bytes) -> bytes:
        """Return the target of a path below the URL's, with one slash between them."""
        return self.path.rstrip(b"/") + b"/" + path


def parse_url(url: str) -> Address:
    """Return where a URL points to.

    Raises:
        ToolError: It is not of HTTP, or names no server.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ToolError(f"not a URL: {url} ({error})") from None
    if parts.scheme != "http":
        raise ToolError("only http:// paths are currently supported")
    if parts.username is not None:
        raise ToolError(
            "the URL names a user, and this tool logs nobody in",
            "send an authorization header with httprequest",
        )
    if not parts.hostname or parts.query or parts.fragment:
        raise ToolError(f"the URL must be a server and a path: {url}")
    try:
        authority, path = parts.netloc.encode("ascii"), parts.path.encode("ascii")
    except UnicodeEncodeError:
        raise ToolError(f"the URL must be ASCII: {url}") from None
    return Address(
        host=parts.hostname,
        port=_PORT if port is None else port,
        authority=authority,
        path=path or b"/",
    )
