"""A proxy that cuts off the answer to one push: the client loses its connection, the server too."""

from __future__ import annotations

import re
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

BEFORE: Final = -1
"""Cut as soon as the last byte of the request was passed on."""
_NO_FAREWELL: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset."""
_PUSH: Final = re.compile(
    rb"^POST [^\r]*cmd=unbundle.*?^content-length: (\d+)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)


class CuttingProxy:
    """Passes bytes on, and cuts one answer to `unbundle` off.

    Args:
        port: The port of the server.
    """

    def __init__(self, port: int) -> None:
        self.server = port
        self.cut: int | None = None
        """Bytes of the next answer to pass on, or `BEFORE`; None to pass all on."""
        self.answered = 0
        """Bytes of the last answer to a push that were passed on."""
        self.pushes = 0
        """Requests to push that came."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.open: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Begin to accept."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything."""
        with suppress(OSError):
            # Which wakes the thread; a close alone does not.
            self._listening.shutdown(socket.SHUT_RDWR)
        for each in (self._listening, *self.open):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                _Passing(self, client).start()


class _Passing:
    """One connection, passed on in both directions."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.create_connection(("127.0.0.1", proxy.server))
        proxy.open += [client, self._server]
        self._left: int | None = None
        """Bytes of a push that are still to come; None outside of one."""

    def start(self) -> None:
        """Pass on in threads of their own."""
        for run in (self._ask, self._answer):
            threading.Thread(target=run, daemon=True).start()

    def _ask(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                self._follow(data)
                self._server.sendall(data)
                if self._left == 0 and self._proxy.cut == BEFORE:
                    self._cut()
                    return
            self._server.shutdown(socket.SHUT_WR)

    def _follow(self, data: bytes) -> None:
        """Notice where a push begins and ends; its head is in one piece."""
        push = _PUSH.search(data)
        if push is not None:
            self._proxy.pushes += 1
            self._proxy.answered = 0
            self._left = int(push[1]) - len(data.partition(b"\r\n\r\n")[2])
        elif self._left:
            self._left -= len(data)
        else:
            self._left = None

    def _answer(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._left == 0:
                    proxy = self._proxy
                    data = data if proxy.cut is None else data[: proxy.cut - proxy.answered]
                    proxy.answered += len(data)
                    self._client.sendall(data)
                    if proxy.cut == proxy.answered:
                        self._cut()
                        return
                else:
                    self._client.sendall(data)
            self._client.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        self._proxy.cut = None
        for each in (self._client, self._server):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
