"""A large repository: `python -m tools.large_history FOLDER`; 100,000 changesets take minutes.

Small changes to many files, as a large project has them over the years: each fifth changeset adds a
file, the others change some. Mercurial is loaded by the program only, never by who calls `enlarge`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROOT: Final = Path(__file__).resolve().parents[1]
_SECONDS: Final = 3600
_EACH: Final = 5
"""Changesets for each new file."""
_AT_ONCE: Final = 5000
"""Changesets of one transaction: the nodes of a transaction are held until it ends."""
_BESIDE: Final = 20
"""Heads beside the one that most is built on."""
_BRANCH: Final = 100
"""Changesets of each of them."""
_WORDS: Final = ("lemon", "river", "stone", "cloud", "amber", "forest", "candle", "window")


def enlarge(folder: Path, *, changesets: int, bookmarks: int) -> None:
    """Make a repository in a folder that does not exist.

    Args:
        folder: The folder.
        changesets: Their number; a fifth as many files.
        bookmarks: Their number.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", __name__, str(folder)]
    subprocess.run(
        [*command, "--changesets", str(changesets), "--bookmarks", str(bookmarks)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
    )


class _Files:
    """The files of a repository, and what each changeset does to them."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)  # noqa: S311 nothing is secret about it
        self._lines: list[list[bytes]] = []

    def change(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield path and content of the files that a changeset changes."""
        if number % _EACH == 0:
            self._lines.append([self._line() for _ in range(20)])
            chosen = [len(self._lines) - 1]
        else:
            chosen = self._dice.sample(range(len(self._lines)), min(2, len(self._lines)))
        for each in chosen:
            lines = self._lines[each]
            lines[self._dice.randrange(len(lines))] = self._line()
            yield _path(each), b"".join(lines)

    def _line(self) -> bytes:
        return " ".join(self._dice.choices(_WORDS, k=8)).encode() + b"\n"


def _path(number: int) -> bytes:
    return b"part%02d/module%02d/file%05d.txt" % (number % 40, number // 40 % 50, number)


def _write(folder: Path, changesets: int, bookmarks: int) -> None:
    from mercurial import initialization  # noqa: PLC0415 for the program only

    initialization.init()
    from mercurial import context, hg, phases, ui  # noqa: PLC0415 the same

    repository = hg.repository(ui.ui.load(), os.fsencode(folder), create=True).unfiltered()
    files = _Files(1)
    nodes: list[Any] = []

    def commit(number: int, parent: Any) -> Any:  # noqa: ANN401 Mercurial's
        changed = dict(files.change(number))

        def content(opened: Any, changeset: Any, path: bytes) -> Any:  # noqa: ANN401 Mercurial's
            return context.memfilectx(opened, changeset, path, changed[path])

        change = (parent, None), b"change %d" % number, sorted(changed), content
        date = b"%d 0" % (1_000_000_000 + 600 * number)
        return context.memctx(repository, *change, user=b"test", date=date).commit()

    main = changesets - _BESIDE * _BRANCH
    for first in range(0, changesets, _AT_ONCE):
        with repository.wlock(), repository.lock(), repository.transaction(b"large"):
            for number in range(first, min(first + _AT_ONCE, changesets)):
                beside = number - main
                if beside >= 0 and beside % _BRANCH == 0:
                    parent = nodes[main * (beside // _BRANCH + 1) // (_BESIDE + 1)]
                else:
                    parent = nodes[-1] if nodes else None
                nodes.append(commit(number, parent))
        sys.stdout.write(f"{len(nodes)} changesets\n")
    with repository.wlock(), repository.lock(), repository.transaction(b"large") as transaction:
        phases.advanceboundary(repository, transaction, phases.public, nodes)
        marked = [(b"mark-%d" % n, nodes[n * changesets // bookmarks]) for n in range(bookmarks)]
        repository._bookmarks.applychanges(repository, transaction, marked)  # noqa: SLF001 it has no other name


def main(arguments: Sequence[str] | None = None) -> None:
    """Make one."""
    parser = argparse.ArgumentParser(prog="python -m tools.large_history", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changesets", type=int, default=100_000)
    parser.add_argument("--bookmarks", type=int, default=2000)
    asked = parser.parse_args(arguments)
    if asked.changesets <= 2 * _BESIDE * _BRANCH:
        parser.error(f"more than {2 * _BESIDE * _BRANCH} changesets are needed")
    # Nobody's own settings, read when Mercurial is loaded.
    os.environ.update(HGRCPATH="", HGPLAIN="1", HGENCODING="utf-8")
    _write(asked.folder, asked.changesets, asked.bookmarks)


if __name__ == "__main__":
    main()
