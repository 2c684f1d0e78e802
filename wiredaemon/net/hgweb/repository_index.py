"""Lists the repositories below a path, as a page or as plain text.

A list shows the repositories that the peer may read and that are not hidden. A path below a
collection's prefix where the peer may read nothing is answered like one that does not exist: names
of folders are not revealed either.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, quote_from_bytes

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.template import flattenString, tags

from wiredaemon.net.hosting.access import authorize_reading
from wiredaemon.net.http.application import end_with
from wiredaemon.net.http.responses import HttpResponse, not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from twisted.web.template import Flattenable, Tag

    from wiredaemon.commands import Peer
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import HostLookup, ListedRepository
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest

_TURN: Final = 32
"""Rows that are made before other requests have their turn: 1.2 ms of work (docs/decisions.md)."""
_SIDE_BY_SIDE: Final = 4
"""Repositories that are described at once for one list: other requests need workers too."""

# A list depends on its reader and changes at any time, so that no cache may keep it; descriptions
# come from owners of repositories, so that browsers must neither guess types nor run scripts.
_HEADERS: Final = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cache-Control", b"no-cache"),
    (b"Vary", b"Accept"),
)
_HTML: Final = (
    (b"Content-Type", b"text/html; charset=utf-8"),
    # The page has one style element of our own, and nothing else that a browser would load.
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
    """The components of the repository's path."""
    description: str
    contact: str
    changed: float | None
    """The time of the last change, in seconds since 1970; None for an empty repository."""


class IndexResource(Resource):
    """The resource that lists the repositories below one path."""

    isLeaf = True

    def __init__(self, application: Application, hosts: HostLookup, names: Names) -> None:
        """Stand for the path with the components ``names``."""
        super().__init__()
        self._reactor = application.reactor
        self._hosts = hosts
        self._names = names

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer once all listed repositories are described; no body is read meanwhile."""
        request.body.pause()
        end_with(request, Deferred.fromCoroutine(self._answer(request)))

    async def _answer(self, request: StreamingRequest) -> None:
        listing = await self._hosts.list_below(self._names)
        rows = await self._readable(request, listing.entries)
        # A configured prefix is public anyway; any other path must not reveal that it exists.
        if not rows and not self._hosts.is_configured(self._names):
            answer = not_found()
        elif request.method not in {b"GET", b"HEAD"}:
            answer = _NOT_ALLOWED
        elif _wants_text(request):
            answer = HttpResponse(
                status=200, reason=b"OK", headers=_TEXT, body=render_text(rows).encode("ascii")
            )
        else:
            page = await render_page(
                self._names, rows, is_cut=listing.is_cut, take_turns=self._take_turns
            )
            answer = HttpResponse(status=200, reason=b"OK", headers=_HTML, body=page)
        request.answer(answer)

    async def _readable(
        self, request: StreamingRequest, entries: Sequence[ListedRepository]
    ) -> Sequence[Row]:
        """Return the rows that the peer may see, in the order of the entries."""
        rows: dict[Names, Row] = {}
        # One iterator for all coroutines below: each takes the next entry when it is free.
        rest = iter(entries)

        async def describe() -> None:
            for count, entry in enumerate(rest, 1):
                if request.is_abandoned:
                    return
                row = await self._row(entry, request.peer())
                if row is not None:
                    rows[entry.names] = row
                if count % _TURN == 0:
                    await self._take_turns()

        describing = [Deferred.fromCoroutine(describe()) for _ in range(_SIDE_BY_SIDE)]
        await DeferredList(describing, fireOnOneErrback=True, consumeErrors=True)
        return [rows[entry.names] for entry in entries if entry.names in rows]

    def _take_turns(self) -> Deferred[None]:
        return deferLater(self._reactor, 0)

    async def _row(self, entry: ListedRepository, peer: Peer) -> Row | None:
        host = self._hosts.host_of(entry)
        if host is None:
            return None
        try:
            settings = await self._hosts.describe(host)
        except Exception:  # noqa: BLE001 whatever is wrong with one repository, the others are listed
            # `Host.settings` has logged it, once.
            return None
        if settings.hidden or authorize_reading(settings.access, peer) is not None:
            return None
        return Row(entry.names, settings.description, settings.contact, entry.changed)


def render_text(rows: Iterable[Row]) -> str:
    """Return one path on each line, quoted as in URLs."""
    return "".join(f"{_path(row.names)}\n" for row in rows)


async def render_page(
    names: Names,
    rows: Sequence[Row],
    *,
    is_cut: bool,
    take_turns: Callable[[], Deferred[None]],
) -> bytes:
    """Return the page for the path with the components ``names``.

    All that comes from outside is escaped, and links are quoted byte for byte.

    Args:
        names: The components of the path.
        rows: The repositories to list.
        is_cut: There are more repositories than could be listed.
        take_turns: Lets other requests have their turn. It is called once for `_TURN` rows, because
            the template engine takes some 40 us a row (36 ms for 1,000).
    """
    title = f"Repositories in {_shown(names)}/" if names else "Repositories"
    content: list[Flattenable] = [tags.h1(title)]
    if names:
        content.append(tags.p(tags.a("Up", href=_path(names[:-1]))))
    content.append(_table(names, rows, take_turns) if rows else tags.p("There is nothing to list."))
    if is_cut:
        content.append(tags.p("There are more than this list can hold."))
    head = tags.head(tags.meta(charset="utf-8"), tags.title(title), tags.style(_STYLE))
    page = tags.html(head, tags.body(*content), lang="en")
    return b"<!DOCTYPE html>\n" + await flattenString(None, page) + b"\n"


def _table(names: Names, rows: Sequence[Row], take_turns: Callable[[], Deferred[None]]) -> Tag:
    heads = ("Name", "Description", "Contact", "Last change")

    def lines() -> Generator[Flattenable, None, None]:
        for count, row in enumerate(rows, 1):
            if count % _TURN == 0:
                yield take_turns().addCallback(lambda _: "")
            link = tags.a(_shown(row.names[len(names) :]), href=_path(row.names))
            cells = (link, row.description, row.contact, _date(row.changed))
            yield tags.tr(*[tags.td(cell) for cell in cells])

    return tags.table(tags.thead(tags.tr(*[tags.th(head) for head in heads])), tags.tbody(lines()))


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
    """Return the path of a URL; each byte with another meaning there is quoted."""
    return "".join(f"/{quote_from_bytes(name, safe='')}" for name in names) + "/"


def _shown(names: Names) -> str:
    """Return a printable path."""
    return b"/".join(names).decode("utf-8", "replace")


def _date(changed: float | None) -> Flattenable:
    if changed is None:
        return ""
    try:
        moment = datetime.fromtimestamp(changed, UTC)
    # File systems keep times that a calendar has no year for.
    except (OverflowError, ValueError):
        return ""
    shown = f"{moment:%Y-%m-%d %H:%M} UTC"
    return tags.time(shown, datetime=f"{moment:%Y-%m-%dT%H:%MZ}")


def _wants_text(request: StreamingRequest) -> bool:
    query = request.uri.partition(b"?")[2].decode("latin-1")
    if parse_qs(query, encoding="latin-1").get("style") == ["raw"]:
        return True
    accept = request.header(b"Accept") or b""
    types = {part.partition(b";")[0].strip().lower() for part in accept.split(b",")}
    return b"text/plain" in types and b"text/html" not in types
