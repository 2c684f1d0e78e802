"""Examines the rights of the user that will run: folders to write, files that a reload reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wiredaemon.daemon.doctor.finding import error, fine, warning
from wiredaemon.daemon.doctor.machine import existing
from wiredaemon.daemon.folders import folder_warnings, moved_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding


def examine_rights(config: Config, name: str) -> Iterator[Finding]:
    """Yield what the user of this process may not do with folders and files. Blocks.

    Args:
        config: The configuration.
        name: The user, for the texts.
    """
    yield _data_folder(config, name)
    found = list(examine_paths(config, name))
    yield from found
    if config.paths and not found:
        yield fine("paths", f"{name} may read all folders of [paths]")
    yield from _files(config, name)


def examine_paths(config: Config, name: str) -> Iterator[Finding]:
    """Yield what is wrong with the entries of ``[paths]`` and ``[moved]``. Blocks.

    Args:
        config: The configuration.
        name: The user that reads the folders, for the text.
    """
    remedy = f"make it, or let {name} read it, or take the entry out of the configuration"
    for text in folder_warnings(config):
        yield _of_warning(text, remedy)
    for text in moved_warnings(config):
        yield _of_warning(text, "take the entry out of [moved], or rename the repository")


def _of_warning(text: str, remedy: str) -> Finding:
    area, _, problem = text.partition(": ")
    return warning(area, problem, remedy)


def _data_folder(config: Config, name: str) -> Finding:
    folder = config.data.folder
    there = existing(folder)
    if not there.is_dir():
        return error("data.folder", f"{there} is not a folder", "name another data.folder")
    how = f"mkdir -p {folder} && chown {name} {folder}"
    if there != folder and not os.access(there, os.X_OK):
        text = f"{name} may not enter {there}, the way to {folder}"
        return error("data.folder", text, f"chmod a+x {there}, or name a folder elsewhere")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        text = f"{name} may not write {there}"
        return error("data.folder", text if there == folder else f"{text} to make {folder}", how)
    shown = "may write" if there == folder else "may make"
    return fine("data.folder", f"{name} {shown} {folder}")


def _files(config: Config, name: str) -> Iterator[Finding]:
    """Yield the files that are read again while the daemon runs, and that the user may not read."""
    files = {
        "configuration": config.file,
        "tls.certificate": config.tls.certificate,
        "tls.private_key": config.tls.private_key,
        "tls.client_ca": config.tls.client_ca,
        "auth.htpasswd": config.auth.htpasswd,
        "auth.tokens": config.auth.tokens,
        "auth.groups": config.auth.groups,
    }
    for area, file in files.items():
        try:
            if file is not None:
                file.open("rb").close()
        except PermissionError:
            yield warning(
                area,
                f"{name} may not read {file}: root reads it at the start, a reload (SIGHUP) cannot",
                f"let a group of {name} read it: chgrp GROUP {file} && chmod g+r {file}",
            )
        except OSError:
            continue  # it is not there at all, which is reported already
