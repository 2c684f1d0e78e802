"""``wiredaemon import-hgweb``: writes our configuration from that of hgwebdir."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from wiredaemon.daemon.embedded import mercurial_is_installed
from wiredaemon.daemon.hgweb_config import Entry, convert

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


class HgwebImportError(Exception):
    """The file cannot be read, or ours not be written; the text says why."""


def import_hgweb(options: argparse.Namespace) -> int:
    """Read a file of hgwebdir, write ours, and say what has no counterpart.

    Returns:
        The exit status: 1 if nothing could be written.
    """
    file: Path = options.file
    try:
        imported = convert(_entries(file), file.absolute().parent)
        _write(imported.text, options.output)
    except HgwebImportError as error:
        sys.stderr.write(f"wiredaemon: {error}\n")
        return 1
    for note in imported.notes:
        sys.stderr.write(f"{note}\n")
    return 0


def _entries(file: Path) -> list[Entry]:
    """Return the entries of a file, read by Mercurial in a process of its own.

    Raises:
        HgwebImportError: It cannot be read.
    """
    if not mercurial_is_installed():
        raise HgwebImportError("Mercurial reads the file, and it is not installed: wiredaemon[hg]")
    program = [sys.executable, "-P", "-m", "wiredaemon.worker.hgweb_config", str(file)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 our own program
    if done.returncode:
        raise HgwebImportError(f"cannot read {file}: {done.stderr.strip()}")
    return [Entry(*entry) for entry in json.loads(done.stdout)]


def _write(text: str, output: Path | None) -> None:
    """Write our configuration to a new file, or print it.

    Raises:
        HgwebImportError: The file exists, or cannot be written.
    """
    try:
        if output is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise HgwebImportError(f"{output} exists: it is not overwritten") from None
    except OSError as error:
        raise HgwebImportError(f"cannot write {output or 'it'}: {error.strerror}") from None
