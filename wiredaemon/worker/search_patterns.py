"""Patterns of file names in searches: those that look at names in the repository, and no others.

Mercurial also has kinds of patterns that are read from files of the server, and its texts about
paths outside of the repository name the server's folders. A search with such a pattern is no
expression for hgweb, which then looks for its words.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from wiredaemon.worker.library import error, matching, revset

PLAIN: Final = frozenset(
    {b"filepath", b"glob", b"path", b"relglob", b"relpath", b"rootfilesin", b"rootglob"}
)
"""Kinds that compare names. Regular expressions are left out as by hgweb: they can run for hours.

A list of what may be used: a kind that a release of Mercurial adds is not for strangers at once.
"""

_WITH_PATTERNS: Final = (
    b"adds",
    b"file",
    b"filelog",
    b"follow",
    b"followlines",
    b"modifies",
    b"removes",
)
_INTERNAL: Final = (b"_followfirst", b"_matchfiles")
"""Functions with patterns that Mercurial's own commands use, in forms of their own."""


def patch_patterns() -> None:
    """Let searches use plain patterns only."""
    for name in _WITH_PATTERNS:
        revset.symbols[name] = _with_plain_patterns(revset.symbols[name])
    # The names that a search may use.
    revset.safesymbols.difference_update(_INTERNAL)


def is_plain(pattern: bytes) -> bool:
    """Return whether a pattern compares names inside of the repository, and does nothing else."""
    kind = matching.patkind(pattern)
    if kind is not None:
        pattern = pattern[len(kind) + 1 :]
    is_inside = not pattern.startswith(b"/") and b".." not in pattern.split(b"/")
    return is_inside and (kind is None or kind in PLAIN)


def _with_plain_patterns(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Find changesets by their files; a pattern that is not plain is an error of the search."""

    @functools.wraps(original)
    def found(repository: Any, subset: Any, tree: Any, *more: Any) -> Any:  # noqa: ANN401 of the library
        if not all(map(is_plain, _strings(tree))):
            raise error.ParseError(b"a pattern of this kind cannot be used in a search")
        return original(repository, subset, tree, *more)

    return found


def _strings(tree: Any) -> list[bytes]:  # noqa: ANN401 nested tuples of the library
    """Return all strings and names of an expression."""
    if not isinstance(tree, tuple) or not tree:
        return []
    if tree[0] in {b"string", b"symbol"}:
        return [tree[1]]
    return [text for part in tree[1:] for text in _strings(part)]
