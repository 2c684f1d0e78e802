"""Connecting a socket in the loop of scripts: to the first of several addresses that accepts."""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from contextlib import suppress
from functools import partial
from select import POLLOUT
from typing import TYPE_CHECKING, Final

from wiredaemon.client.blocking_waits import BlockingWaiter
from wiredaemon.client.sockets import HEAD_START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.client.blocking_loop import BlockingLoop
    from wiredaemon.client.blocking_names import SocketAddress
    from wiredaemon.client.timers import Timer

_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EINTR})
_CROWDED: Final = 0.02
"""Seconds until a Unix socket is tried again for which as many wait as its server allows: nothing
says when there is room."""


class Attempts:
    """The attempts to connect to one server: each address has a head start on the next one."""

    def __init__(self, loop: BlockingLoop, addresses: Sequence[SocketAddress]) -> None:
        """Begin with the first address.

        Args:
            loop: Watches the sockets.
            addresses: The places where the server may be, the best first.
        """
        self._loop = loop
        self._left = deque(addresses)
        self._open: set[socket.socket] = set()
        """The sockets that are not connected yet."""
        self._connected: socket.socket | None = None
        self._error = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        """Why the address that failed first did so: it was the best."""
        self._has_failed = False
        self._head_start: Timer | None = None
        self.over = BlockingWaiter()
        """Is woken when one has accepted, or all have failed."""
        if addresses:
            self._try_next()
        else:
            self.over.wake()

    def take(self) -> socket.socket:
        """Return the socket that is connected; it does not block, and is the caller's from now on.

        Raises:
            OSError: There is none.
        """
        connection, self._connected = self._connected, None
        if connection is None:
            raise self._error
        return connection

    def close(self) -> None:
        """Give up what is under way, and what was not taken."""
        self._left.clear()
        self._stop_timer()
        for connection in self._open:
            self._loop.unwatch(connection.fileno())
            connection.close()
        self._open.clear()
        if self._connected is not None:
            self._connected.close()

    def _stop_timer(self) -> None:
        if self._head_start is not None:
            self._head_start.cancel()

    def _try_next(self) -> None:
        self._stop_timer()
        if not self._left:
            return
        address = self._left.popleft()
        if self._left:
            self._head_start = self._loop.call_later(HEAD_START, self._try_next)
        try:
            connection = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:  # a family that this system does not have, for instance
            self._note_failure(error)
            return
        connection.setblocking(False)  # noqa: FBT003 its signature
        self._open.add(connection)
        self._connect(connection, address)

    def _connect(self, connection: socket.socket, address: SocketAddress) -> None:
        if connection not in self._open:
            return  # given up meanwhile
        code = connection.connect_ex(address.place)
        if code in _UNDER_WAY:
            on_ready = partial(self._on_ready, connection)
            self._loop.watch(connection.fileno(), POLLOUT, on_ready)
        elif code == errno.EAGAIN and address.family == socket.AF_UNIX:
            self._loop.call_later(_CROWDED, partial(self._connect, connection, address))
        else:
            self._end(connection, code)

    def _on_ready(self, connection: socket.socket, _: int) -> None:
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            try:
                connection.getpeername()
            except OSError:
                return  # the event was for another socket, which had the same number
        self._end(connection, code)

    def _end(self, connection: socket.socket, code: int) -> None:
        """Note the end of an attempt: 0, or the number of an error."""
        if code not in {0, errno.EISCONN}:
            self._fail(connection, OSError(code, os.strerror(code)))
            return
        self._loop.unwatch(connection.fileno())
        self._open.remove(connection)
        self.close()
        if connection.family != socket.AF_UNIX:
            # As asyncio does: small frames do not wait until earlier ones are acknowledged.
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected = connection
        self.over.wake()

    def _fail(self, connection: socket.socket, error: OSError) -> None:
        self._loop.unwatch(connection.fileno())
        connection.close()
        self._open.remove(connection)
        self._note_failure(error)

    def _note_failure(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._error = error
        if self._left:
            # In the next turn, and not from here: a host may have hundreds of addresses.
            self._loop.call_soon(self._try_next)
        elif not self._open:
            self.over.wake()
