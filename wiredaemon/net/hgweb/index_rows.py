"""The rows of a list of repositories: which of them are shown, and in which order.

As of hgwebdir: ``descend``, ``collapse`` and the columns to sort by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import ListShape

COLUMNS: Final = ("name", "description", "contact", "lastchange")
"""The columns, by the names that ``sort`` has for them."""

UNKNOWN: Final = "unknown"
"""Stands for a description or a contact where none is set, as in hgwebdir's lists."""

_DESCENDING: Final = "-"


class Row(NamedTuple):
    """One repository in a list, or a folder that stands for those in it."""

    names: Names
    """The components of its path."""
    description: str
    contact: str
    changed: float | None
    """The time of the last change, in seconds since 1970; None for an empty repository."""
    name: str = ""
    """The name that the repository gives itself."""
    labels: tuple[str, ...] = ()
    is_folder: bool = False

    def shown(self, below: Names) -> str:
        """Return the name to show in the list of the path ``below``."""
        if self.is_folder:
            return f"{printed(self.names[len(below) :])}/"
        return self.name or printed(self.names[len(below) :])


class Query(NamedTuple):
    """The wishes about a list in the query of a request."""

    style: str
    """``raw``, ``json`` or the like; empty if it does not say."""
    column: str
    """The column to sort by; empty for the order of paths."""
    is_descending: bool

    @classmethod
    def parse(cls, query: bytes) -> Query:
        """Read a query; of several values the last one counts, and unknown columns are none."""
        # ISO-8859-1 has a character for each byte.
        values = parse_qs(query.decode("latin-1"), encoding="latin-1")
        sort = values.get("sort", [""])[-1]
        column = sort.removeprefix(_DESCENDING)
        known = column in COLUMNS
        return cls(
            style=values.get("style", [""])[-1],
            column=column if known else "",
            is_descending=known and sort.startswith(_DESCENDING),
        )

    def sort_of(self, column: str) -> str:
        """Return what a link sorts by at the head of a column: another click turns the order."""
        turns = column == self.column and not self.is_descending
        return f"{_DESCENDING}{column}" if turns else column


def printed(names: Names) -> str:
    """Return a printable path."""
    return b"/".join(names).decode("utf-8", "replace")


def arrange(rows: Sequence[Row], below: Names, shape: ListShape, query: Query) -> Sequence[Row]:
    """Return the rows of the list of the path ``below``, in order.

    Args:
        rows: The repositories that the reader may see, by name.
        below: The components of the path.
        shape: The shape of the list.
        query: What the request wants.
    """
    depth = len(below)
    if not shape.descend:
        rows = [row for row in rows if len(row.names) <= depth + 1]
    elif shape.collapse:
        rows = _collapsed(rows, depth)
    if not query.column:
        return rows
    key = _KEYS[query.column]
    return sorted(rows, key=lambda row: key(row, below), reverse=query.is_descending)


def _collapsed(rows: Sequence[Row], depth: int) -> Sequence[Row]:
    """Return rows in which one stands for all of a folder; those in a repository stay."""
    kept: dict[Names, Row] = {}
    for row in rows:
        top = row.names[: depth + 1]
        if len(row.names) <= depth + 1 or (top in kept and not kept[top].is_folder):
            kept[row.names] = row
            continue
        before = kept.get(top)
        times = [each.changed for each in (before, row) if each is not None]
        changed = max((time for time in times if time is not None), default=None)
        kept[top] = Row(top, "", "", changed, is_folder=True)
    return list(kept.values())


_KEYS: Final[Mapping[str, Callable[[Row, Names], Any]]] = {
    "name": lambda row, below: row.shown(below).removesuffix("/"),
    "description": lambda row, _: _text_key(row.description, row),
    "contact": lambda row, _: _text_key(row.contact, row),
    # The newest first.
    "lastchange": lambda row, _: -(row.changed or 0.0),
}


def _text_key(text: str, row: Row) -> str:
    return "" if row.is_folder else text.upper() or UNKNOWN
