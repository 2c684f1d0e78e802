"""The files whose change makes what we know of a repository stale.

Paths only, existing or not. What follows from a change is left to others: ``opening`` opens the
repository anew, the daemon asks for another ``describe``.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.worker import library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.worker.library_types import Repository

_IN_EACH_FOLDER = (b"hgrc", b"hgrc-not-shared", b"requires")
_FOLDER_OF_FILES: Final = b"hgrc.d"
"""A folder beside each of the system's files, whose files are read as well."""
PULL_BUNDLES: Final = b"pullbundles.manifest"
"""The list of bundles that pulls are answered with, in the repository's folder."""
_STATE_OF_STORE = (
    b"00changelog.i",
    b"00changelog.d",
    b"phaseroots",
    b"obsstore",
    # Written by every transaction: some, such as a censoring one, change nothing else of these.
    b"undo.backupfiles",
)
# Of these, dirstate is for `lookup` of ".", and the manifest for the capabilities.
_STATE_OF_FOLDER = (b"localtags", b"dirstate", b"clonebundles.manifest")


def config_paths(repository: Repository) -> list[bytes]:
    """Return the files that decide how the repository is opened and configured.

    Those of its ``.hg`` folder (for a shared repository, of its source too), the user's and the
    system's, every file that set a configuration value, and what any of these include: a file that
    is empty or missing may say ``deny_read`` tomorrow. `rare_paths` says where more may come.
    """
    # A dict, for the order of paths is that of their signatures and must not change from call to
    # call.
    folders = dict.fromkeys((repository.path, repository.sharedpath))
    paths = [posixpath.join(folder, name) for folder in folders for name in _IN_EACH_FOLDER]
    paths.append(posixpath.join(repository.spath, b"requires"))
    files = list(dict.fromkeys([*paths, *_program_files(), *_value_files(repository)]))
    return list(dict.fromkeys([*files, *_included(files)]))


def rare_paths() -> list[bytes]:
    """Return where files of the user and the system may come, and folders of such files.

    Of a folder that is missing it is the folder alone: each path costs.
    """
    paths = [path for path in _program_paths() if not os.path.isfile(path)]  # noqa: PTH113 bytes
    return list(dict.fromkeys(map(_there, paths)))


def _program_files() -> list[bytes]:
    """Return the files that Mercurial reads for every repository."""
    return [path for path in _program_paths() if os.path.isfile(path)]  # noqa: PTH113 bytes


def _program_paths() -> list[bytes]:
    """Return the files and folders that Mercurial reads for every repository, existing or not."""
    files = [value for _, kind, value in library.rcutil.rccomponents() if kind == b"path"]
    named = os.environb.get(b"HGRCPATH")
    if named is None:
        in_folders = [posixpath.dirname(file) for file in library.rcutil.systemrcpath()]
        folders = [posixpath.join(folder, _FOLDER_OF_FILES) for folder in in_folders]
    else:
        folders = named.split(os.fsencode(os.pathsep))
    # Those of installed packages have relative names, and do not change.
    return [path for path in (*files, *folders) if posixpath.isabs(path)]


def _there(path: bytes) -> bytes:
    """Return a path, or that of its folder where that is missing as well."""
    folder = posixpath.dirname(path)
    return path if os.path.isdir(folder) else folder  # noqa: PTH112 bytes


def _value_files(repository: Repository) -> list[bytes]:
    ui = repository.ui
    sources = {
        ui.configsource(section, name, untrusted=True).rpartition(b":")[0]
        for section, name, _ in ui.walkconfig(untrusted=True)
    }
    # Values of the command line and of extensions name no file.
    return sorted(source for source in sources if posixpath.isabs(source))


def _included(paths: Sequence[bytes]) -> list[bytes]:
    """Return the files that configuration files include, or would if they were there."""
    reader = _Reader()
    for path in paths:
        if posixpath.basename(path) != b"requires":
            # Opening the repository finds what is wrong with a file.
            with suppress(OSError, library.error.Error), Path(os.fsdecode(path)).open("rb") as file:
                reader.read(path, file)
    return reader.paths


class _Reader(library.config.config):  # type: ignore[misc] # untyped
    """A configuration that remembers which files it tried to read."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.paths: list[bytes] = []

    def read(self, path: bytes, *arguments: object, **named: object) -> None:
        """Read a file, and those that it includes."""
        self.paths.append(path)
        super().read(path, *arguments, **named)


def described_paths(repository: Repository) -> list[bytes]:
    """Return the files that decide what ``describe`` returns.

    Beyond the configuration: the phases (a secret changeset forbids stream clones), obsolescence
    markers (no bundle may be a copy of the store with them), the clone bundles manifest (a
    capability while it exists), and that of pull bundles (clones are not kept while it exists).
    """
    return [
        *config_paths(repository),
        posixpath.join(repository.spath, b"phaseroots"),
        posixpath.join(repository.spath, b"obsstore"),
        posixpath.join(repository.path, b"clonebundles.manifest"),
        posixpath.join(repository.path, PULL_BUNDLES),
    ]


def state_paths(repository: Repository) -> list[bytes]:
    """Return files one of which changes whenever the answer of any read-only command may.

    Beyond the configuration: changesets, phases, obsolescence markers, bookmarks (of a shared
    repository perhaps its source's, or kept in the store), local tags, the checked out revision,
    and the clone bundles manifest.
    """
    folder, store = repository.path, repository.spath
    bookmark_folders = dict.fromkeys((folder, repository.sharedpath, store))
    return [
        *(posixpath.join(store, name) for name in _STATE_OF_STORE),
        *(posixpath.join(place, b"bookmarks") for place in bookmark_folders),
        *(posixpath.join(folder, name) for name in _STATE_OF_FOLDER),
        *config_paths(repository),
    ]


def abandoned_paths(repository: Repository) -> list[bytes]:
    """Return the files that exist while a transaction runs, or since one was abandoned."""
    return [posixpath.join(repository.spath, b"journal")]
