"""One request of version 1, or for a page: its body goes to a worker, its answer comes from there.

Both ways with back-pressure: a client that sends faster than Mercurial reads is paused, a client
that reads slower than Mercurial answers lets the worker wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.hgweb.push_body import Upload
from wiredaemon.net.http.response_writer import WITHOUT_BODY
from wiredaemon.net.http.responses import text
from wiredaemon.repository.web_calls import WEB, WebRequest
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from wiredaemon.net.hosting.repository_handle import RepositoryHandle
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.wire.limits import Limits

_log: Final = Logger()
_PORTS: Final = {False: 80, True: 443}


def web_request(
    request: StreamingRequest, prefix: tuple[bytes, ...], rest: tuple[bytes, ...]
) -> WebRequest:
    """Give a request's head as it travels to a worker.

    Args:
        request: That a client made.
        prefix: Path components of the repository.
        rest: Components behind it.
    """
    peer = request.peer()
    headers = tuple(
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )
    name, port = _host_and_port(request, is_secure=peer.is_secure)
    return WebRequest(
        method=request.method,
        script_name=b"".join(b"/" + each for each in prefix),
        path_info=b"".join(b"/" + each for each in rest),
        query=request.uri.partition(b"?")[2],
        headers=headers,
        is_secure=peer.is_secure,
        server_name=name,
        server_port=port,
        remote_address=peer.address.rpartition(":")[0].encode(),
        has_body=request.content_length != 0,
        content_length=request.content_length,
    )


def _host_and_port(request: StreamingRequest, *, is_secure: bool) -> tuple[bytes, int]:
    """Give where our end of the connection is; the Host header goes on with the other headers."""
    address = request.channel.getHost()
    host = getattr(address, "host", None) or "localhost"
    return host.encode(), getattr(address, "port", _PORTS[is_secure])


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Give the length that an answer says to have.

    Raises:
        ServerError: It says more than one thing, or no number.
    """
    said = [value for name, value in headers if name.lower() == b"content-length"]
    if not said:
        return None
    if len(said) > 1 or not said[0].isdigit():
        raise ServerError("the answer has no proper Content-Length")
    return int(said[0])


@implementer(IPushProducer)
class Version1Exchange:
    """Carries one request to a worker, and produces its answer.

    Args:
        request: Nothing of its body was taken.
        repository: With the permission that was granted.
        wanted: The head of the request.
        limits: Of what the worker answers.
        body: Of the request, if it was taken already.
    """

    def __init__(
        self,
        request: StreamingRequest,
        repository: RepositoryHandle,
        wanted: WebRequest,
        limits: Limits,
        *,
        body: bytes | None = None,
    ) -> None:
        self._body = body
        self._request = request
        self._repository = repository
        self._wanted = wanted
        self._limits = limits
        self._running: Deferred[None] | None = None
        self._room: Deferred[None] | None = None
        """Fires when the client takes more."""
        self._upload: Upload | None = None
        self._paused = False
        self._left: int | None = None
        """Bytes of the answer that are still to come; None if it did not say how many."""
        self._begun = False
        self._over = False

    def start(self) -> None:
        """Ask for a worker; until there is one, nothing of the body is read."""
        self._request.body.pause()
        # Until then nobody takes the body, who would be told otherwise.
        self._request.notifyFinish().addErrback(lambda _: self.connection_lost())
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._on_bug)

    def connection_lost(self) -> None:
        """Stop: the client has gone."""
        self._over = True
        if self._running is not None:
            self._running.cancel()

    def _refuse(self, answer: HttpResponse) -> None:
        """End with an answer, because of the body."""
        if self._begun:
            self._request.response.break_off()
        else:
            self._request.answer(answer)
        self.connection_lost()

    # --- the answer --------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._answer()
        except CancelledError:
            return
        except (CommandError, ServerError) as error:
            self._fail(error)
            return
        if not self._over:
            self._over = True
            self._request.end_stream()

    async def _answer(self) -> None:
        has_data = self._wanted.has_body
        stream = await self._repository.open(WEB, self._wanted.encode(), has_data=has_data)
        try:
            self._begin_body(stream)
            async for value in self._values(stream):
                match value:
                    case bytes() if self._begun:
                        self._count(len(value))
                        self._request.response.write_body(value)
                        await self._wait_for_room()
                    case dict() if not self._begun:
                        self._begin(value)
                    case _:
                        raise ServerError("the repository worker gave no proper answer")
        finally:
            if self._upload is not None:
                self._upload.stop()
            stream.close()
        if not self._begun:
            raise ServerError("the repository worker gave no answer")
        if self._left:
            raise ServerError("the answer is shorter than its Content-Length")

    def _begin_body(self, stream: WorkerStream) -> None:
        if self._body is not None:
            stream.send_data(self._body, end=True)
            self._body = b""
        else:
            self._upload = Upload(
                self._request,
                stream,
                self._limits,
                refuse=self._refuse,
                lost=self.connection_lost,
            )
            self._upload.start()

    async def _values(self, stream: WorkerStream) -> AsyncGenerator[object, None]:
        items = ItemReader(DIALECTS["0006"].cbor, self._limits)
        while pieces := await stream.read():
            for piece in pieces:
                for value in items.receive_data(piece):
                    yield value

    def _begin(self, head: dict[bytes, Any]) -> None:
        headers = [(name, value) for name, value in head[b"headers"]]
        length = _length(headers)
        if self._wanted.method != b"HEAD" and head[b"status"] not in WITHOUT_BODY:
            self._left = length
        self._begun = True
        self._request.response.begin_stream(head[b"status"], head[b"reason"], headers, self)

    def _count(self, size: int) -> None:
        """See that the body is as long as was said: what is too much would be the next answer."""
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise ServerError("the answer is longer than its Content-Length")

    async def _wait_for_room(self) -> None:
        while self._paused:
            self._room = Deferred()
            await self._room

    def _fail(self, error: CommandError | ServerError) -> None:
        if self._over:
            return
        self._over = True
        _log.error(
            "a request of {peer} failed: {error}", peer=self._request.peer().address, error=error
        )
        if self._begun:
            # Cut off where it is: no end of the body is said.
            self._request.response.break_off()
        else:
            shown = str(error).encode("utf-8", "replace") + b"\n"
            self._request.answer(text(503, b"Service Unavailable", shown))

    def _on_bug(self, failure: Any) -> None:  # noqa: ANN401 a Failure
        _log.failure("a request could not be carried out", failure)
        if not self._over:
            self._over = True
            self._request.channel.loseConnection()

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The client takes no more for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client takes more."""
        self._paused = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """The transport has gone."""
        self.connection_lost()
