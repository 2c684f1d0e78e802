"""Path filters: which paths of a repository a request is about.

Source: commands, section 4.12.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, TypeAlias

from wiredaemon.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    PathFilter: TypeAlias = Callable[[bytes], bool]

_BELOW: Final = b"path:"
_DIRECTLY_IN: Final = b"rootfilesin:"
_WRONG_PREFIX: Final = b"%s pattern must begin with `path:` or `rootfilesin:`; got %s"


def parse_path_filter(given: Mapping[object, object] | None) -> PathFilter | None:
    """Return the test of a path, or None where every path passes.

    Args:
        given: The arrays of patterns under ``include`` and ``exclude``, both optional. Without a
            pattern to include, all paths are; other keys mean nothing.

    Raises:
        CommandError: A pattern is not one of the two kinds.
    """
    if given is None:
        return None
    include, exclude = _patterns(given, b"include"), _patterns(given, b"exclude")
    # Four closures for the four cases, for a filter is asked for each path of a manifest: a general
    # one would test each time what is fixed.
    if not include:
        if not exclude:
            return None
        excludes = _any_of(exclude)
        return lambda path: not excludes(path)
    includes = _any_of(include)
    if not exclude:
        return includes
    excludes = _any_of(exclude)
    return lambda path: includes(path) and not excludes(path)


def _patterns(given: Mapping[object, object], key: bytes) -> list[bytes]:
    patterns = given.get(key)
    if patterns is None:
        return []
    if not isinstance(patterns, list | tuple | set | frozenset):
        raise CommandError("%s patterns must be defined as an array", [key])
    checked: list[bytes] = []
    for pattern in patterns:
        if not isinstance(pattern, bytes):
            raise CommandError(
                "%s pattern must be a byte string; got %s", [key, type(pattern).__name__]
            )
        if not pattern.startswith((_BELOW, _DIRECTLY_IN)):
            raise CommandError(_WRONG_PREFIX, [key, pattern])
        checked.append(pattern)
    return checked


def _any_of(patterns: Sequence[bytes]) -> PathFilter:
    """Return the test for any of the patterns; its cost does not grow with their number."""
    names: set[bytes] = set()
    parents: set[bytes] = set()
    for pattern in patterns:
        kind, _, name = pattern.partition(b":")
        name = _normal(name)
        if kind + b":" == _DIRECTLY_IN:
            parents.add(name)
        elif not name:
            return lambda _path: True
        else:
            names.add(name)

    def passes(path: bytes) -> bool:
        # Sets, because a request may name thousands of patterns: one test after the other made such
        # a request take minutes.
        if path in names or path.rpartition(b"/")[0] in parents:
            return True
        end = path.find(b"/") if names else -1
        while end >= 0:
            if path[:end] in names:
                return True
            end = path.find(b"/", end + 1)
        return False

    return passes


def _normal(name: bytes) -> bytes:
    """Return a name as repositories write it; the top folder is empty."""
    normal = posixpath.normpath(name) if name else b""
    return b"" if normal == b"." else normal
