"""Configurations of daemons whose ports the system chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from support.environment import DUMMY_COMMANDS, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ANY_PORT: Final = f"tcp:0:interface={LOOPBACK}"
"""A Twisted endpoint string: loopback, a port the system chooses."""
JSON_CALLS: Final = f"""
[data]
folder = "data"
[listen]
http = ["{ANY_PORT}"]
[api]
json = true
[commands]
load = ["commands.py"]
"""
"""The commands of a file, which can be called with JSON."""
EVERYBODY_WRITES: Final = """
[web]
push_ssl = false
allow-push = ["*"]
"""


def configuration(
    *,
    data: Path,
    repository: Path | None = None,
    framings: Mapping[str, Sequence[str]],
    listen: Iterable[str] = ("http",),
    load: Iterable[Path] = (DUMMY_COMMANDS,),
    more: str = "",
) -> str:
    """The text of a configuration whose `[api]` switches are off, so that an hgrc decides.

    Args:
        data: The data folder.
        repository: The repository at `/`; `None` for a daemon without repositories.
        framings: `[api.framings]`: framings of each API, in order.
        listen: Names of the listeners that are on, each on a loopback port the system chooses;
            the others are off.
        load: Files of `[commands] load`.
        more: Further tables, put at the end as they are.
    """
    listeners = set(listen)
    lines = ["[data]", f"folder = {_toml(str(data))}", "[listen]"]
    lines += [
        f"{name} = {_toml([ANY_PORT] if name in listeners else [])}"
        for name in ("http", "https", "framed", "framed_tls")
    ]
    lines += ["[api]", "enabled = false", "http_v2 = false", "debugreflect = false"]
    lines.append("[api.framings]")
    lines += [f"{_toml(api)} = {_toml(list(names))}" for api, names in framings.items()]
    lines += ["[paths]"] + ([f'"/" = {_toml(str(repository))}'] if repository else [])
    lines += ["[commands]", f"load = {_toml([str(path) for path in load])}"]
    return "\n".join([*lines, _with_one_worker(more), ""])


def _with_one_worker(tables: str) -> str:
    """Return tables with one worker to start with, unless they say something of workers.

    By default there are two. Loading Mercurial takes a processor for 0.35 s, and few tests need the
    second one; they get it when they do.
    """
    if "worker_" in tables:
        return tables
    before, _, after = tables.partition("[limits]\n")
    return f"{before}\n[limits]\nworker_least = 1\n{after}"


def _toml(value: str | list[str]) -> str:
    # JSON's strings and lists of strings are TOML's too, but for DEL, which no path here has.
    return json.dumps(value)
