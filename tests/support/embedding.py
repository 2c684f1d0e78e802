"""Services of a program, and clients that call them over real sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from wiredaemon.client import ClientOptions, Connection, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wiredaemon import Service


def reactor() -> Any:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    return reactor


class Page(Resource):
    """A page of the program's own, beside the service."""

    isLeaf = True  # noqa: N815 Twisted's name

    def render_GET(self, request: Any) -> bytes:
        path: bytes = request.path
        return b"page " + path


@asynccontextmanager
async def mounted(service: Service, path: bytes = b"rpc", **options: Any) -> AsyncIterator[str]:
    """An ordinary site with the service below a path; yield the URL of that path."""
    root = Resource()
    page: Any = Page  # Twisted does not annotate how it is made
    root.putChild(b"page", page())
    where = root
    *folders, last = path.split(b"/")
    for folder in folders:
        inner = Resource()
        where.putChild(folder, inner)
        where = inner
    where.putChild(last, service.resource())
    port = reactor().listenTCP(0, Site(root, **options), interface="127.0.0.1")
    try:
        yield f"http://127.0.0.1:{port.getHost().port}/{path.decode()}"
    finally:
        await service.stop()
        await port.stopListening()


@asynccontextmanager
async def calling(url: str, **options: Any) -> AsyncIterator[Connection]:
    """A client of a URL."""
    connection = await connect(reactor(), url, ClientOptions(**options))
    try:
        yield connection
    finally:
        await connection.close()
