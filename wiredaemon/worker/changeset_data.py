"""``changesetdata``: changesets with their texts, phases and bookmarks.

Source: commands, section 4.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.worker.library import bookmarks_of, from_local, phase_name
from wiredaemon.worker.revision_specifiers import resolve
from wiredaemon.worker.served_changesets import ServedChangesets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository


def changesetdata(
    repository: Repository, *, revisions: Sequence[object], fields: AbstractSet[bytes]
) -> Iterator[Value]:
    """Yield how many changesets there are, a record for each, and the other bookmarks.

    Bookmarks are those that ``listkeys`` lists: of served changesets, without divergent ones.

    Args:
        repository: The served view.
        revisions: Revision specifiers.
        fields: Any of ``bookmarks``, ``parents``, ``phase``, ``revision``.

    Raises:
        CommandError, Refusal: As `resolve` does, before the first object.
    """
    served = ServedChangesets(repository)
    resolved = resolve(served, revisions)
    marks = _bookmarks(repository) if b"bookmarks" in fields else {}
    with_parents, with_text = b"parents" in fields, b"revision" in fields
    with_phase, is_public = b"phase" in fields, repository.publishing()
    yield {b"totalitems": len(resolved)}
    log = served.log
    node_of = log.node
    with log.reading():
        for revision in resolved:
            node = node_of(revision)
            record: dict[bytes, Value] = {b"node": node}
            if with_parents:
                first, second = log.parentrevs(revision)
                record[b"parents"] = [node_of(first), node_of(second)]
            if with_phase:
                # A publishing repository serves all its changesets as public, whatever is stored
                # (commands, section 4.7).
                record[b"phase"] = b"public" if is_public else phase_name(repository, revision)
            # Popped, so that what is left are the bookmarks to send after the changesets.
            if node in marks:
                record[b"bookmarks"] = marks.pop(node)
            if not with_text:
                yield record
                continue
            text = log.rawdata(revision)
            record[b"fieldsfollowing"] = [[b"revision", len(text)]]
            yield record
            yield text
    # Not counted in `totalitems`, and sent to a client that is up to date, too: its only news may
    # be these (commands, section 4.7).
    for node in sorted(marks):
        marked: dict[bytes, Value] = {b"node": node, b"bookmarks": marks[node]}
        yield marked


def _bookmarks(repository: Repository) -> dict[bytes, list[bytes]]:
    """Return the sorted names of bookmarks by node, for the nodes that have any."""
    marks: dict[bytes, list[bytes]] = {}
    for name, node in bookmarks_of(repository):
        marks.setdefault(node, []).append(from_local(name))
    for names in marks.values():
        names.sort()
    return marks
