"""The records of manifest and file revisions, as streams of objects.

Source: commands, sections 4.6, 4.8 and 4.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.worker.deltas import NO_BASE
from wiredaemon.worker.library import has_swapped_parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.deltas import TextForms
    from wiredaemon.worker.library_types import Revlog


def records(
    revlog: Revlog,
    revisions: Iterable[int],
    *,
    fields: AbstractSet[bytes],
    forms: TextForms,
    introduced_by: Callable[[int], bytes] | None = None,
) -> Iterator[Value]:
    """Yield the record of each revision, followed by its text if ``fields`` asks for that.

    Args:
        revlog: The manifest's or the file's revisions.
        revisions: The numbers of those to send, ascending.
        fields: The fields that records hold beside the node.
        forms: Chooses the form of each text.
        introduced_by: Returns the node of the changeset that introduced a revision; needed where
            ``fields`` has ``linknode`` or ``firstchangeset``, which are the same.
    """
    # Looked up once: a clone takes millions of turns of the loop below.
    node_of = revlog.node
    with_parents, with_text = b"parents" in fields, b"revision" in fields
    links = sorted(fields & {b"firstchangeset", b"linknode"}) if introduced_by else []
    with revlog.reading():
        for revision in revisions:
            record: dict[bytes, Value] = {b"node": node_of(revision)}
            if introduced_by is not None and links:
                record.update(dict.fromkeys(links, introduced_by(revision)))
            if with_parents:
                record[b"parents"] = _parents(revlog, revision)
            if not with_text:
                yield record
                continue
            base, data = forms.send(revision)
            if base == NO_BASE:
                record[b"fieldsfollowing"] = [[b"revision", len(data)]]
            else:
                record[b"deltabasenode"] = node_of(base)
                record[b"fieldsfollowing"] = [[b"delta", len(data)]]
            yield record
            yield data


def _parents(revlog: Revlog, revision: int) -> list[bytes]:
    first, second = revlog.parentrevs(revision)
    flags = revlog.flags(revision)
    if flags and has_swapped_parents(revlog, flags):
        first, second = second, first
    return [revlog.node(first), revlog.node(second)]
