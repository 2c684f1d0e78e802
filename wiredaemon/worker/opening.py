"""Opening repositories, and keeping one open between commands.

Owns how the library is configured for a worker, and when a kept repository is read again. The
commands on an open repository are in ``values``, ``pushing`` and ``describe``.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from wiredaemon.repository.stat_signatures import stat_files
from wiredaemon.worker import extension_sets, large_objects, library
from wiredaemon.worker import watched_paths as watched
from wiredaemon.worker.library import error

if TYPE_CHECKING:
    from wiredaemon.repository.stat_signatures import StatSignatures
    from wiredaemon.worker.library_types import Repository, Ui

LOCK_SECONDS: Final = 30
"""Seconds for which a write waits for another one where ``ui.timeout`` is not set.

Mercurial's own 600 are for people: a worker that waits runs nothing else, and its client has long
given up.
"""

_SETTINGS: Final = (
    # Nobody is there to answer a question.
    (b"ui", b"interactive", b"false"),
    (b"ui", b"nontty", b"true"),
    (b"ui", b"color", b"no"),
    (b"ui", b"paginate", b"no"),
    (b"ui", b"formatted", b"no"),
    (b"ui", b"message-output", b"stdio"),
    # Otherwise a cache inside a reference cycle keeps the last large text long after its request.
    (b"usage", b"resources.memory", b"low"),
    # Otherwise "waiting for lock", with host and process, becomes part of the output for the peer.
    (b"ui", b"timeout.warn", b"2147483647"),
)

_SILENT: Final = (b"ui", b"report_untrusted", b"false")
"""A value of an untrusted file is used or ignored without a message."""

_SOURCE: Final = b"wiredaemon"
_FALLBACK: Final = b"ISO-8859-1"
"""The encoding of old changesets that are not UTF-8, where ``ui.fallbackencoding`` is not set."""


class RepositoryUnavailable(Exception):  # noqa: N818  a state of the repository, not a fault of ours
    """A repository cannot be opened or its configuration cannot be read.

    Attributes:
        reason: The file or folder, and why. For the operator: it names paths of the server.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def open_repository(path: bytes, *, tells_untrusted: bool = False) -> Repository:
    """Open the repository whose working folder is ``path`` (the folder that holds ``.hg``).

    Args:
        path: The folder.
        tells_untrusted: Write to standard error which configuration files are not trusted, unless
            ``ui.report_untrusted`` of the system or the user says otherwise.

    Raises:
        RepositoryUnavailable: It is missing, damaged, of an unknown format, or a configuration
            file of it or of the user cannot be read. That includes files that Mercurial would
            pass over in silence (unreadable, or broken and not trusted): their ``deny_read``
            would be lost.
    """
    if not Path(os.fsdecode(path), ".hg").is_dir():
        # Mercurial would take the name for a bundle, or look for another kind of repository.
        raise RepositoryUnavailable(f"{os.fsdecode(path)}: no Mercurial repository here")
    try:
        ui = _load_ui(tells_untrusted=tells_untrusted)
        large_objects.keep_own(ui, path)
        with extension_sets.OURS.opening(ui):
            repository = cast("Repository", library.hg.repository(ui, path))
        large_objects.patch_loaded()
        for file in watched.config_paths(repository):
            _check_config_file(file)
    except (error.Error, error.RepoError, OSError) as failure:
        raise RepositoryUnavailable(_reason(path, failure)) from failure
    # What was said of trust waits in a buffer otherwise.
    repository.ui.flush()
    repository.ui.setconfig(*_SILENT, _SOURCE)
    _bound_lock_wait(repository.ui)
    return repository


def served(repository: Repository) -> Repository:
    """Return the view that peers see: no secret, hidden or obsolete changesets.

    ``server.view`` of the repository may narrow it further, as it does for Mercurial's own server.
    """
    return repository.filtered(repository.ui.config(b"server", b"view") or b"served")


class KeptRepository:
    """One repository kept open between commands.

    Args:
        path: The repository's working folder.

    Attributes:
        attached: Objects that other modules keep along with the open repository, by their names;
            emptied when it is opened anew.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._kept: Any = None
        self._repository: Repository | None = None
        self._paths: list[bytes] = []
        self._seen: StatSignatures = ()
        self.attached: dict[bytes, Any] = {}

    def served(self) -> Repository:
        """Return the served view of the repository as it is now; call it before each command.

        Raises:
            RepositoryUnavailable: As `open_repository`. The next call tries again.
        """
        # The library notices new changesets by itself, but never a changed configuration.
        # Five files take 8 us a command; opening even a small repository anew takes 1 ms.
        if self._kept is None or stat_files(self._paths) != self._seen:
            self.close()
            self._open()
        try:
            repository, is_new = self._kept.fetch()
        except (error.Error, error.RepoError, OSError) as failure:
            self.close()
            raise RepositoryUnavailable(_reason(self._path, failure)) from failure
        # The library has opened it anew: settings that were made on the old one are lost with it.
        if is_new:
            self.attached.clear()
            _bound_lock_wait(repository.ui)
        self._repository = repository
        # The library has one for all of a process, which its own server sets once, at its start.
        fallback = repository.ui.config(b"ui", b"fallbackencoding")
        library.encoding.fallbackencoding = fallback or _FALLBACK
        # fetch() compares changesets, phases and bookmarks, but not what is checked out, for ".".
        repository.invalidatedirstate()
        return served(repository)

    def close(self) -> None:
        """Close the repository; the next use opens it again."""
        repository, self._repository, self._kept = self._repository, None, None
        self.attached.clear()
        if repository is not None:
            repository.close()

    def _open(self) -> None:
        self._repository = repository = open_repository(self._path)
        paths = [*watched.config_paths(repository), *watched.rare_paths()]
        # No setting, but read once for an open repository, as the settings are.
        paths.append(posixpath.join(repository.path, b"localtags"))
        self._paths, self._seen = paths, stat_files(paths)
        self._kept = library.hg.cachedlocalrepo(repository)


def _load_ui(*, tells_untrusted: bool) -> Ui:
    """Return the configuration of system and user, read now."""
    ui = cast("Ui", library.ui.ui.load())
    if not tells_untrusted:
        # It would be said at each opening, for each worker.
        ui.setconfig(*_SILENT, _SOURCE)
    for section, name, value in _SETTINGS:
        ui.setconfig(section, name, value, _SOURCE)
    return ui


def _bound_lock_wait(ui: Ui) -> None:
    if not ui.hasconfig(b"ui", b"timeout"):
        ui.setconfig(b"ui", b"timeout", b"%d" % LOCK_SECONDS, _SOURCE)


def _check_config_file(path: bytes) -> None:
    if posixpath.basename(path) == b"requires":
        return  # a list of names, which opening the repository has checked
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            library.config.config().read(path, file)
    # Gone since the repository was opened, or not there yet: it holds no setting, and it is
    # watched.
    except FileNotFoundError:
        return


def _reason(path: bytes, failure: Exception) -> str:
    """Return the file and the reason that an exception of the library names."""
    if isinstance(failure, OSError):
        where: Any = failure.filename if failure.filename is not None else path
        return f"{os.fsdecode(where)}: {failure.strerror}"
    if isinstance(failure, error.ConfigError) and failure.location:
        return f"{os.fsdecode(failure.location)}: not understood: {_text(failure)!r}"
    return f"{os.fsdecode(path)}: {_text(failure)}"


def _text(failure: Exception) -> str:
    message: Any = failure.args[0] if failure.args else type(failure).__name__
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
