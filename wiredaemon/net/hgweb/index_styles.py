"""Lists of repositories for programs: paths, JSON, and feeds of Atom and RSS.

The forms of ``raw`` and ``json`` are hgwebdir's. It has feeds of single repositories alone, and
fails where one of a list is asked for.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from wiredaemon.net.hgweb.index_rows import UNKNOWN, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.net.hgweb.index_rows import Row
    from wiredaemon.net.hosting.collection import Names

_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that a document of XML 1.0 cannot have, escaped or not."""


class Style(NamedTuple):
    """One form of a list."""

    content_type: bytes
    render: Callable[[Names, Sequence[Row], Links], bytes]


class Links(NamedTuple):
    """The links of a list."""

    path: Callable[[Names], str]
    """Makes a link to a path, by its components, for readers of this list."""
    url: Callable[[Names], str]
    """Makes the whole URL of it, for readers of a feed."""


def render_text(_names: Names, rows: Sequence[Row], links: Links) -> bytes:
    """Return one link on each line."""
    return "".join(f"{links.path(row.names)}\n" for row in rows).encode("ascii")


def render_json(names: Names, rows: Sequence[Row], links: Links) -> bytes:
    """Return the keys that hgwebdir has, and ``url``, for a name need not be a path."""
    entries = [
        {
            "name": row.shown(names),
            "description": "" if row.is_folder else row.description or UNKNOWN,
            "contact": "" if row.is_folder else row.contact or UNKNOWN,
            # The time, and the offset of a time zone.
            "lastchange": None if row.changed is None else [int(row.changed), 0],
            "labels": row.labels,
            "url": links.path(row.names),
        }
        for row in rows
    ]
    return json.dumps({"entries": entries}, indent=0).encode("ascii") + b"\n"


def render_atom(names: Names, rows: Sequence[Row], links: Links) -> bytes:
    """Return a feed with an entry for each repository, whose time is that of its last change.

    Source: RFC 4287.
    """
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n',
        f"<id>{_text(links.url(names))}</id>\n<title>{_text(_title(names))}</title>\n",
        f'<link rel="self" href={quoteattr(links.url(names) + "?style=atom")}/>\n',
        f'<link rel="alternate" href={quoteattr(links.url(names))}/>\n',
        f"<updated>{_moment(_newest(rows)).isoformat()}</updated>\n",
    ]
    for row in rows:
        url = links.url(row.names)
        parts += (
            f"<entry>\n<title>{_text(row.shown(names))}</title>\n<id>{_text(url)}</id>\n",
            f"<link href={quoteattr(url)}/>\n",
            f"<author><name>{_text(row.contact or UNKNOWN)}</name></author>\n",
            f"<updated>{_moment(row.changed).isoformat()}</updated>\n",
            f'<content type="text">{_text(row.description)}</content>\n</entry>\n',
        )
    return "".join([*parts, "</feed>\n"]).encode("utf-8")


def render_rss(names: Names, rows: Sequence[Row], links: Links) -> bytes:
    """Return the same as RSS 2.0."""
    title = _text(_title(names))
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0">\n<channel>\n',
        f"<title>{title}</title>\n<link>{_text(links.url(names))}</link>\n",
        f"<description>{title}</description>\n",
    ]
    for row in rows:
        url = _text(links.url(row.names))
        parts += (
            f"<item>\n<title>{_text(row.shown(names))}</title>\n<link>{url}</link>\n",
            f'<guid isPermaLink="true">{url}</guid>\n',
            f"<description>{_text(row.description)}</description>\n",
            f"<pubDate>{format_datetime(_moment(row.changed))}</pubDate>\n</item>\n",
        )
    return "".join([*parts, "</channel>\n</rss>\n"]).encode("utf-8")


STYLES: Final[Mapping[str, Style]] = {
    "raw": Style(b"text/plain; charset=utf-8", render_text),
    "json": Style(b"application/json", render_json),
    "atom": Style(b"application/atom+xml; charset=utf-8", render_atom),
    "rss": Style(b"text/xml; charset=utf-8", render_rss),
}
"""The forms, by the names that ``style`` has for them; any other is the page for people."""


def _title(names: Names) -> str:
    return f"Repositories in {printed(names)}/" if names else "Repositories"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _newest(rows: Sequence[Row]) -> float | None:
    return max((row.changed for row in rows if row.changed is not None), default=None)


def _moment(changed: float | None) -> datetime:
    """Return a time that a feed can have: the first one for what has none."""
    try:
        return datetime.fromtimestamp(int(changed or 0), UTC)
    # File systems keep times that a calendar has no year for.
    except (OverflowError, ValueError):
        return datetime.fromtimestamp(0, UTC)
