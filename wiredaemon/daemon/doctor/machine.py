"""Examines the machine: room on disks, and descriptors."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.daemon.descriptors import SPARE
from wiredaemon.daemon.doctor.finding import error, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding
    from wiredaemon.wire.limits import Limits

LEAST_ROOM: Final = 64 * 1024 * 1024
"""Free bytes without which nothing is served for long: transactions and answers need them."""


def examine_machine(config: Config) -> Iterator[Finding]:
    """Yield whether disks and descriptors suffice for the limits of a configuration. Blocks."""
    limits, folder = config.limits, config.data.folder
    if config.paths:
        kept = _size_of(folder / "cache")
        wanted = max(0, limits.cache_size + limits.cache_clones - kept)
        yield _room("data.folder", folder, wanted, "cache_size and cache_clones")
        temporary = Path(tempfile.gettempdir())
        yield _room("temporary files", temporary, limits.worker_spool, "worker_spool")
    else:
        yield _room("data.folder", folder, 0, "")
    yield _descriptors(limits)


def is_there(path: Path) -> bool:
    """Return whether there is something at a path, as far as this process may see."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above that is there and can be seen."""
    return next(each for each in (folder, *folder.parents) if is_there(each))


def _room(area: str, folder: Path, wanted: int, limits: str) -> Finding:
    free = shutil.disk_usage(existing(folder)).free
    text = f"{_bytes(free)} are free for {folder}"
    if free < LEAST_ROOM:
        return error(area, text, "make room, or name a folder on another disk")
    if free < wanted:
        return warning(
            area,
            f"{text}, where {limits} of [limits] allow {_bytes(wanted)} more",
            f"make room, name a folder on another disk, or lower {limits}",
        )
    return fine(area, text)


def _descriptors(limits: Limits) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = limits.connections + SPARE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return warning(
            "limits.connections",
            f"{limits.connections} connections need {wanted} descriptors, and `ulimit -Hn` allows"
            f" {hard}: the daemon will serve fewer connections",
            f"LimitNOFILE={wanted} of systemd, `ulimit -Hn {wanted}`, or fewer connections",
        )
    return fine("limits.connections", f"{limits.connections} connections have their descriptors")


def _size_of(folder: Path) -> int:
    """Return the bytes that files below a folder take; what vanishes meanwhile takes none."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += Path(path, name).lstat().st_size
            except OSError:
                continue
    return total


def _bytes(count: int) -> str:
    """Return a number of bytes for people."""
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
