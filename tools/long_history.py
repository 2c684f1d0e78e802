"""A file with a long history, added to a repository: `python -m tools.long_history FOLDER`.

Mercurial is loaded by the program only, never by the caller of `lengthen`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH: Final = b"long history.txt"
"""The file's path in the repository."""
_ROOT: Final = Path(__file__).resolve().parents[1]
_SECONDS: Final = 300


def lengthen(folder: Path, *, changesets: int) -> None:
    """Add changesets at the tip, each of which changes a line of the file and adds one.

    Args:
        folder: The repository.
        changesets: Their number.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    subprocess.run(
        [sys.executable, "-m", __name__, str(folder), "--changesets", str(changesets)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=True,
    )


def _write(folder: Path, changesets: int) -> None:
    from mercurial import initialization  # noqa: PLC0415 for the program only

    initialization.init()
    from mercurial import context, hg, phases, ui  # noqa: PLC0415 the same

    repository = hg.repository(ui.ui.load(), os.fsencode(folder))
    lines = [b"the first line\n"]
    tip: Any = repository[b"tip"].node()

    def content(opened: Any, changeset: Any, path: bytes) -> Any:  # noqa: ANN401 Mercurial's
        return context.memfilectx(opened, changeset, path, b"".join(lines))

    with repository.wlock(), repository.lock(), repository.transaction(b"long") as transaction:
        for number in range(changesets):
            lines[number // 2] = b"changed by %d\n" % number
            lines.append(b"added by %d\n" % number)
            change = (tip, None), b"change %d" % number, [PATH], content
            tip = context.memctx(repository, *change, user=b"test", date=b"0 0").commit()
        phases.advanceboundary(repository, transaction, phases.public, [tip])


def main(arguments: Sequence[str] | None = None) -> None:
    """Add them."""
    parser = argparse.ArgumentParser(prog="python -m tools.long_history", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changesets", type=int, default=1000)
    asked = parser.parse_args(arguments)
    # Nobody's own settings, read when Mercurial is loaded.
    os.environ.update(HGRCPATH="", HGPLAIN="1", HGENCODING="utf-8")
    _write(asked.folder, asked.changesets)


if __name__ == "__main__":
    main()
