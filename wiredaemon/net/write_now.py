"""Writes to a socket at once, where Twisted would wait for the next turn of its reactor.

This saves two ``epoll_ctl`` and one ``epoll_wait`` for each response (docs/performance.md), and a
copy of each large payload: the parts go to the kernel as they are. Bytes that the kernel does not
accept go to the transport, which has a buffer, back-pressure and errors.
"""

from __future__ import annotations

import socket as socket_module
from contextlib import suppress
from fcntl import ioctl
from socket import IPPROTO_TCP
from sys import byteorder
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.tcp import Client, Server

from wiredaemon.net.twisted_internals import is_waiting, unsent_output

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOINED: Final = 16384
"""Bytes up to which joining parts is cheaper than passing them to the kernel one by one."""
_SOCKETS: Final = frozenset({Server, Client})
_UNSENT_OPTION: Final[int | None] = getattr(socket_module, "TCP_NOTSENT_LOWAT", None)
"""Linux and macOS have it."""
_MOST_UNSENT: Final = 65536
"""Bytes not sent at which the system accepts no more: two frames of the largest size."""
_MOST_PARTS: Final = 512
"""Parts of one call: half of IOV_MAX, which is 1024 on Linux, macOS and the BSDs."""


def send_at_once(transport: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
    """Turn Nagle's algorithm off, which delays small writes until earlier ones are acknowledged.

    Twisted's HTTP does so by itself. Twisted's Unix sockets claim to provide TCP too, and the
    system call would fail on them.
    """
    if ITCPTransport.providedBy(transport) and not isinstance(transport.getHost(), UNIXAddress):
        transport.setTcpNoDelay(True)


def write_now(transport: Any, parts: Sequence[bytes]) -> int:  # noqa: ANN401 zope interfaces do not intersect
    """Write parts, in order and after all earlier output; return their size in bytes."""
    size = sum(map(len, parts))
    # By exact type: TLS must encrypt, and a subclass may write in its own way.
    if type(transport) not in _SOCKETS or is_waiting(transport):
        # Small parts that wait for long would take twice their size.
        transport.writeSequence([b"".join(parts)] if size <= _JOINED else parts)
        return size
    try:
        # Measured: joining saves 2 to 3 % of such a write, some 0.5 us; from 64 KiB on it costs 1
        # %, and a second copy of the payload.
        if size <= _JOINED or len(parts) > _MOST_PARTS:
            data = b"".join(parts)
            sent = transport.socket.send(data)
            # So that what the kernel did not take is cut from one piece.
            parts = [data]
        else:
            sent = transport.socket.sendmsg(parts)
    except OSError:
        # The kernel has no room, or the peer has gone: the transport's own write finds out which.
        transport.writeSequence(parts)
        return size
    if sent < size:
        transport.writeSequence(_behind(parts, sent))
    return size


def bound_unsent(transport: Any) -> None:  # noqa: ANN401 the same
    """Let the system accept no more output while it holds much that it has not sent.

    By itself it takes megabytes from us, and all that we write later waits behind them.
    """
    socket = _socket_below(transport)
    if isinstance(socket, Server) and _UNSENT_OPTION is not None:
        # Unix sockets have no such option, and hold little.
        with suppress(OSError):
            socket.socket.setsockopt(IPPROTO_TCP, _UNSENT_OPTION, _MOST_UNSENT)


def pause_for_peer(transport: Any) -> None:  # noqa: ANN401 the same
    """Pause the producer if any output waits in this process; Twisted does so from 32 KiB on."""
    socket = _socket_below(transport)
    if socket is None or socket.producer is None or socket.producerPaused:
        return
    if unsent_output(socket):
        socket.producerPaused = True  # so that it resumes the producer when all is sent
        socket.producer.pauseProducing()


def not_taken(transport: Any) -> int:  # noqa: ANN401 the same
    """Return the bytes of output that the peer has not taken; 0 if none is left in this process.

    What the system holds counts as well: it takes bytes from us in lumps of up to a megabyte, so
    that a slow peer would seem to take nothing in between.
    """
    size = unsent_output(transport)
    if size and (socket := _socket_below(transport)) is not None:
        size += _held_by_system(socket.fileno())
    return size


def _socket_below(transport: Any) -> Any:  # noqa: ANN401 Twisted does not annotate it
    """Return the transport of the socket below wrappers and TLS; None if there is none."""
    while transport is not None and not isinstance(transport, FileDescriptor):
        transport = getattr(transport, "transport", None)
    return transport


def _held_by_system(descriptor: int) -> int:
    try:
        return int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), byteorder)
    except OSError:
        return 0  # closed, or a system that does not tell


def _behind(parts: Sequence[bytes], sent: int) -> list[bytes]:
    """Return the rest of the parts after ``sent`` bytes."""
    for position, part in enumerate(parts):
        if sent < len(part):
            return [part[sent:], *parts[position + 1 :]]
        sent -= len(part)
    return []
