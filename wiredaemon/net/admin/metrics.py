"""The metrics of the daemon: one table, of which both the answers and the documents are made.

Names and types follow Prometheus's conventions: `_total` for what only grows, base units. The
library that writes them is not needed here.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.accounts.authenticator import Authenticator
    from wiredaemon.net.admin.figures import Figures
    from wiredaemon.net.cache.cache import ResponseCache

    Values = Mapping[str, float] | Mapping[tuple[str, ...], float]
    """The numbers of a metric by the values of its labels; of one label without a tuple."""
    Read = Callable[[Figures], float | Values]


class Metric(NamedTuple):
    """One metric: one number, or one for each value of its labels."""

    name: str
    kind: Literal["counter", "gauge"]
    """A counter only grows, from 0 at the start of the daemon; a gauge is of this moment."""
    help: str
    read: Read
    labels: tuple[str, ...]


class Group(NamedTuple):
    """Metrics of one subject."""

    title: str
    metrics: tuple[Metric, ...]


def _gauge(name: str, text: str, read: Read, *labels: str) -> Metric:
    return Metric(f"wiredaemon_{name}", "gauge", text, read, labels)


def _counter(name: str, text: str, read: Read, *labels: str) -> Metric:
    return Metric(f"wiredaemon_{name}_total", "counter", text, read, labels)


def _of_caches(read: Callable[[ResponseCache], float]) -> Read:
    return lambda it: {name: read(cache) for name, cache in it.caches.items()}


def _of_logins(read: Callable[[Authenticator], float]) -> Read:
    return lambda it: 0 if it.authenticator is None else read(it.authenticator)


GROUPS: Final = (
    Group(
        "Daemon",
        (
            _gauge(
                "info",
                "The versions of the daemon, of Python and of Twisted, as labels; always 1.",
                lambda it: it.versions(),
                "version",
                "python",
                "twisted",
            ),
            _gauge(
                "uptime_seconds",
                "Seconds since the daemon was started.",
                lambda it: it.health.seconds,
            ),
            _gauge(
                "stopping",
                "1 while the daemon lets requests end before it stops, else 0.",
                lambda it: it.health.is_stopping,
            ),
            _counter(
                "reactor_long_turns",
                "Turns of the reactor of more than 50 ms, in which all others waited.",
                lambda it: it.watchdog.count,
            ),
            _gauge(
                "reactor_longest_turn_seconds",
                "The longest of these turns since the start; 0 where there was none.",
                lambda it: it.watchdog.longest,
            ),
            _gauge(
                "turns_waiting",
                "Connections that have more to do than one turn, and wait for their next one.",
                lambda it: len(it.guard.turns),
            ),
        ),
    ),
    Group(
        "Connections and requests",
        (
            _gauge(
                "connections",
                "Open connections by kind of listener, refused ones among them.",
                lambda it: it.connections(),
                "listener",
            ),
            _counter(
                "connections_opened",
                "Connections that were opened, refused ones among them.",
                lambda it: it.guard.opened,
            ),
            _gauge(
                "connections_refused",
                "Refused connections that are still open, until their peers have read why.",
                lambda it: it.guard.refused,
            ),
            _gauge(
                "connections_limit",
                "Connections that may be open (connections).",
                lambda it: it.guard.most,
            ),
            _gauge(
                "clients",
                "Addresses that connections are counted for (connections_per_address); not "
                "loopback, Unix sockets and trusted proxies.",
                lambda it: it.guard.clients,
            ),
            _gauge(
                "requests",
                "Requests without their whole answer by kind of listener: over HTTP from their "
                "first line on, on raw connections commands that run.",
                lambda it: it.requests(),
                "listener",
            ),
            _counter(
                "http_requests",
                "Requests over HTTP and HTTPS whose head was complete.",
                lambda it: it.http_requests(),
            ),
            _counter(
                "commands",
                "Commands that were admitted, without those of version 1: http (frames over HTTP "
                "and HTTPS), json, and by raw connections framed (TCP), framed_tls, framed_unix.",
                lambda it: it.guard.calls.read(),
                "transport",
            ),
            _counter(
                "sent_bytes",
                "Bytes of answers, before TLS.",
                lambda it: it.written(),
            ),
            _counter(
                "limit_hits",
                "Times that peers have crossed a limit, for each key of [limits].",
                lambda it: it.limit_hits(),
                "limit",
            ),
        ),
    ),
    Group(
        "Memory",
        (
            _gauge(
                "held_bytes",
                "Bytes that peers make the daemon hold: requests, data and output.",
                lambda it: it.guard.memory.size,
            ),
            _gauge(
                "held_limit_bytes",
                "Bytes that they may make it hold (held_memory).",
                lambda it: it.guard.memory.most,
            ),
            _gauge(
                "unfinished_bytes",
                "Bytes of requests that have not ended, of peers who have not logged in "
                "(unfinished_bytes).",
                lambda it: it.guard.memory.unfinished,
            ),
            _gauge(
                "output_scarce",
                "1 while slow readers hold so much that each may have one frame only, else 0.",
                lambda it: it.guard.memory.room.is_scarce,
            ),
        ),
    ),
    Group(
        "Threads of blocking commands",
        (
            _gauge(
                "command_threads_busy",
                "Blocking commands that run, each in a thread.",
                lambda it: it.guard.threads.running,
            ),
            _gauge(
                "command_threads_waiting",
                "Blocking commands that wait for a thread.",
                lambda it: len(it.guard.threads.waiting),
            ),
            _gauge(
                "command_threads_limit",
                "Threads that there may be (blocking_threads).",
                lambda it: it.guard.threads.most,
            ),
        ),
    ),
    Group(
        "Workers",
        (
            _gauge(
                "workers",
                "Processes of repository workers by their state.",
                lambda it: it.workers(),
                "state",
            ),
            _gauge(
                "workers_limit",
                "Workers that there may be (worker_processes).",
                lambda it: it.pool.staff.most,
            ),
            _gauge(
                "worker_queue",
                "Commands that wait for a worker: value for those that take little time, stream "
                "for others.",
                lambda it: it.queued(),
                "kind",
            ),
            _counter(
                "worker_starts",
                "Workers that were started and became ready.",
                lambda it: it.pool.restarts.all_starts,
            ),
            _counter(
                "worker_failed_starts",
                "Workers that did not become ready.",
                lambda it: it.pool.restarts.all_failed_starts,
            ),
            _counter(
                "worker_deaths",
                "Workers that ended without being told to.",
                lambda it: it.pool.restarts.all_deaths,
            ),
            _gauge(
                "worker_resident_memory_bytes",
                "Memory of all workers; what they share counts for each.",
                lambda it: it.worker_memory(),
            ),
            _gauge(
                "worker_spooled_bytes",
                "Bytes of answers in temporary files, for slow readers (worker_spool).",
                lambda it: it.pool.spool_budget.used,
            ),
            _counter(
                "recovered_transactions",
                "Abandoned transactions that were rolled back.",
                lambda it: it.pool.recoveries,
            ),
        ),
    ),
    Group(
        "Caches",
        (
            _gauge(
                "cache_entries",
                "Responses that are kept, by cache: answers, clones or bundles.",
                _of_caches(len),
                "cache",
            ),
            _gauge(
                "cache_bytes",
                "Bytes of all of them.",
                _of_caches(attrgetter("size")),
                "cache",
            ),
            _counter(
                "cache_hits",
                "Requests whose response was kept.",
                _of_caches(attrgetter("hits")),
                "cache",
            ),
            _counter(
                "cache_misses",
                "Requests whose response was not kept.",
                _of_caches(attrgetter("misses")),
                "cache",
            ),
            _counter(
                "cache_unusable",
                "Hits that a worker answered after all, because the file could not be read.",
                _of_caches(attrgetter("unusable")),
                "cache",
            ),
            _counter(
                "cache_recorded",
                "Responses that were recorded.",
                _of_caches(attrgetter("recorded")),
                "cache",
            ),
        ),
    ),
    Group(
        "Logins",
        (
            _counter(
                "failed_logins",
                "Logins with a wrong password or a wrong token.",
                _of_logins(lambda logins: logins.failures.count),
            ),
            _gauge(
                "login_failure_records",
                "Addresses and names that failed logins are remembered of, and pairs of both.",
                _of_logins(lambda logins: len(logins.failures)),
            ),
            _gauge(
                "login_checks_waiting",
                "Passwords that wait to be checked (login_queue).",
                _of_logins(lambda logins: logins.waiting),
            ),
        ),
    ),
)
"""All metrics, in the order of the documents."""
