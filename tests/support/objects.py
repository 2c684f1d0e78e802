"""An HTTP server in a thread that takes objects by PUT and gives them: a redirect target."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEDIA_TYPE: Final = "application/mercurial-cbor"


class ObjectStore(ThreadingHTTPServer):
    """Holds objects by path, in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path."""

    @property
    def url(self) -> str:
        """The URL below which its objects are."""
        return f"http://127.0.0.1:{self.server_address[1]}/answers/"

    def fetched(self) -> list[str]:
        """Paths of the objects that were fetched, in order."""
        return [path for method, path in self.requests if method == "GET"]


class _Asked(BaseHTTPRequestHandler):
    server: ObjectStore

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.objects[self.path] = self.rfile.read(length)
        self._answer(201, b"")

    def do_GET(self) -> None:
        content = self.server.objects.get(self.path)
        if content is None:
            self._answer(404, b"")
        else:
            self._answer(200, content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, content: bytes) -> None:
        self.server.requests.append((self.command, self.path))
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 as of its base
        """Keep quiet."""


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run one on loopback."""
    with ObjectStore() as store:
        thread = threading.Thread(target=store.serve_forever, name="objects")
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
