"""Finds repositories below a folder by the names of their paths.

Owns the rules of what may be reached below a collection's folder. It reads the disk at each call
and keeps nothing. ``host_lookup`` says which collections there are, under which prefixes.

As of hgwebdir: repositories are found at any depth; below a repository nothing more is found unless
the collection enters repositories. Unlike there: nothing whose name begins with a dot is entered
(so nothing inside of ``.hg``), and a link counts only if it leads to something that could have been
reached without it, below the same folder.

Every step of a name is checked before it is taken. Somebody could exchange folders below the
collection's folder between that check and a worker's opening of the repository, but may as well put
repositories there.

Source: hg help hgweb, "paths"; reliability, section 2 ("Path escape").
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Names = tuple[bytes, ...]
"""Components of a URL's path, decoded, without slashes."""

_FORBIDDEN: Final = frozenset(b"/\\\0")


class LocatedRepository(NamedTuple):
    """A repository of a collection."""

    names: Names
    """The path below the collection's prefix; empty for its folder itself."""
    path: bytes
    """The repository's working folder, as an absolute path."""


class Budget:
    """The names in folders that a search may still read."""

    def __init__(self, most: int) -> None:
        self._left = most

    @property
    def is_spent(self) -> bool:
        """Return whether the search left out a name because the budget was used up."""
        return self._left < 0

    def spend(self) -> bool:
        """Count one more name; False if it must be left out."""
        self._left -= 1
        return self._left >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All repositories below a folder, under one URL prefix."""

    prefix: str
    """``/`` or ``/name/name``, without the star."""
    folder: Path
    """The folder to search, as an absolute path; it may be missing."""
    enters_repositories: bool = False
    """Repositories inside of others' working folders are found too: two stars."""

    @property
    def names(self) -> Names:
        """The components of the prefix."""
        return names_of(self.prefix)

    def find(self, names: Sequence[bytes], depth: int) -> LocatedRepository | None:
        """Return the repository at ``names``, or the nearest one above.

        Reads only the folders on the way.

        Args:
            names: The path's components below the prefix.
            depth: The most levels below the folder at which a repository is found.
        """
        located = None
        for taken, path, is_repository in self._walk(names, depth):
            if is_repository:
                located = LocatedRepository(tuple(names[:taken]), path)
        return located

    def folder_at(self, names: Sequence[bytes], depth: int) -> bytes | None:
        """Return the folder at ``names``; None if there is none or it belongs to a repository."""
        for taken, path, is_repository in self._walk(names, depth):
            if taken == len(names) and not is_repository:
                return path
        return None

    def scan(self, names: Names, depth: int, budget: Budget) -> Iterator[LocatedRepository]:
        """Search for repositories, the folder at ``names`` and then below it, nearest ones first.

        Blocks while it reads folders, which may be many.

        Args:
            names: The path's components below the prefix.
            depth: As for `find`.
            budget: The names that the search may still read; each name read counts.
        """
        # Nearest ones first, not one branch after the other: a budget that runs out then leaves out
        # what is deepest.
        found = deque(
            LocatedRepository(names, path)
            for taken, path, _ in self._walk(names, depth)
            if taken == len(names)
        )
        linked: set[bytes] = set()
        while found:
            place = found.popleft()
            if self._is_repository(place.path):
                yield place
                if not self.enters_repositories:
                    continue
            if len(place.names) < depth:
                found.extend(self._below(place, budget, linked))

    def _walk(self, names: Sequence[bytes], depth: int) -> Iterator[tuple[int, bytes, bool]]:
        """Walk down, and yield for each folder: names taken, path, is it a repository."""
        path: bytes | None = os.fsencode(self.folder)
        for taken in range(min(len(names), depth) + 1):
            if path is None:
                return
            is_repository = self._is_repository(path)
            yield taken, path, is_repository
            if taken == len(names) or (is_repository and not self.enters_repositories):
                return
            path = self._enter(path, names[taken]) if is_served(names[taken]) else None

    def _enter(self, folder: bytes, name: bytes) -> bytes | None:
        path = posixpath.join(folder, name)
        match _kind(path):
            case stat.S_IFDIR:
                return path
            case stat.S_IFLNK:
                return self._follow(path)
        return None

    def _follow(self, link: bytes) -> bytes | None:
        """Return the folder that a link leads to, if it is one that needs no link."""
        try:
            real = os.path.realpath(link, strict=True)
        except OSError:
            return None
        below = self._below_folder(real)
        if below is None or not all(map(is_served, below)) or _kind(real) != stat.S_IFDIR:
            return None
        return real

    def _below_folder(self, real: bytes) -> Names | None:
        """Return the names from the folder to a path without links; None for one outside."""
        top = names_of(os.path.realpath(os.fsencode(self.folder)))
        names = names_of(real)
        # By components, not by characters: /srv/hg2 is not below /srv/hg.
        return names[len(top) :] if names[: len(top)] == top else None

    def _is_repository(self, path: bytes) -> bool:
        inside = posixpath.join(path, b".hg")
        match _kind(inside):
            case stat.S_IFDIR:
                return True
            case stat.S_IFLNK:
                real = os.path.realpath(inside)
                return bool(self._below_folder(real)) and _kind(real) == stat.S_IFDIR
        return False

    def _below(
        self, place: LocatedRepository, budget: Budget, linked: set[bytes]
    ) -> Iterator[LocatedRepository]:
        """Return the folders in a folder."""
        try:
            with os.scandir(place.path) as entries:
                for entry in entries:
                    if not budget.spend():
                        return
                    if not is_served(entry.name):
                        continue
                    if entry.is_symlink():
                        path = self._follow_once(place.path, entry.path, linked)
                    else:
                        path = entry.path if entry.is_dir(follow_symlinks=False) else None
                    if path is not None:
                        yield LocatedRepository((*place.names, entry.name), path)
        except OSError:
            return  # it vanished, or is not ours to read

    def _follow_once(self, folder: bytes, link: bytes, linked: set[bytes]) -> bytes | None:
        """Follow a link unless a circle comes of it; a folder is entered by one link, no more."""
        real = self._follow(link)
        if real is None or _is_at_or_below(os.path.realpath(folder), real):
            return None
        if real in linked and (self.enters_repositories or not self._is_repository(real)):
            return None
        linked.add(real)
        return real


