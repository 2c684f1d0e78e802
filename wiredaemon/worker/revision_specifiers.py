"""Revision specifiers: the changesets that a request is about.

Source: commands, section 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import CommandError
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.served_changesets import (
    NULL_NODE,
    check_node,
    numbers,
    unknown_revision,
)

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wiredaemon.worker.served_changesets import ServedChangesets

_EXPLICIT: Final = b"changesetexplicit"
_DEPTH: Final = b"changesetexplicitdepth"
_RANGE: Final = b"changesetdagrange"

# Clients of Mercurial send one; a walk through 100,000 changesets takes some tens of milliseconds.
MOST_WALKS: Final = 100
"""Specifiers of one request that may follow the history: each may cost a walk through all of it."""


def resolve(served: ServedChangesets, specifiers: Sequence[object]) -> array[int]:
    """Return the numbers of all changesets specified, each once, in the order produced.

    The null node stands for no changeset, as in an empty repository whose only head it is.

    Raises:
        CommandError: A specifier is not as documented, or there are too many.
        Refusal: A node is not served (unknown roots are passed over), or cannot be one.
    """
    # All are checked before any is looked up.
    checked = [_check(specifier) for specifier in specifiers]
    walks = sum(kind != _EXPLICIT for kind, _ in checked)
    if walks > MOST_WALKS:
        raise CommandError(
            "at most %s revision specifiers may follow the history, not %s",
            [b"%d" % MOST_WALKS, b"%d" % walks],
        )
    # A walk yields each number once: the only specifier, as nearly always, needs no set of what was
    # seen.
    if len(checked) == 1 and checked[0][0] != _EXPLICIT:
        ((kind, specifier),) = checked
        return _RESOLVERS[kind](served, specifier)
    resolved, seen = numbers(), set[int]()
    for kind, specifier in checked:
        for revision in _RESOLVERS[kind](served, specifier):
            if revision not in seen:
                seen.add(revision)
                resolved.append(revision)
    return resolved


def _check(specifier: object) -> tuple[bytes, Mapping[bytes, Any]]:
    """Return the type of a specifier and its keys, all of the right types."""
    if not isinstance(specifier, dict):
        raise CommandError("a revision specifier must be a map")
    if b"type" not in specifier:
        raise CommandError("type key not present in revision specifier")
    kind = specifier[b"type"]
    if not isinstance(kind, bytes):
        raise CommandError("type key in revision specifier must be a byte string")
    if kind not in _KEYS:
        raise CommandError("unknown revision specifier type: %s", [kind])
    for key in _KEYS[kind]:
        if key not in specifier:
            raise _missing(kind, key)
    for key in _KEYS[kind]:
        _check_value(kind, key, specifier[key])
    return kind, specifier


def _missing(kind: bytes, key: bytes) -> CommandError:
    if kind == _EXPLICIT:
        return CommandError("nodes key not present in changesetexplicit revision specifier")
    return CommandError(b"%%s key not present in %s revision specifier" % kind, [key])


def _check_value(kind: bytes, key: bytes, value: object) -> None:
    place = b"%s key in %s" % (key, kind)
    if key == b"depth":
        if not isinstance(value, int) or isinstance(value, bool):
            raise CommandError(b"%s must be an integer" % place)
        if value < 1:
            raise CommandError(b"%s must be at least 1, not %%s" % place, [b"%d" % value])
        return
    if not isinstance(value, list | tuple):
        raise CommandError(b"%s must be an array" % place)
    for node in value:
        try:
            check_node(node, place)
        except Refusal as refusal:
            raise CommandError(b"%s", [refusal.text]) from None


def _revisions(served: ServedChangesets, nodes: Iterable[bytes]) -> array[int]:
    revisions = numbers()
    for node in nodes:
        if node == NULL_NODE:
            continue
        revision = served.revision(node)
        if revision is None:
            raise unknown_revision(node)
        revisions.append(revision)
    return revisions


def _explicit(served: ServedChangesets, specifier: Mapping[bytes, Any]) -> array[int]:
    return _revisions(served, specifier[b"nodes"])


def _explicit_depth(served: ServedChangesets, specifier: Mapping[bytes, Any]) -> array[int]:
    parents_of = served.log.parentrevs
    generation = set(_revisions(served, specifier[b"nodes"]))
    found = set(generation)
    remaining = specifier[b"depth"] - 1
    while generation and remaining:
        # A generation at a time, for depth counts by the shortest way: one walk in depth would
        # visit changesets once for each way.
        parents = {parent for revision in generation for parent in parents_of(revision)}
        # The null revision, which is every root's parent.
        parents.discard(-1)
        generation = parents - found
        found |= generation
        remaining -= 1
    resolved = numbers()
    resolved.extend(sorted(found))
    return resolved


def _dag_range(served: ServedChangesets, specifier: Mapping[bytes, Any]) -> array[int]:
    if not specifier[b"heads"] and not served.are_none:
        # Clients of an empty repository have no head to name: they only know the null node.
        raise CommandError("heads key in changesetdagrange cannot be empty")
    heads = _revisions(served, specifier[b"heads"])
    # Unknown roots are ignored: a client may have what we have not (commands, section 4.5).
    known = (served.revision(node) for node in specifier[b"roots"])
    roots = [revision for revision in known if revision is not None]
    resolved = numbers()
    if heads:
        resolved.extend(served.log.findmissingrevs(roots or [-1], list(heads)))
    return resolved


_KEYS: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    _EXPLICIT: (b"nodes",),
    _DEPTH: (b"nodes", b"depth"),
    _RANGE: (b"roots", b"heads"),
}
"""The keys that each type needs, in the order in which they are checked."""

_RESOLVERS: Final[Mapping[bytes, Callable[[ServedChangesets, Mapping[bytes, Any]], array[int]]]] = {
    _EXPLICIT: _explicit,
    _DEPTH: _explicit_depth,
    _RANGE: _dag_range,
}
