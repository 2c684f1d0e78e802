"""The configuration of a daemon that is started without one, and the files it makes for itself.

Owns the data folder's content: the repository and the development certificate. Everything is on
loopback and needs nothing outside the installed package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wiredaemon.daemon.certificate import development_certificate
from wiredaemon.daemon.config import Config, Data
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_log = Logger()

REPOSITORY: Final = "repository"
"""The name of the default repository in the data folder."""


def default_data_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Return the default data folder: ``$XDG_DATA_HOME/wiredaemon``, or below ``~/.local/share``.

    Source: XDG Base Directory Specification. A relative ``XDG_DATA_HOME`` is ignored, as it asks.
    """
    base = Path(environment.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else home / ".local" / "share") / "wiredaemon"


def embedded_config(folder: Path, *, now: datetime) -> Config:
    """Return the embedded default for a data folder, after making its repository and certificate.

    Args:
        folder: The data folder as an absolute path; it is made when it is missing.
        now: The time of the certificate's beginning, with its time zone.

    Raises:
        ConfigurationError: the data folder cannot be written.
    """
    config = with_certificate(Config(data=Data(folder=folder)), now=now)
    if not mercurial_is_installed():
        _log.warn("Mercurial is not installed (extra wiredaemon[hg]): serving commands only")
        return config
    repository = folder / REPOSITORY
    problem = make_repository(repository)
    if problem:
        # The daemon starts all the same: it serves commands, and the repository once somebody makes
        # it.
        _log.error("cannot make {repository}: {problem}", repository=repository, problem=problem)
    return replace(config, paths={"/": repository})


def with_certificate(config: Config, *, now: datetime) -> Config:
    """Return the configuration, with the development certificate if TLS needs one.

    Raises:
        ConfigurationError: the data folder cannot be written.
    """
    if not config.listen.needs_tls or config.tls.certificate is not None:
        return config
    folder = config.data.folder
    try:
        files = development_certificate(folder, now=now)
    except OSError as error:
        raise ConfigurationError(
            config.file,
            "data.folder",
            f"cannot write the development certificate into {folder}: {error.strerror}",
            "a folder that can be written",
        ) from None
    _log.info("using the development certificate {path}", path=files.certificate)
    return replace(
        config,
        tls=replace(config.tls, certificate=files.certificate, private_key=files.private_key),
    )


def mercurial_is_installed() -> bool:
    """Return whether the extra ``hg`` is installed, without loading it."""
    return find_spec("mercurial") is not None


def make_repository(folder: Path) -> str | None:
    """Make an empty Mercurial repository unless there is one; return an error text or None.

    Takes about half a second, in a process of its own.
    """
    if (folder / ".hg").exists():
        return None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Made under another name first: a stop half way leaves nothing that looks like one.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
            finished = subprocess.run(  # noqa: S603 (our own program and a path, no shell)
                # -P: a file named mercurial.py in the current folder must not be imported.
                [sys.executable, "-P", "-m", "wiredaemon.worker.create", f"{made}/new"],
                # Without it the user's aliases and language decide what the last line of an error
                # is.
                env={**os.environ, "HGPLAIN": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            if finished.returncode:
                return _last_line(finished.stderr)
            Path(made, "new").rename(folder)
    except OSError as error:
        return str(error)
    return None


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    # Extensions may warn before; the reason comes last.
    return lines[-1] if lines else "no reason given"
