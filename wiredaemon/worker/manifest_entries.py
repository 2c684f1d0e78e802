"""The entries of manifests: the file revisions that changesets refer to.

Manifests grow with the repository while a changeset changes little, so they are read by what
they add to others where that is enough. The deltas in a store consist of whole lines; Mercurial
itself relies on that.

Source: commands, section 4.8 ("Manifest text").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.worker.library import added_text, is_plain
from wiredaemon.worker.served_changesets import NULL_NODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from wiredaemon.worker.library_types import Repository

_HEX: Final = 40
# Measured: parsing wins from 6 to 8 paths on in up to 200 lines, and from some 35 on in 10,000. A
# changeset's delta has about as many lines as the changeset has paths.
_FEW: Final = 12
"""With at least so many paths, lines are parsed instead of searched for one by one."""


class ManifestEntries:
    """Looks up file nodes in manifests.

    Args:
        repository: Any view of the repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._manifests = repository.manifestlog
        self._revlog = repository.manifestlog.getstorage(b"").get_revlog()
        # Tree manifests are read through the library: their deltas are of folders, and few
        # repositories have them.
        self._is_flat = b"treemanifest" not in repository.requirements
        self._read: set[int] = set()
        """Revisions whose entries were all yielded."""

    def reading(self) -> AbstractContextManager[None]:
        """Keep the files open, for many look-ups."""
        return self._revlog.reading()

    def find(self, manifest: bytes, path: bytes) -> bytes | None:
        """Return the node of a path, or None where the manifest has no such file."""
        if manifest == NULL_NODE:
            return None
        if not self._is_flat:
            return self._manifests[manifest].read().get(path)
        # A line feed in front, so that the first line is found like all others.
        return _find(b"\n" + self._revlog.rawdata(self._revlog.rev(manifest)), path)

    def changed(self, manifest: bytes, paths: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield path and node of those paths that the manifest has.

        Fast for paths that a changeset has changed, correct for all.
        """
        if manifest == NULL_NODE or not paths:
            return
        if not self._is_flat:
            files = self._manifests[manifest].read()
            found = ((path, files.get(path)) for path in paths)
            yield from ((path, node) for path, node in found if node is not None)
            return
        revision = self._revlog.rev(manifest)
        base = self._revlog.deltaparent(revision)
        is_whole = base < 0 or not is_plain(self._revlog.flags(revision))
        lines = self._lines(base, revision, is_whole=is_whole)
        unexplained: list[bytes] = []
        for path, node in _find_all(lines, paths):
            if node is not None:
                yield path, node
            else:
                unexplained.append(path)
        if unexplained and not is_whole:
            # The file was removed, or is as in the base, which need not be the parent.
            lines = b"\n" + self._revlog.rawdata(revision)
            for path, node in _find_all(lines, unexplained):
                if node is not None:
                    yield path, node

    def not_in_earlier(self, manifest: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield path and node of all files, without most of those that earlier calls yielded.

        Over all calls each file revision comes at least once; and not much more often if later
        calls are for manifests that were added later.
        """
        if manifest == NULL_NODE:
            return
        if not self._is_flat:
            yield from self._manifests[manifest].read().iteritems()
            return
        revision = self._revlog.rev(manifest)
        # Changesets that change no file share the manifest of their parent.
        if revision in self._read:
            return
        # A delta to a manifest that was read adds exactly the lines that are new.
        base = self._revlog.deltaparent(revision)
        lines = self._lines(base, revision, is_whole=base not in self._read)
        # Before the first is yielded: whoever asks for this manifest next gets nothing twice.
        self._read.add(revision)
        for line in lines.split(b"\n"):
            if line:
                path, _, rest = line.partition(b"\0")
                yield path, bytes.fromhex(rest[:_HEX].decode())

    def _lines(self, base: int, revision: int, *, is_whole: bool) -> bytes:
        """Return the lines of a manifest, or those added to the base, with a line feed in front."""
        if is_whole:
            return b"\n" + self._revlog.rawdata(revision)
        return b"\n" + added_text(self._revlog.revdiff(base, revision))


def _find(lines: bytes, path: bytes) -> bytes | None:
    name = b"\n%s\0" % path
    position = lines.find(name)
    if position < 0:
        return None
    start = position + len(name)
    return bytes.fromhex(lines[start : start + _HEX].decode())


def _find_all(lines: bytes, paths: Sequence[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
    if len(paths) < _FEW:
        for path in paths:
            yield path, _find(lines, path)
        return
    nodes: dict[bytes, bytes] = {}
    for line in lines.split(b"\n"):
        name, _, rest = line.partition(b"\0")
        nodes[name] = rest[:_HEX]
    for path in paths:
        digits = nodes.get(path)
        yield path, None if digits is None else bytes.fromhex(digits.decode())
