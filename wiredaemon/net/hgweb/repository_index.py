"""Lists of repositories: a page, or plain text, at a path where no repository is but some below.

A list shows what the asking peer may read and its owner does not hide, no more. A path below a
collection's prefix where the peer may read nothing is as good as no path at all: names of folders
are not told either.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, quote_from_bytes

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.web.resource import Resource

from wiredaemon.net.hosting.access import authorize_reading
from wiredaemon.net.http.application import end_with
from wiredaemon.net.http.responses import HttpResponse, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wiredaemon.commands import Peer
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import HostLookup, ListedRepository
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest

_TURN: Final = 32
"""Repositories that are looked at before others have their turn."""
_SIDE_BY_SIDE: Final = 4

_HEADERS: Final = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cache-Control", b"no-cache"),
    (b"Vary", b"Accept"),
)
_HTML: Final = (
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Content-Security-Policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    *_HEADERS,
)
_TEXT: Final = ((b"Content-Type", b"text/plain; charset=utf-8"), *_HEADERS)
_NOT_ALLOWED: Final = HttpResponse(
    status=405,
    reason=b"Method Not Allowed",
    headers=((b"Allow", b"GET, HEAD"), (b"Content-Type", b"text/plain")),
    body=b"lists of repositories are for GET and HEAD\n",
)


class Row(NamedTuple):
    """One repository in a list."""

    names: Names
    """Components of its URL's path."""
    description: str
    contact: str
    changed: float | None
    """Seconds since 1970; None if nothing is in it."""


class IndexResource(Resource):
    """The repositories below one path."""

    isLeaf = True

    def __init__(self, application: Application, hosts: HostLookup, names: Names) -> None:
        """Stand for the path with the components ``names``."""
        super().__init__()
        self._reactor = application.reactor
        self._hosts = hosts
        self._names = names

    def headers_received(self, request: StreamingRequest) -> None:
        """HttpResponse once all that may be listed is known; nothing is read meanwhile."""
        request.body.pause()
        end_with(request, Deferred.fromCoroutine(self._answer(request)))

    async def _answer(self, request: StreamingRequest) -> None:
        listing = await self._hosts.list_below(self._names)
        rows = await self._readable(request, listing.entries)
        if not rows and not self._hosts.is_configured(self._names):
            answer = not_found()
        elif request.method not in {b"GET", b"HEAD"}:
            answer = _NOT_ALLOWED
        elif _wants_text(request):
            answer = HttpResponse(
                status=200, reason=b"OK", headers=_TEXT, body=render_text(rows).encode("ascii")
            )
        else:
            page = render_page(self._names, rows, is_cut=listing.is_cut)
            answer = HttpResponse(
                status=200, reason=b"OK", headers=_HTML, body=page.encode("utf-8", "replace")
            )
        request.answer(answer)

    async def _readable(
        self, request: StreamingRequest, entries: Sequence[ListedRepository]
    ) -> Sequence[Row]:
        """Give what the peer may see, in order."""
        rows: dict[Names, Row] = {}
        rest = iter(entries)

        async def look() -> None:
            for count, entry in enumerate(rest, 1):
                if request.is_abandoned:
                    return
                row = await self._row(entry, request.peer())
                if row is not None:
                    rows[entry.names] = row
                if count % _TURN == 0:
                    await deferLater(self._reactor, 0)

        looking = [Deferred.fromCoroutine(look()) for _ in range(_SIDE_BY_SIDE)]
        await DeferredList(looking, fireOnOneErrback=True, consumeErrors=True)
        return [rows[entry.names] for entry in entries if entry.names in rows]

    async def _row(self, entry: ListedRepository, peer: Peer) -> Row | None:
        host = self._hosts.host_of(entry)
        if host is None:
            return None
        try:
            settings = await self._hosts.describe(host)
        except Exception:  # noqa: BLE001 whatever is wrong with one repository, the others are listed
            # Logged where it was found out, once.
            return None
        if settings.hidden or authorize_reading(settings.access, peer) is not None:
            return None
        return Row(entry.names, settings.description, settings.contact, entry.changed)


def render_text(rows: Iterable[Row]) -> str:
    """Give one path on each line, quoted as in URLs."""
    return "".join(f"{_path(row.names)}\n" for row in rows)


def render_page(names: Names, rows: Sequence[Row], *, is_cut: bool) -> str:
    """Give the page for the path with the components ``names``.

    All that comes from outside is escaped, and links are quoted byte for byte.
    """
    title = escape(f"Repositories in {_shown(names)}/" if names else "Repositories")
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{title}</h1>",
    ]
    if names:
        lines.append(f'<p><a href="{_path(names[:-1])}">Up</a></p>')
    lines += _table(names, rows) if rows else ["<p>There is nothing to list.</p>"]
    if is_cut:
        lines.append("<p>There are more than this list can hold.</p>")
    return "\n".join([*lines, "</body>", "</html>", ""])


def _table(names: Names, rows: Sequence[Row]) -> Iterator[str]:
    heads = ("Name", "Description", "Contact", "Last change")
    yield "<table>"
    yield f"<thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
    yield "<tbody>"
    for row in rows:
        link = f'<a href="{_path(row.names)}">{escape(_shown(row.names[len(names) :]))}</a>'
        cells = (link, escape(row.description), escape(row.contact), _date(row.changed))
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</tbody>"
    yield "</table>"


_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1.5em}"
    "h1{font-size:1.5em}a{text-decoration:none}a:hover{text-decoration:underline}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.4em 1.5em .4em 0;"
    "border-bottom:1px solid #8884}th{font-size:.85em;opacity:.7}"
    "td:nth-child(2){overflow-wrap:anywhere}time{white-space:nowrap;opacity:.7}"
)


def _path(names: Names) -> str:
    """Give the path of a URL; each byte that could mean something else is quoted."""
    return "".join(f"/{quote_from_bytes(name, safe='')}" for name in names) + "/"


def _shown(names: Names) -> str:
    """Give a path for people."""
    return b"/".join(names).decode("utf-8", "replace")


def _date(changed: float | None) -> str:
    if changed is None:
        return ""
    moment = datetime.fromtimestamp(changed, UTC)
    return f'<time datetime="{moment:%Y-%m-%dT%H:%MZ}">{moment:%Y-%m-%d %H:%M} UTC</time>'


def _wants_text(request: StreamingRequest) -> bool:
    query = request.uri.partition(b"?")[2].decode("latin-1")
    if parse_qs(query, encoding="latin-1").get("style") == ["raw"]:
        return True
    accept = request.header(b"Accept") or b""
    types = {part.partition(b";")[0].strip().lower() for part in accept.split(b",")}
    return b"text/plain" in types and b"text/html" not in types
