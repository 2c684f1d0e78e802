"""The revisions that count as served: changesets of the view, and what those refer to.

Manifests and files are stored once for all views. Each revision notes the changeset that it was
added with, and where that one is not served, another one that came later may still refer to it:
a secret changeset and a public one can have the same file in the same state. So a
revision that is not served by its own note is searched for among the served changesets.

Source: commands, sections 0, 4.8, 4.10 and 4.11.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.library import error
from wiredaemon.worker.values import NODE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.worker.library_types import Repository, Revlog

NULL_NODE: Final = bytes(NODE_SIZE)


def find_revision(revlog: Revlog, node: bytes) -> int | None:
    """Return the number of a node, or None where there is none; never that of the null node."""
    # The library fails in another way for other lengths, and has a revision, -1, for the null node.
    if len(node) != NODE_SIZE or node == NULL_NODE:
        return None
    try:
        return revlog.rev(node)
    # The second is for 20 bytes 0xff, the working directory's pseudo node.
    except (error.LookupError, error.WdirUnsupported):
        return None


def check_node(node: object, where: bytes) -> bytes:
    """Return a node that has the form of one.

    Args:
        node: The value that came from a peer.
        where: The argument that it was in, for the message.

    Raises:
        Refusal: The value is no byte string of 20 bytes.
    """
    if not isinstance(node, bytes):
        raise Refusal(b"%s: a node must be a byte string" % where)
    if len(node) != NODE_SIZE:
        raise Refusal(b"%s: a node has %d bytes, not %d" % (where, NODE_SIZE, len(node)))
    return node


def unknown_revision(node: bytes) -> Refusal:
    """Return the error for a changeset that does not exist or is not served."""
    return Refusal(b"unknown revision '%s'" % node.hex().encode())


class ServedChangesets:
    """The changesets of a view, by their numbers among all changesets.

    Args:
        repository: The served view.
    """

    def __init__(self, repository: Repository) -> None:
        self._view = repository.changelog
        self.log = repository.unfiltered().changelog
        """All changesets: much faster to read than through a view. Ask only for served numbers."""
        self._hidden = self._view.filteredrevs
        # Counted now: a changeset that is pushed while this request runs is in the log, and in
        # nobody's view of it.
        self._count = len(self.log)
        self.are_all = not self._hidden
        self.are_none = len(self._hidden) == self._count

    def revision(self, node: bytes) -> int | None:
        """Return the number of a node, or None where no served changeset has it."""
        return find_revision(self._view, node)

    def __contains__(self, revision: int) -> bool:
        """Return whether a changeset is served; one that was added meanwhile is not."""
        return 0 <= revision < self._count and revision not in self._hidden

    def after_hidden(self) -> Iterator[int]:
        """Return the served changesets after the first hidden one, where searches mostly end."""
        return (
            revision for revision in range(self._first_hidden(), self._count) if revision in self
        )

    def before_hidden(self) -> Iterator[int]:
        """Return the other served changesets, ascending."""
        return iter(range(self._first_hidden()))

    def _first_hidden(self) -> int:
        return min(self._hidden, default=self._count)

    def manifest_and_files(self, revision: int) -> tuple[bytes, list[bytes]]:
        """Return the manifest node in hex and the changed paths of a changeset.

        Source: commands, section 4.7 ("Changelog text").
        """
        # Not validated: that takes 1.2 times as long for each of all changesets, and nothing of the
        # text is sent.
        text = self.log.rawdata(revision, validate=False)
        end = text.find(b"\n\n")
        lines = text[:end].split(b"\n")
        return lines[0], lines[3:]


def numbers() -> array[int]:
    """Return an empty array of revision numbers, four bytes each."""
    return array("i")
