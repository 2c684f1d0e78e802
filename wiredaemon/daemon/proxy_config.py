"""Reading ``[proxy]``: the proxies that are trusted, and the headers that they set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wiredaemon.net.http.proxies import UNIX, ForwardedHeaders, Proxies, parse_proxies

if TYPE_CHECKING:
    from wiredaemon.daemon.toml_table import Table

_KEYS: Final = ("trusted", "headers", "user_header")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
# They are no names of users, whoever sends them.
_TAKEN: Final = re.compile(r"authorization|host|forwarded|x-forwarded-.*")


def read_proxies(top: Table) -> Proxies | None:
    """Return the trusted proxies; None if there are none.

    Raises:
        ConfigurationError: A key is unknown or wrong.
    """
    table = top.table("proxy", _KEYS)
    accepted = f'a list of addresses ("10.0.0.1"), networks ("10.0.0.0/8") and "{UNIX}"'
    trusted = table.strings("trusted", accepted)
    try:
        return parse_proxies(trusted, headers=_headers(table), user_header=_user_header(table))
    except ValueError as error:
        raise table.error("trusted", str(error), accepted) from None


def _headers(table: Table) -> ForwardedHeaders:
    value = table.values.get("headers", ForwardedHeaders.X_FORWARDED.value)
    try:
        return ForwardedHeaders(value)
    except ValueError:
        names = ", ".join(f'"{each.value}"' for each in ForwardedHeaders)
        raise table.wrong("headers", f"one of {names}") from None


def _user_header(table: Table) -> str:
    value = table.values.get("user_header", "")
    if value == "":
        return ""
    if isinstance(value, str) and _HEADER.fullmatch(value) and not _TAKEN.fullmatch(value.lower()):
        return value
    raise table.wrong("user_header", 'the name of a header of its own, e.g. "X-Remote-User", or ""')
