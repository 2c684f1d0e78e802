"""The bytes that the client of an HTTP connection makes the daemon hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wiredaemon.net.guard.waits import Held
from wiredaemon.net.twisted_internals import unsent_output

if TYPE_CHECKING:
    from wiredaemon.net.http.channel import KnownHeadChannel


def held_by(channel: KnownHeadChannel) -> Held:
    """Return what a connection holds: the body of a request, its answer, and what follows it."""
    size, unfinished = unsent_output(channel.transport) + len(channel.rest), 0
    if channel.requests:
        request = channel.requests[-1]
        more, unfinished = request.body.held()
        size += more
        if request.repository is not None:
            size += request.repository.held
        if unfinished and request.peer().user is not None:
            unfinished = 0
    return Held(size, unfinished)


def count_held(channel: Any) -> None:  # noqa: ANN401 the channel of a request is not annotated
    """Count what a connection holds, however little that has grown."""
    channel.site.guard.memory.count(channel, held_by(channel))


def tell_held(channel: Any) -> None:  # noqa: ANN401 the channel of a request is not annotated
    """Count what a connection holds; its request may be refused for it."""
    channel.site.guard.memory.tell(channel, held_by(channel))
