"""Reading ``[public_urls]``: the URLs by which clients know what is served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wiredaemon.net.http.public_urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.daemon.toml_table import Table
    from wiredaemon.net.http.public_urls import PublicUrl

_PATH: Final = re.compile(r"/|(/(?!\.{1,2}(/|$))[^/*?#\s]+)+")
_ACCEPTED: Final = (
    'path = URL: "/" or "/name", as in [paths] without stars, and "https://host" or'
    ' "https://host:port/path"'
)


def read_public_urls(top: Table) -> Mapping[str, PublicUrl]:
    """Return the URLs, by the paths that they stand for.

    Raises:
        ConfigurationError: A path is none, or a URL.
    """
    table = top.table("public_urls")
    urls: dict[str, PublicUrl] = {}
    for path, text in table.values.items():
        if not _PATH.fullmatch(path):
            raise table.error(path, "this path is not accepted", _ACCEPTED)
        url = parse_url(text) if isinstance(text, str) else None
        if url is None:
            raise table.wrong(path, _ACCEPTED)
        urls[path] = url
    return urls
