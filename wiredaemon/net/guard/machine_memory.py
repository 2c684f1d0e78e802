"""The memory that this process may use: the machine's, or less in a container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_UNBOUND: Final = 1 << 60
"""The first version of cgroups shows a number of this size where nothing is bounded."""


def machine_memory(root: Path = _ROOT) -> int:
    """Return the bytes of memory: the least of the machine's and the limits of our cgroups.

    Args:
        root: The folder that holds ``proc`` and ``sys``.
    """
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    try:
        lines = (root / "proc/self/cgroup").read_text("ascii", "replace").splitlines()
    except OSError:
        return found[0]  # no Linux, or no cgroups
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += _limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(found)


def _limits(mount: Path, path: str, name: str) -> list[int]:
    """Return the limits of a cgroup and of all around it."""
    folder = mount / path.strip("/")
    found = []
    # Inside of a container the path may be one of the host's, which is not there.
    for each in (folder, *folder.parents):
        if not each.is_relative_to(mount):
            break
        try:
            value = (each / name).read_text("ascii").strip()
        except OSError:
            continue
        if value.isdigit() and int(value) < _UNBOUND:
            found.append(int(value))
    return found
