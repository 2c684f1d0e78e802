"""Servers in threads of their own, with and without the standard library's TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection in a thread; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            # The end of the test, or a client that has gone.
            with suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(20)
                with connection:
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def over_tls(
    folder: Path,
    serve: Callable[[ssl.SSLSocket], None],
    change: Callable[[ssl.SSLContext], None] = lambda _: None,
) -> Callable[[socket.socket], None]:
    """Return what serves over TLS.

    Args:
        folder: The certificate, of `support.serving.write_certificate`.
        serve: Serves.
        change: Changes the context.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    change(context)

    def shake(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            serve(wrapped)

    return shake


def reset(connection: socket.socket) -> None:
    """Close a connection so that its peer sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