def is_served(name: bytes) -> bool:
    """Return whether a name may be looked for in a collection: no dot in front, one step down."""
    return bool(name) and name[0] != ord(".") and _FORBIDDEN.isdisjoint(name)


def names_of(path: str | bytes) -> Names:
    """Return the components of a path."""
    encoded = path.encode() if isinstance(path, str) else path
    return tuple(filter(None, encoded.split(b"/")))


def changed_at(repository: bytes) -> float | None:
    """Return when a repository's history last changed, in seconds since 1970; None if it has none.

    Blocks.
    """
    inside = posixpath.join(repository, b".hg")
    for folder in (inside, _shared(inside)):
        try:
            return os.stat(posixpath.join(folder, b"store", b"00changelog.i")).st_mtime  # noqa: PTH116 a path in bytes
        except (OSError, ValueError):
            continue
    return None


def _shared(inside: bytes) -> bytes:
    """Return the ``.hg`` folder that holds a repository's history: another one if it is shared."""
    try:
        with open(posixpath.join(inside, b"sharedpath"), "rb") as file:  # noqa: PTH123 the same
            return posixpath.normpath(posixpath.join(inside, file.read(4096).rstrip(b"\n")))
    except OSError:
        return inside


def _is_at_or_below(path: bytes, folder: bytes) -> bool:
    """Compare two paths without links."""
    names, above = names_of(path), names_of(folder)
    return names[: len(above)] == above


def _kind(path: bytes) -> int | None:
    """Return the type of a file, of a link itself; None if it is not there."""
    try:
        # ValueError is for a NUL byte, which a URL may hold.
        return stat.S_IFMT(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return None
