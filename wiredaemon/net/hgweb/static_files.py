"""Static files of Mercurial's pages beside the repositories, where hgwebdir has them too.

Pages of repositories have them below their own path; ``web.staticurl`` may name one place for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.http.application import end_with
from wiredaemon.net.http.responses import HttpResponse, not_allowed, not_found, unavailable
from wiredaemon.repository.worker_calls import STATIC, CallContext

if TYPE_CHECKING:
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.workers.pool import WorkerPool

NAME: Final = b"static"
"""The component of a path below which they are."""

_KNOWN: Final = (b"GET", b"HEAD")


class StaticFiles:
    """The files, which workers read: Mercurial knows where they are."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    async def read(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Return type and content of a file; None if there is none.

        Args:
            name: Its path, with slashes.

        Raises:
            CommandError, ServerError: No worker can read it.
        """
        found = await self._pool.call(CallContext(repository=b""), STATIC, {b"name": name})
        match found:
            case [bytes() as kind, bytes() as content]:
                return kind, content
            case None:
                return None
            case _:
                raise ServerError("the repository worker gave no file")


class StaticResource(Resource):
    """The resource of one file."""

    isLeaf = True

    def __init__(self, application: Application, names: Names) -> None:
        """Stand for the file with the components ``names``."""
        super().__init__()
        self._read = application.read_static
        self._name = b"/".join(names)

    def headers_received(self, request: StreamingRequest) -> None:
        """Answer once a worker has read the file; no body is read meanwhile."""
        if request.method not in _KNOWN:
            request.answer(not_allowed(request.method, _KNOWN))
            return
        request.body.pause()
        end_with(request, Deferred.fromCoroutine(self._answer(request)))

    async def _answer(self, request: StreamingRequest) -> None:
        try:
            found = None if self._read is None else await self._read(self._name)
        except (CommandError, ServerError) as error:
            request.answer(unavailable(str(error).encode("utf-8", "replace")))
            return
        if found is None:
            request.answer(not_found())
            return
        kind, content = found
        headers = ((b"Content-Type", kind), (b"X-Content-Type-Options", b"nosniff"))
        request.answer(HttpResponse(status=200, reason=b"OK", headers=headers, body=content))
