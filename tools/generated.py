"""Repositories of thousands of changesets, made in seconds: `python -m tools.generated FOLDER`.

Owns writing a made up history (`histories`) as a real repository, with phases, bookmarks and tags.
Mercurial is loaded by the program only, never by the caller of `generate`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools.histories import File, History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.histories import Change

_ROOT: Final = Path(__file__).resolve().parents[1]
_SECONDS: Final = 300
_PUBLIC_SHARE: Final = 0.7
"""The share of changesets that are public: the first ones made, not counting secret ones."""

_FORMAT: Final = (
    (b"format", b"revlog-compression", b"zlib"),
    (b"format", b"use-dirstate-v2", b"no"),
    (b"format", b"use-share-safe", b"no"),
    (b"format", b"use-persistent-nodemap", b"no"),
)
"""The format options that every build of Mercurial 6.0 reads, whatever today's defaults are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The changesets that were made. Nodes are 40 hex digits."""

    changesets: int
    secret: tuple[str, ...]
    """Secret changesets, oldest first."""
    nodes: tuple[str, ...]
    """All changesets, oldest first, the secret ones too."""
    merges: int
    removals: int
    """Changesets that remove or rename files."""
    copies: int
    bookmarks: tuple[str, ...]


def generate(
    folder: Path, *, changesets: int = 3000, seed: int = 1, removals: bool = True
) -> Summary:
    """Make a repository, without a working copy, in a folder that does not exist.

    It has merges, copies, links, odd names, several branches and heads, one of them closed, tags,
    bookmarks, and public, draft and secret changesets. A seed always gives the same one, in
    formats that Mercurial 6.0 reads.

    Args:
        folder: The folder to make the repository in.
        changesets: The number of changesets, at least 40.
        seed: The seed of all random choices.
        removals: Whether files are removed and renamed; version 2 of Mercurial's own server cannot
            serve those.

    Raises:
        subprocess.CalledProcessError: Making it failed; `output` holds the printed text.
    """
    command = [sys.executable, "-m", __name__, "--json", str(folder)]
    command += ["--changesets", str(changesets), "--seed", str(seed)]
    path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    finished = subprocess.run(
        command if removals else [*command, "--no-removals"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=_SECONDS,
        check=True,
    )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in json.loads(finished.stdout).items()
    }
    return Summary(**values)


class _Writer:
    """Writes changesets into an open repository, within one transaction."""

    def __init__(self, repository: Any) -> None:  # noqa: ANN401 Mercurial has no types
        self._repository = repository
        self._binary_nodes: list[bytes] = []
        self.hex_nodes: list[bytes] = []
        self.secret: list[int] = []
        self.merges = 0
        self.removals = 0
        self.copies = 0

    def node(self, number: int) -> bytes:
        """The 20 bytes that name a changeset."""
        return self._binary_nodes[number]

    def write(self, change: Change) -> None:
        """Add one changeset."""
        from mercurial import context  # noqa: PLC0415 for the program only

        def content(repository: Any, changeset: Any, path: bytes) -> Any:  # noqa: ANN401 Mercurial's
            file = change.files[path]
            if file is None:
                return None
            return context.memfilectx(
                repository,
                changeset,
                path,
                file.data,
                islink=file.flags == b"l",
                isexec=file.flags == b"x",
                copysource=file.copied_from,
            )

        parents = [self._binary_nodes[number] for number in change.parents]
        node = context.memctx(
            self._repository,
            (*parents, None, None)[:2],
            change.text,
            sorted(change.files),
            content,
            user=change.user,
            date=change.date,
            extra=dict(change.extra),
            branch=change.branch,
        ).commit()
        if change.is_secret:
            self.secret.append(len(self.hex_nodes))
        self._binary_nodes.append(node)
        self.hex_nodes.append(node.hex().encode("ascii"))
        self.merges += len(change.parents) > 1
        self.removals += None in change.files.values()
        self.copies += any(_is_copy(file) for file in change.files.values())


def _is_copy(file: File | None) -> bool:
    return file is not None and file.copied_from is not None


def _write(folder: Path, *, changesets: int, seed: int, removals: bool) -> Summary:
    from mercurial import initialization  # noqa: PLC0415 for the program only

    initialization.init()
    from mercurial import hg, phases, ui  # noqa: PLC0415 the same

    configured = ui.ui.load()
    for section, name, value in _FORMAT:
        configured.setconfig(section, name, value, b"generated")
    repository = hg.repository(configured, os.fsencode(folder), create=True).unfiltered()
    writer = _Writer(repository)
    history = History(changesets=changesets, seed=seed, removals=removals, nodes=writer.hex_nodes)
    with repository.wlock(), repository.lock(), repository.transaction(b"generated") as transaction:
        for change in history.changes():
            writer.write(change)
        public = [writer.node(n) for n in range(int(changesets * _PUBLIC_SHARE))]
        phases.advanceboundary(repository, transaction, phases.public, public)
        secret = [writer.node(number) for number in writer.secret]
        phases.retractboundary(repository, transaction, phases.secret, secret)
        bookmarks = {
            b"main": writer.node(changesets // 2),
            b"@": writer.node(writer.secret[0] - 1),
            "naïve bookmark".encode(): writer.node(changesets // 3),
            b"main@elsewhere": writer.node(1),
            b"hidden": secret[-1],
        }
        repository._bookmarks.applychanges(  # noqa: SLF001 there is no other name for it
            repository, transaction, list(bookmarks.items())
        )
    return Summary(
        changesets=len(writer.hex_nodes),
        secret=tuple(writer.hex_nodes[number].decode() for number in writer.secret),
        nodes=tuple(node.decode() for node in writer.hex_nodes),
        merges=writer.merges,
        removals=writer.removals,
        copies=writer.copies,
        bookmarks=tuple(name.decode() for name in bookmarks),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make one, and print a summary, all of it only as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.generated", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changesets", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-removals", dest="removals", action="store_false")
    parser.add_argument("--json", action="store_true", help="print the whole summary, all nodes")
    asked = parser.parse_args(arguments)
    # Nobody's own settings, and names as they are; read when Mercurial is loaded.
    os.environ.update(HGRCPATH="", HGPLAIN="1", HGENCODING="utf-8")
    summary = _write(
        asked.folder, changesets=asked.changesets, seed=asked.seed, removals=asked.removals
    )
    if asked.json:
        sys.stdout.write(json.dumps(asdict(summary)) + "\n")
    else:
        for name, value in asdict(summary).items():
            count = value if isinstance(value, int) else len(value)
            sys.stdout.write(f"{name:12}{count:8}\n")


if __name__ == "__main__":
    main()
