"""Looks at the repositories of a list: which of them the peer of a request may see.

The first list after a start has to ask workers for each repository. So a page shows what is known
after a time, and the rest is looked at for the next one, for one request at a time on each path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wiredaemon.net.hgweb.index_page import TURN
from wiredaemon.net.hgweb.index_rows import Row
from wiredaemon.net.hosting.access import authorize_reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.python.failure import Failure

    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.host_lookup import HostLookup, ListedRepository
    from wiredaemon.net.http.request import StreamingRequest

_log: Final = Logger()
_SIDE_BY_SIDE: Final = 4
"""Repositories that are described at once for one list: other requests need workers too."""


class Survey:
    """One look at all repositories of a list.

    Args:
        hosts: The hosts of the repositories.
        names: The components of the list's path.
        entries: The repositories.
        request: The request, whose peer sees the list; when it has left, nothing more is asked.
        reactor: Measures the time.
    """

    def __init__(
        self,
        hosts: HostLookup,
        names: Names,
        entries: Sequence[ListedRepository],
        request: StreamingRequest,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    ) -> None:
        self._hosts = hosts
        self._names = names
        self._entries = entries
        # One iterator for all coroutines: each takes the next entry when it is free.
        self._rest = iter(entries)
        self._request = request
        self._peer = request.peer()
        self._reactor = reactor
        self._rows: dict[Names, Row] = {}
        self._is_wanted = True
        """The request wants to know, unless it has left."""
        self._is_for_later = False
        """It looks at the rest for the next request."""
        self._has_begun = self._has_ended = False
        self._waiting: Deferred[None] | None = None
        """Fires when all was looked at, or the time is over."""

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that the peer may see, in the order of the entries, as far as they are known."""
        return [self._rows[each.names] for each in self._entries if each.names in self._rows]

    async def look(self, seconds: float | None) -> bool:
        """Look at the repositories; return whether all were looked at.

        Args:
            seconds: The longest time to wait; None waits for all.
        """
        if not self._has_begun:
            self._has_begun = True
            looking = [Deferred.fromCoroutine(self._look()) for _ in range(_SIDE_BY_SIDE)]
            done = DeferredList(looking, fireOnOneErrback=True, consumeErrors=True)
            done.addCallbacks(lambda _: self._end(), self._fail)
        if not self._has_ended:
            waiting = self._waiting = Deferred()
            timer = None if seconds is None else self._reactor.callLater(seconds, self._wake)
            await waiting
            if timer is not None and timer.active():
                timer.cancel()
        return self._has_ended

    def leave(self) -> None:
        """Look at the rest for the next request, unless another survey does."""
        self._is_wanted = False
        if self._names not in self._hosts.looking:
            self._hosts.looking.add(self._names)
            self._is_for_later = True

    async def _look(self) -> None:
        for count, entry in enumerate(self._rest, 1):
            if not self._is_for_later and (not self._is_wanted or self._request.is_abandoned):
                return
            row = await self._row(entry)
            if row is not None:
                self._rows[entry.names] = row
            if count % TURN == 0:
                await deferLater(self._reactor, 0)

    async def _row(self, entry: ListedRepository) -> Row | None:
        host = self._hosts.host_of(entry)
        if host is None:
            return None
        try:
            settings = await self._hosts.describe(host)
        except Exception:  # noqa: BLE001 whatever is wrong with one repository, the others are listed
            # `Host.settings` has logged it, once.
            return None
        if settings.hidden or authorize_reading(settings.access, self._peer) is not None:
            return None
        return Row(
            *(entry.names, settings.description, settings.contact, entry.changed),
            name=settings.name,
            labels=settings.labels,
        )

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _end(self) -> None:
        self._has_ended = True
        if self._is_for_later:
            self._hosts.looking.discard(self._names)
        self._wake()

    def _fail(self, failure: Failure) -> None:
        """Note a fault of ours: what is known by now is shown."""
        _log.failure("a list of repositories could not be completed", failure)
        self._end()
