"""``filedata`` and ``filesdata``: revisions of one file, and of all files of some changesets.

Source: commands, sections 4.10 and 4.11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError
from wiredaemon.worker.deltas import TextForms
from wiredaemon.worker.introrevs import Introductions
from wiredaemon.worker.manifest_entries import ManifestEntries
from wiredaemon.worker.path_filters import parse_path_filter
from wiredaemon.worker.records import records
from wiredaemon.worker.revision_specifiers import resolve
from wiredaemon.worker.served_changesets import (
    NULL_NODE,
    ServedChangesets,
    find_revision,
    numbers,
)
from wiredaemon.worker.values import NODE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository, Revlog
    from wiredaemon.worker.path_filters import PathFilter

_NO_NAMES: Final = {b"", b".", b".."}
_LONGEST: Final = 16384
"""Bytes of a path that may be looked up; the library fails on longer ones."""


def filedata(
    repository: Repository,
    *,
    path: bytes,
    nodes: Sequence[object],
    fields: AbstractSet[bytes],
    haveparents: bool,
) -> Iterator[Value]:
    """Yield how many revisions of a file there are, then a record for each, in the store's order.

    A node given twice comes twice; the null node has no record and is not counted.

    Args:
        repository: The served view.
        path: The path of the file.
        nodes: The nodes of the revisions, 20 raw bytes each.
        fields: Any of ``linknode``, ``parents``, ``revision``.
        haveparents: The client has the parents of each revision; deltas may be to them.

    Raises:
        CommandError: ``unknown file: %s`` or ``unknown file node: %s``, also for what no served
            changeset has. Raised before the first object.
    """
    served = ServedChangesets(repository)
    introductions = Introductions(repository, served, {path})
    revlog = _open(repository, path)
    if revlog is None or not _has_served(introductions, path, revlog):
        raise CommandError("unknown file: %s", [path])
    revisions = numbers()
    for node in nodes:
        if not isinstance(node, bytes):
            raise CommandError("the elements of argument nodes must be byte strings")
        if node == NULL_NODE:
            continue
        revision = find_revision(revlog, node)
        if revision is None or introductions.find(path, revlog, revision) is None:
            raise CommandError("unknown file node: %s", [node.hex()])
        revisions.append(revision)
    yield {b"totalitems": len(revisions)}
    yield from records(
        revlog,
        sorted(revisions),
        fields=fields,
        forms=TextForms(revlog, have_parents=haveparents),
        introduced_by=_introduced_by(served, introductions, path, revlog),
    )


def filesdata(
    repository: Repository,
    *,
    revisions: Sequence[object],
    fields: AbstractSet[bytes],
    haveparents: bool,
    pathfilter: Mapping[object, object] | None,
) -> Iterator[Value]:
    """Yield the file revisions of changesets, path by path.

    First a map with the number of paths and of revisions in all; then for each path, sorted, a
    map with the number of its revisions and a record for each, in the store's order.

    Args:
        repository: The served view.
        revisions: Specifiers of the changesets.
        fields: Any of ``firstchangeset``, ``linknode``, ``parents``, ``revision``. The first two
            are the same: the changeset that introduced the revision, whatever was asked for.
        haveparents: The client has the files of the changesets' parents, so that only what the
            changesets changed is sent, perhaps as deltas to parents. Otherwise all their files are.
        pathfilter: The filter of paths; all if there is none.

    Raises:
        CommandError, Refusal: As `resolve` and `parse_path_filter` do, before the first object.
    """
    passes = parse_path_filter(pathfilter)
    served = ServedChangesets(repository)
    changesets = resolve(served, revisions)
    entries = ManifestEntries(repository)
    if haveparents:
        found = _changed_files(served, changesets, entries, passes)
    else:
        found = _all_files(served, changesets, entries, passes)
    total = sum(len(nodes) for nodes in found.values()) // NODE_SIZE
    yield {b"totalpaths": len(found), b"totalitems": total}
    introductions = Introductions(repository, served, found)
    # Sorted bytewise, which the protocol prescribes (commands, section 4.11).
    for path in sorted(found):
        nodes = found[path]
        revlog = repository.file(path).get_revlog()
        # Most files have one revision in a clone of the tip: nothing to cut and sort.
        if len(nodes) == NODE_SIZE:
            numbered = [revlog.rev(bytes(nodes))]
        else:
            numbered = sorted(map(revlog.rev, _nodes(nodes)))
        described: Mapping[bytes, Value] = {b"path": path, b"totalitems": len(numbered)}
        yield described
        yield from records(
            revlog,
            numbered,
            fields=fields,
            forms=TextForms(revlog, have_parents=haveparents),
            introduced_by=_introduced_by(served, introductions, path, revlog),
        )


def _changed_files(
    served: ServedChangesets,
    changesets: Iterable[int],
    entries: ManifestEntries,
    passes: PathFilter | None,
) -> dict[bytes, bytearray]:
    """Return the nodes of the files that changesets changed, by path; removed ones have none."""
    found: dict[bytes, bytearray] = {}
    with served.log.reading(), entries.reading():
        for changeset in changesets:
            manifest, files = served.manifest_and_files(changeset)
            if passes is not None:
                files = list(filter(passes, files))
            for path, node in entries.changed(bytes.fromhex(manifest.decode()), files):
                found.setdefault(path, bytearray()).extend(node)
    return _without_duplicates(found)


def _all_files(
    served: ServedChangesets,
    changesets: Iterable[int],
    entries: ManifestEntries,
    passes: PathFilter | None,
) -> dict[bytes, bytearray]:
    """Return the nodes of all files that changesets have, by path."""
    found: dict[bytes, bytearray] = {}
    with served.log.reading(), entries.reading():
        # Ascending, so that each manifest is read as a delta to one before it.
        for changeset in sorted(changesets):
            manifest, _ = served.manifest_and_files(changeset)
            for path, node in entries.not_in_earlier(bytes.fromhex(manifest.decode())):
                if passes is None or passes(path):
                    found.setdefault(path, bytearray()).extend(node)
    return _without_duplicates(found)


def _without_duplicates(found: dict[bytes, bytearray]) -> dict[bytes, bytearray]:
    # All nodes are in one byte array, without a Python object for each: there may be millions.
    for nodes in found.values():
        if len(nodes) > NODE_SIZE:
            # Not a set: the order of nodes is nearly the store's, which makes sorting them cheap.
            different = dict.fromkeys(_nodes(nodes))
            if len(different) * NODE_SIZE < len(nodes):
                nodes[:] = b"".join(different)
    return found


def _nodes(joined: bytearray) -> Iterator[bytes]:
    return (bytes(joined[start : start + NODE_SIZE]) for start in range(0, len(joined), NODE_SIZE))


def _introduced_by(
    served: ServedChangesets, introductions: Introductions, path: bytes, revlog: Revlog
) -> Callable[[int], bytes]:
    def introduced_by(revision: int) -> bytes:
        changeset = introductions.find(path, revlog, revision)
        # -1, the null revision, cannot happen: a served changeset has been found to refer to it.
        return served.log.node(-1 if changeset is None else changeset)

    return introduced_by


def _open(repository: Repository, path: bytes) -> Revlog | None:
    """Return the revisions of a path that came from a peer; None for what can be no path."""
    # Nothing but a file's revisions may be opened by a name with "..".
    if (
        len(path) > _LONGEST
        or b"\0" in path
        or b"\n" in path
        or not _NO_NAMES.isdisjoint(path.split(b"/"))
    ):
        return None
    return repository.file(path).get_revlog()


def _has_served(introductions: Introductions, path: bytes, revlog: Revlog) -> bool:
    return any(
        introductions.find(path, revlog, revision) is not None for revision in range(len(revlog))
    )
