"""``rawstorefiledata``: the files of the store that hold changesets and manifests, as they are.

Source: commands, section 4.13.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, IndefiniteBytes
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.library import streamclone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository

# Twice the largest frame: the pieces are no unit of the protocol, which cuts them into frames
# anyhow.
PIECE_SIZE: Final = 65536
"""Bytes of a file that are read and sent at once."""

_PREFIXES: Final[Mapping[bytes, bytes]] = {
    b"changelog": b"00changelog.",
    b"manifestlog": b"00manifest.",
}
_SUFFIXES: Final = (b".i", b".d")
"""The endings of a revlog's index and data; all else can be made from these."""


def rawstorefiledata(
    repository: Repository, *, files: Sequence[object], pathfilter: object = None
) -> Iterator[Value]:
    """Yield how many files and bytes there are, then for each file a map and its content.

    All files are opened while the store is locked, and no more of them is sent than they had
    then. What is pushed meanwhile is appended after that, or goes to a new file when an index is
    split; so the files fit one another.

    Args:
        repository: The served view.
        files: The kinds of files: ``changelog``, ``manifestlog``, or both.
        pathfilter: Ignored, as the original does.

    Raises:
        CommandError: ``stream clone is disabled`` or ``unknown file type: %s``. Raised
            before the first object.
    """
    del pathfilter
    _check_allowed(repository)
    prefixes = _prefixes(files)
    with ExitStack() as opened:
        contents = _open(repository.unfiltered(), prefixes, opened)
        total = sum(size for _, _, size in contents)
        header: Mapping[bytes, Value] = {b"filecount": len(contents), b"totalsize": total}
        yield header
        for name, file, size in contents:
            described: Mapping[bytes, Value] = {
                b"location": b"store",
                b"path": name,
                b"size": size,
            }
            yield described
            yield IndefiniteBytes(_pieces(file, size))


def _check_allowed(repository: Repository) -> None:
    if not streamclone.allowservergeneration(repository):
        raise CommandError("stream clone is disabled")


def _prefixes(files: Sequence[object]) -> tuple[bytes, ...]:
    names: list[bytes] = []
    for name in files:
        if not isinstance(name, bytes):
            raise CommandError("the elements of argument files must be byte strings")
        names.append(name)
    unknown = sorted(set(names) - _PREFIXES.keys())
    if unknown:
        raise CommandError("unknown file type: %s", [b", ".join(unknown)])
    return tuple(_PREFIXES[name] for name in names)


def _open(
    repository: Repository, prefixes: tuple[bytes, ...], opened: ExitStack
) -> list[tuple[bytes, IO[bytes], int]]:
    """Return name, open file and size of each file, manifests first."""
    store = repository.svfs
    contents: list[tuple[bytes, IO[bytes], int]] = []
    # A transaction in the middle of its writing would leave files that do not fit one another.
    lock = repository.lock()
    try:
        # The process that held the lock may have added a secret changeset.
        _check_allowed(repository)
        names = {
            file.unencoded_path
            for entry in repository.store.top_entries()
            if entry.is_revlog
            for file in entry.files(store)
        }
        # The changelog last: what refers to other files comes after them, as Mercurial writes.
        for name in sorted(names, reverse=True):
            if name.startswith(prefixes) and name.endswith(_SUFFIXES):
                file = opened.enter_context(store(name, b"rb", auditpath=False))
                size = os.fstat(file.fileno()).st_size
                if size:
                    contents.append((name, file, size))
    finally:
        # Before anything is sent: a slow client would otherwise keep everybody from pushing.
        lock.release()
    return contents


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    remaining = size
    while remaining:
        piece = file.read(min(PIECE_SIZE, remaining))
        if not piece:
            # A strip or a rollback cut the file off: its size was announced already.
            raise Refusal(b"the store lost data while it was sent; try again")
        remaining -= len(piece)
        yield piece
