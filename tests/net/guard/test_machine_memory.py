from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from wiredaemon.net.guard.machine_memory import machine_memory

if TYPE_CHECKING:
    from pathlib import Path

MACHINE: Final = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def write(root: Path, name: str, content: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "ascii")


def test_without_cgroups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert machine_memory(tmp_path) == MACHINE


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ("0::/a/b\n", "sys/fs/cgroup/a/b/memory.max"),
        ("0::/a/b\n", "sys/fs/cgroup/a/memory.max"),
        ("0::/not/here\n", "sys/fs/cgroup/memory.max"),
        ("5:cpu,memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes"),
        ("5:cpu:/\n0::/a\n", "sys/fs/cgroup/a/memory.max"),
    ],
)
def test_a_limit_of_a_cgroup_or_of_one_around_it_counts(
    tmp_path: Path, groups: str, name: str
) -> None:
    write(tmp_path, "proc/self/cgroup", groups)
    write(tmp_path, name, "1000000\n")
    assert machine_memory(tmp_path) == 1_000_000


@pytest.mark.parametrize("value", ["max\n", "9223372036854771712\n"])
def test_a_cgroup_without_a_limit_has_none(tmp_path: Path, value: str) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", value)
    assert machine_memory(tmp_path) == MACHINE
