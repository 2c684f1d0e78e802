"""Descriptors of the process: as many as the connections need that the configuration allows."""

from __future__ import annotations

import resource
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

if TYPE_CHECKING:
    from wiredaemon.wire.limits import Limits

SPARE: Final = 256
"""Descriptors for all but connections: pipes of workers, files of answers and logs, ports."""
_LEAST: Final = 16
"""Connections that are allowed in any case."""

_log: Final = Logger()


def fit_connections(limits: Limits) -> Limits:
    """Return limits with no more connections than this process can have descriptors for.

    The process's soft limit is raised for them as far as its hard limit allows, and no farther than
    they need: some programs that hooks start look at each descriptor that there might be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        raised = soft
    if raised >= wanted:
        return limits
    most = max(min(_LEAST, limits.connections), raised - SPARE)
    if most >= limits.connections:
        return limits
    _log.warn(
        "connections is {most}, not {wanted}: the system gives this process {raised} descriptors"
        " (LimitNOFILE of systemd, ulimit -n), of which {spare} are kept for other files",
        most=most,
        wanted=limits.connections,
        raised=raised,
        spare=SPARE,
    )
    return replace(limits, connections=most)
