"""The served changeset that introduced a file revision or refers to a manifest.

A revision notes the changeset that it was added with; while that is served, it is the answer.
Otherwise the changesets are searched, lowest number first: for a file, those that changed the
path, for one whose manifest has the revision and whose parents' manifests have not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.worker.manifest_entries import ManifestEntries
from wiredaemon.worker.served_changesets import NULL_NODE, numbers

if TYPE_CHECKING:
    from array import array
    from collections.abc import Container, Iterable, Iterator

    from wiredaemon.worker.library_types import Repository, Revlog
    from wiredaemon.worker.served_changesets import ServedChangesets


class Introductions:
    """Finds the changesets that introduced the revisions of some files.

    Args:
        repository: The served view.
        served: The changesets of the view.
        paths: All paths that will be asked about.
    """

    def __init__(
        self, repository: Repository, served: ServedChangesets, paths: Container[bytes]
    ) -> None:
        self._entries = ManifestEntries(repository)
        self._served = served
        self._paths = paths
        self._searched: dict[tuple[bytes, int], int | None] = {}
        # Changesets by path, read at the first search: most requests never need one.
        self._later: dict[bytes, array[int]] | None = None
        self._earlier: dict[bytes, array[int]] | None = None

    def find(self, path: bytes, revlog: Revlog, revision: int) -> int | None:
        """Return the number of the changeset, or None where no served one has the revision."""
        link = revlog.linkrev(revision)
        # Nearly always: a search reads every changeset once, and is only for what was added with a
        # secret one.
        if link in self._served:
            return link
        key = (path, revision)
        # Remembered also where nothing was found: a client may name one node any number of times.
        if key not in self._searched:
            node = revlog.node(revision)
            candidates = (change for change in self._changes(path) if self._has(change, path, node))
            self._searched[key] = next(candidates, None)
        return self._searched[key]

    def _has(self, changeset: int, path: bytes, node: bytes) -> bool:
        """Return whether the changeset has the file revision and none of its parents has."""
        return self._entry(changeset, path) == node and all(
            self._entry(parent, path) != node
            for parent in self._served.log.parentrevs(changeset)
            if parent >= 0  # not the null revision, which has no files
        )

    def _entry(self, changeset: int, path: bytes) -> bytes | None:
        manifest, _ = self._served.manifest_and_files(changeset)
        return self._entries.find(bytes.fromhex(manifest.decode()), path)

    def _changes(self, path: bytes) -> Iterator[int]:
        """Yield the served changesets that changed a path, the likely ones first."""
        if self._later is None:
            self._later = self._collect(self._served.after_hidden())
        yield from self._later.get(path, ())
        # A store can be in another order than the history was made in.
        if self._earlier is None:
            self._earlier = self._collect(self._served.before_hidden())
        yield from self._earlier.get(path, ())

    def _collect(self, changesets: Iterable[int]) -> dict[bytes, array[int]]:
        changes: dict[bytes, array[int]] = {}
        with self._served.log.reading():
            for changeset in changesets:
                _, files = self._served.manifest_and_files(changeset)
                for path in files:
                    if path in self._paths:
                        changes.setdefault(path, numbers()).append(changeset)
        return changes


def manifests_not_served(
    repository: Repository, served: ServedChangesets, tree: bytes, nodes: set[bytes]
) -> set[bytes]:
    """Return those of these manifests of a folder that no served changeset refers to.

    For manifests that were added with changesets that are not served; others need no search.
    """
    remaining = set(nodes)
    for changesets in (served.after_hidden(), served.before_hidden()):
        for changeset in changesets:
            if not remaining:
                return remaining
            digits, _ = served.manifest_and_files(changeset)
            root = bytes.fromhex(digits.decode())
            if not tree:
                remaining.discard(root)
            elif root != NULL_NODE:
                folders = repository.manifestlog[root].read().walksubtrees()
                remaining.difference_update(
                    folder.node() for folder in folders if folder.dir() == tree
                )
    return remaining
