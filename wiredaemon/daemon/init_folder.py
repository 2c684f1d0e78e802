"""A new folder with a configuration and data, ready for ``wiredaemon serve --config``."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from wiredaemon.daemon.certificate import development_certificate
from wiredaemon.daemon.embedded import REPOSITORY, make_repository, mercurial_is_installed
from wiredaemon.daemon.shipped import CONFIGURATION, EXAMPLE_COMMANDS, shipped

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

DATA: Final = "data"
"""The name of the data folder."""


class InitError(Exception):
    """The folder was not made ready; the text says why."""


def init_folder(folder: Path, *, now: datetime) -> Path:
    """Fill a folder and return the path of its configuration.

    Makes the documented configuration, the example commands, and a data folder with a development
    certificate and, where Mercurial is installed, an empty repository.

    Args:
        folder: The folder of the files; it is made when it is missing.
        now: The time of the certificate's beginning, with its time zone.

    Raises:
        InitError: one of the files is there already, or cannot be made. Nothing is left of those
            that were made, so that it can be tried again.
    """
    configuration = folder / CONFIGURATION
    commands = folder / EXAMPLE_COMMANDS
    data = folder / DATA
    # All are looked at before one is made, so that a refusal leaves the folder as it was.
    for path in (configuration, commands, data):
        if path.exists():
            raise InitError(f"{path} exists: it is not overwritten")
    try:
        _fill(folder, now)
    except (InitError, OSError) as error:
        _empty(folder)
        if isinstance(error, InitError):
            raise
        # A full disk names no file.
        raise InitError(f"cannot make {error.filename or folder}: {error.strerror}") from None
    return configuration


def _fill(folder: Path, now: datetime) -> None:
    commands, data = folder / EXAMPLE_COMMANDS, folder / DATA
    commands.parent.mkdir(parents=True, exist_ok=True)
    commands.write_text(shipped(EXAMPLE_COMMANDS), "utf-8")
    development_certificate(data, now=now)
    with_repository = mercurial_is_installed()
    problem = make_repository(data / REPOSITORY) if with_repository else None
    if problem:
        raise InitError(f"cannot make {data / REPOSITORY}: {problem}")
    # The configuration last: where it stands, the rest stands too.
    text = _configuration(with_repository=with_repository)
    (folder / CONFIGURATION).write_text(text, "utf-8")


def _empty(folder: Path) -> None:
    """Remove what was made, and the folders that are empty without it."""
    for name in (CONFIGURATION, EXAMPLE_COMMANDS):
        with suppress(OSError):
            (folder / name).unlink()
    shutil.rmtree(folder / DATA, ignore_errors=True)
    for parent in ((folder / EXAMPLE_COMMANDS).parent, folder):
        with suppress(OSError):
            parent.rmdir()


def _configuration(*, with_repository: bool) -> str:
    """Return the documented configuration, changed for a data folder beside it."""
    text = shipped(CONFIGURATION).replace('"../data', f'"{DATA}')
    # Without Mercurial, commands only.
    return text if with_repository else text.replace('\n"/" = ', '\n# "/" = ')
