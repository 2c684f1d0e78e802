"""``manifestdata``: revisions of manifests.

Source: commands, section 4.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.commands import CommandError
from wiredaemon.worker.deltas import TextForms
from wiredaemon.worker.introrevs import manifests_not_served
from wiredaemon.worker.records import records
from wiredaemon.worker.served_changesets import (
    NULL_NODE,
    ServedChangesets,
    find_revision,
    numbers,
)

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository, Revlog


def manifestdata(
    repository: Repository,
    *,
    tree: bytes,
    nodes: Sequence[object],
    fields: AbstractSet[bytes],
    haveparents: bool,
) -> Iterator[Value]:
    """Yield how many revisions there are, then a record for each, in the order of the store.

    A node given twice comes twice. The null node, the manifest of no files, has no record and is
    not counted.

    Args:
        repository: The served view.
        tree: The folder: empty for the root; with tree manifests, a path with a slash at its end.
        nodes: The nodes of the manifests, 20 raw bytes each.
        fields: Any of ``parents``, ``revision``.
        haveparents: The client has the parents of each manifest; deltas may be to them.

    Raises:
        CommandError: ``unknown node: %s``, also for a manifest that no served changeset has;
            or there are no tree manifests. Raised before the first object.
    """
    # Mercurial answers with an error of an empty text (commands, section 4.8).
    if tree and b"treemanifest" not in repository.requirements:
        raise CommandError(
            "tree must be empty: the repository has no tree manifests; got %s", [tree]
        )
    if tree and not tree.endswith(b"/"):
        raise CommandError("the name of a tree ends with a slash; got %s", [tree])
    revlog = repository.manifestlog.getstorage(tree).get_revlog()
    revisions = _resolve(repository, revlog, tree, nodes)
    yield {b"totalitems": len(revisions)}
    forms = TextForms(revlog, have_parents=haveparents, diffs_large=True)
    yield from records(revlog, sorted(revisions), fields=fields, forms=forms)


def _resolve(
    repository: Repository, revlog: Revlog, tree: bytes, nodes: Sequence[object]
) -> array[int]:
    served = ServedChangesets(repository)
    revisions, elsewhere = numbers(), set[bytes]()
    for node in nodes:
        if not isinstance(node, bytes):
            raise CommandError("the elements of argument nodes must be byte strings")
        if node == NULL_NODE:
            continue
        revision = find_revision(revlog, node)
        if revision is None:
            raise _unknown(node)
        if revlog.linkrev(revision) not in served:
            elsewhere.add(node)
        revisions.append(revision)
    not_served = manifests_not_served(repository, served, tree, elsewhere)
    if not_served:
        # One of them, and the same each time: a set has an order of its own in each process.
        raise _unknown(min(not_served))
    return revisions


def _unknown(node: bytes) -> CommandError:
    return CommandError("unknown node: %s", [node])
