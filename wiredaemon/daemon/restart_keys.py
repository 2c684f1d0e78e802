"""The keys of the configuration that a running daemon cannot change."""

from __future__ import annotations

from dataclasses import fields
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


def restart_keys(before: Config, after: Config) -> Sequence[str]:
    """Return the keys that differ and count only from the next start on, as ``table.key``."""
    changed = [
        key
        for key, old, new in (
            ("data.folder", before.data.folder, after.data.folder),
            ("commands.load", before.commands.load, after.commands.load),
            ("redirect.targets", before.redirect.targets, after.redirect.targets),
        )
        if old != new
    ]
    return changed + [
        f"limits.{field.name}"
        for field in fields(Limits)
        if field.name.startswith(_KEPT)
        and getattr(before.limits, field.name) != getattr(after.limits, field.name)
    ]
