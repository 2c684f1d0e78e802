"""Sets how much of a socket is read at once: more, while a peer sends in bulk.

Each read costs a round of the reactor, so bulk data is read in larger pieces. Large buffers for all
connections would cost small requests more than they save: the system maps and unmaps the memory of
each one.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.tcp import Server

_USUAL: Final = Server.bufferSize
_LARGE: Final = 4 * _USUAL
_FEW: Final = _USUAL // 4


def follow_read(transport: Any, size: int) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Set the size of the next reads from the ``size`` of one, in bytes."""
    if _FEW <= size < _USUAL or type(transport) is not Server:
        return
    wanted = _LARGE if size >= _USUAL else _USUAL
    if transport.bufferSize != wanted:
        transport.bufferSize = wanted
