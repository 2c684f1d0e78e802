"""What is wrong with the folders that a configuration names, and may be mended while it is served.

``check-config`` says it, and so does the log at a start and after a reload. The rest is served all
the same: a folder may be mounted, and a repository made, later.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wiredaemon.net.hosting.collection import names_of
from wiredaemon.net.hosting.moved import STILL_THERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wiredaemon.daemon.config import Config
    from wiredaemon.net.hosting.collection import Names


def folder_warnings(config: Config) -> Iterator[str]:
    """Yield what is wrong with the folders of ``[paths]``, each with its key. Blocks."""
    for prefix, folder in config.repositories.items():
        missing = f"the folder {folder} is missing; the repository is served when it is there"
        no_repository = f"there is no repository in {folder}; it is served when it is there"
        problem = _problem(folder, missing) or _problem(folder / ".hg", no_repository)
        if problem is not None:
            yield f"paths.{prefix}: {problem}"
    for collection in config.collections:
        folder = collection.folder
        missing = f"the folder {folder} is missing; its repositories are served when it is there"
        problem = _problem(folder, missing)
        if problem is not None:
            stars = "**" if collection.enters_repositories else "*"
            yield f"paths.{collection.prefix.rstrip('/')}/{stars}: {problem}"


def moved_warnings(config: Config) -> Iterator[str]:
    """Yield the paths of ``[moved]`` at which there is a repository of a collection. Blocks."""
    for old in config.moved:
        if _is_in_collection(config, names_of(old)):
            yield STILL_THERE.format(old=old, path=old)


def _is_in_collection(config: Config, names: Names) -> bool:
    for collection in config.collections:
        prefix = collection.names
        if names[: len(prefix)] == prefix:
            located = collection.find(names[len(prefix) :], config.limits.collection_depth)
            if located is not None and prefix + located.names == names:
                return True
    return False


def _problem(folder: Path, missing: str) -> str | None:
    """Return why a folder cannot be read; of one that is missing what is given."""
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return missing
    except NotADirectoryError:
        return f"{folder} is not a folder"
    except OSError as error:
        return f"the folder {folder} cannot be read: {error.strerror}"
    return None
