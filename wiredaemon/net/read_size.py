"""Sets how much is read from a socket at once: more while a peer sends in bulk.

Each read costs a turn of the reactor, so bulk data is read in larger pieces. Large buffers for all
connections would cost small requests more than they save: the system maps and unmaps the memory of
each buffer.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.tcp import Server

# 32 KiB, because the first read of each of many connections may have to wait for its turn; Twisted
# reads 64. A read that fills it makes the next ones 256 KiB, and one of less than 16 KiB ends that.
# Sizes in between change nothing, so that the size does not flip with each read.
_USUAL: Final = 32768
_LARGE: Final = 8 * _USUAL
_FEW: Final = _USUAL // 2


def follow_read(transport: Any, size: int) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Set the size of the next reads by the ``size`` of this one, in bytes."""
    # By exact type: the transport of a TLS connection is the TLS protocol, without a buffer size.
    if _FEW <= size < _USUAL or type(transport) is not Server:
        return
    wanted = _LARGE if size >= _USUAL else _USUAL
    if transport.bufferSize != wanted:
        transport.bufferSize = wanted
