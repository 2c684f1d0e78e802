"""A program that makes an empty Mercurial repository: ``python -m wiredaemon.worker.create``.

It is a program because the daemon never imports Mercurial into its own process.
"""

from __future__ import annotations

import sys
from pathlib import Path


def create_repository(folder: Path) -> None:
    """Make an empty repository at ``folder``, which may be missing or empty.

    The user's own Mercurial configuration decides its format, as with ``hg init``.

    Raises:
        SystemExit: The repository cannot be made; the text is Mercurial's own.
    """
    # Not from `library`, which sets up a server: here the user's own settings count. It must be
    # initialized before the rest of it is imported.
    from mercurial import initialization  # noqa: PLC0415  for a program, not for importers

    initialization.init()
    from mercurial import error, hg, ui  # noqa: PLC0415  after the call above

    try:
        hg.repository(ui.ui.load(), bytes(folder), create=True)
    except error.Error as refusal:
        text = refusal.format()
    except error.RepoError as refusal:
        # The one kind without a form for people; its text is its argument.
        (text,) = refusal.args
    else:
        return
    raise SystemExit(text.decode("utf-8", "replace").strip())


if __name__ == "__main__":
    create_repository(Path(sys.argv[1]))
