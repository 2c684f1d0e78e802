"""Content encoding in threads: large objects are encoded beside the reactor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.threads import deferToThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from wiredaemon.protocol.responses import EncodingWork

_T = TypeVar("_T")


def encode_in_thread(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    work: EncodingWork,
    on_encoded: Callable[[EncodingWork], _T],
) -> Deferred[_T]:
    """Encode in a thread of the reactor's pool.

    Args:
        reactor: The reactor.
        work: The content encoding of one object.
        on_encoded: Takes the work that is done, in the reactor's thread.

    Returns:
        The result of ``on_encoded``. Cancelled, it fails at once, and the thread ends by itself.
    """
    encoding = deferToThreadPool(reactor, reactor.getThreadPool(), work.run)
    return encoding.addCallback(lambda _: on_encoded(work))
