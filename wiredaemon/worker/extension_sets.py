"""One set of extensions for each worker process.

Mercurial loads extensions for all of a process: what one repository enables would change the
commands, hooks and pages of another one. So the first repository that a process opens decides its
set, and a repository with another set is refused, for the daemon to ask another worker.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands import CommandError
from wiredaemon.repository.worker_calls import OTHER_EXTENSIONS
from wiredaemon.worker import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.worker.library_types import Ui


def set_of(ui: Ui) -> bytes:
    """Return the name of the set of extensions that a configuration enables."""
    enabled = sorted(
        b"%s=%s\n" % (name, path)
        for name, path in ui.configitems(b"extensions")
        if b":" not in name and not path.startswith(b"!")
    )
    return hashlib.sha256(b"".join(enabled)).hexdigest()[:16].encode()


class ExtensionSet:
    """The set of this process, which the first opened repository decides once it is kept."""

    def __init__(self) -> None:
        self.name: bytes | None = None
        self._is_kept = False
        self._is_opening = self._was_asked = False
        self._load = library.extensions.loadall

    def keep(self) -> None:
        """Let this process have one set from now on, as the worker program does."""
        self._is_kept = True
        library.extensions.loadall = self._load_for

    @contextmanager
    def opening(self, ui: Ui) -> Iterator[None]:
        """Load the extensions of a repository that is opened, and no others.

        Args:
            ui: The configuration of system and user, with which it is opened.

        Raises:
            CommandError: It has another set than this process; nothing was loaded.
        """
        if self.name is None:
            self._load(ui)
        library.extensions.populateui(ui)
        self._is_opening, self._was_asked = True, False
        try:
            yield
            if self._is_kept and not self._was_asked:
                # It has no configuration of its own.
                self._take(ui)
        finally:
            self._is_opening = False

    def _load_for(self, ui: Any, whitelist: Any = None) -> None:  # noqa: ANN401 of the library
        """Load what a configuration enables, as the library asks when it opens a repository."""
        if self._is_opening:
            self._was_asked = True
            self._take(ui)
        elif set_of(ui) != self.name:
            # Another repository, inside of this one: its extensions would hold for this one, too.
            return
        self._load(ui, whitelist)

    def _take(self, ui: Ui) -> None:
        wanted = set_of(ui)
        if self.name is None:
            self.name = wanted
        elif wanted != self.name:
            raise CommandError(OTHER_EXTENSIONS, [wanted, self.name])


OURS: Final = ExtensionSet()
"""The set of this process: the library's table is the process's, too."""
