"""The keys of the configuration that a running daemon cannot change."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.daemon.config import Config

# The limits of objects that are kept: workers, threads, the cache of answers, logins.
_KEPT: Final = (
    "worker_",
    "blocking_",
    "cache_",
    "login_",
    "failed_requests",
    "read_seconds",
    "write_",
)


_OTHERS: Final = ("data.folder", "commands.load", "redirect.targets")


def counts_from_start(key: str) -> bool:
    """Return whether a key, ``table.key``, counts as it was when the daemon was started."""
    table, _, name = key.partition(".")
    return key in _OTHERS or (table == "limits" and name.startswith(_KEPT))


def restart_keys(before: Config, after: Config) -> Sequence[str]:
    """Return the keys that differ and count only from the next start on, as ``table.key``."""
    keys = [*_OTHERS, *(f"limits.{field.name}" for field in fields(Limits))]
    return [
        key
        for key in keys
        if counts_from_start(key) and attrgetter(key)(before) != attrgetter(key)(after)
    ]
