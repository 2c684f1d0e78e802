"""A list of repositories as a page for people.

All that comes from outside is escaped, and links are quoted byte for byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from twisted.web.template import flattenString, tags

from wiredaemon.net.hgweb.index_rows import COLUMNS, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from twisted.internet.defer import Deferred
    from twisted.web.template import Flattenable, Tag

    from wiredaemon.net.hgweb.index_rows import Query, Row
    from wiredaemon.net.hosting.collection import Names

TURN: Final = 32
"""Rows that are made before other requests have their turn: 1.2 ms of work (docs/decisions.md)."""

_AGAIN_SECONDS: Final = 2
"""Seconds after which a browser asks again for a list that is not complete."""

_HEADS: Final = ("Name", "Description", "Contact", "Last change")

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1.5em}"
    "h1{font-size:1.5em}a{text-decoration:none}a:hover{text-decoration:underline}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.4em 1.5em .4em 0;"
    "border-bottom:1px solid #8884}th{font-size:.85em;opacity:.7}th a{color:inherit}"
    "td:nth-child(2){overflow-wrap:anywhere}time{white-space:nowrap;opacity:.7}"
)


async def render_page(  # noqa: PLR0913 all that a page shows
    names: Names,
    rows: Sequence[Row],
    link: Callable[[Names], str],
    *,
    query: Query,
    is_cut: bool,
    is_partial: bool,
    take_turns: Callable[[], Deferred[None]],
) -> bytes:
    """Return the page for the path with the components ``names``.

    Args:
        names: The components of the path.
        rows: The repositories to list.
        link: Makes a link to a path, by its components.
        query: What the request wants, so that links sort by other columns.
        is_cut: There are more repositories than could be listed.
        is_partial: Some are still to be looked at: the page is loaded again by itself.
        take_turns: Lets other requests have their turn. It is called once for `TURN` rows, because
            the template engine takes some 40 us a row (36 ms for 1,000).
    """
    title = f"Repositories in {printed(names)}/" if names else "Repositories"
    content: list[Flattenable] = [tags.h1(title)]
    if names:
        content.append(tags.p(tags.a("Up", href=link(names[:-1]))))
    if rows:
        content.append(_table(names, rows, link, query, take_turns))
    elif not is_partial:
        content.append(tags.p("There is nothing to list."))
    if is_partial:
        content.append(tags.p("More are being looked at: this page is loaded again in a moment."))
    if is_cut:
        content.append(tags.p("There are more than this list can hold."))
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(**{"http-equiv": "refresh"}, content=str(_AGAIN_SECONDS)) if is_partial else "",
        tags.title(title),
        tags.style(_STYLE),
    )
    page = tags.html(head, tags.body(*content), lang="en")
    return b"<!DOCTYPE html>\n" + await flattenString(None, page) + b"\n"


def _table(
    names: Names,
    rows: Sequence[Row],
    link: Callable[[Names], str],
    query: Query,
    take_turns: Callable[[], Deferred[None]],
) -> Tag:
    heads = [
        tags.th(tags.a(head, href=f"?sort={query.sort_of(column)}"))
        for head, column in zip(_HEADS, COLUMNS, strict=True)
    ]

    def lines() -> Generator[Flattenable, None, None]:
        for count, row in enumerate(rows, 1):
            if count % TURN == 0:
                yield take_turns().addCallback(lambda _: "")
            name = tags.a(row.shown(names), href=link(row.names))
            cells = (name, row.description, row.contact, _date(row.changed))
            yield tags.tr(*[tags.td(cell) for cell in cells])

    return tags.table(tags.thead(tags.tr(*heads)), tags.tbody(lines()))


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
