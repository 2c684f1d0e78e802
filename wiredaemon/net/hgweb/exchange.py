"""One request of version 1, or for a page: sends its body to a worker, and returns the response.

Both ways have back-pressure: a client that sends faster than Mercurial reads is paused, and a
client that reads slower than Mercurial answers makes the worker wait.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.hgweb.push_body import PushBody
from wiredaemon.net.hgweb.response_flow import ResponseFlow
from wiredaemon.net.hgweb.whole_body import WholeBody
from wiredaemon.net.hgweb.worker_answer import (
    HeldAnswer,
    ImproperAnswerError,
    RefusedWriteError,
    announced_length,
    check_refusal,
)
from wiredaemon.net.hosting.push_answers import Answer
from wiredaemon.net.http.response_writer import WITHOUT_BODY
from wiredaemon.net.http.responses import failed, unavailable
from wiredaemon.net.repeated_lines import shortened
from wiredaemon.net.workers.calls import StoppedError, WorkersBusyError
from wiredaemon.repository.web_calls import WEB
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from twisted.python.failure import Failure

    from wiredaemon.net.cache.clones import Clone, WebStream
    from wiredaemon.net.hosting.push_answers import Push
    from wiredaemon.net.hosting.repository_handle import RepositoryHandle
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.net.workers.worker_stream import WorkerStream
    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.wire.limits import Limits

_log: Final = Logger()
_MOST_HELD: Final = 64 * 1024
"""Bytes of the answer to a push that are held; nearly all have less than 1,000."""


class ExchangeState(IntEnum):
    """The state of an exchange."""

    WAITING = auto()
    """Nothing of the response was written: any answer is still possible."""
    RESPONDING = auto()
    """The head was written: a failure can only cut the response off."""
    OVER = auto()
    """The response is complete, was cut off, or the client has gone."""


class ExchangeInput(IntEnum):
    """The events that change the state of an exchange."""

    HEAD = auto()
    """The worker has sent the head of its response."""
    END = auto()
    """The response is complete, a failure was answered, or the client has gone."""


_S, _I = ExchangeState, ExchangeInput
TRANSITIONS: Final[Mapping[tuple[ExchangeState, ExchangeInput], ExchangeState]] = {
    (_S.WAITING, _I.HEAD): _S.RESPONDING,
    (_S.WAITING, _I.END): _S.OVER,
    (_S.RESPONDING, _I.END): _S.OVER,
    # Whatever ends an exchange, a client that leaves may end it once more.
    (_S.OVER, _I.END): _S.OVER,
}
"""The state after each event; a missing pair is a fault of ours."""


class HgwebExchange:
    """Carries one request to a worker, and its response back.

    Args:
        request: The request, of whose body nothing was received, unless ``body`` is given.
        repository: The repository, with the permission that was granted.
        wanted: The head of the request.
        limits: Bounds the worker's CBOR items, and a push.
        body: The request's whole body, where it was received already.
        is_short: The command takes little time, as `is_short` of the rules says.
        push: The push that it is, if it is one.
        clone: The whole repository that it asks for, if its answer may be kept.
        refusal: Returns the response if Mercurial refuses a write, None where there is the right.
    """

    def __init__(  # noqa: PLR0913 what a request is answered with
        self,
        request: StreamingRequest,
        repository: RepositoryHandle,
        wanted: WebRequest,
        limits: Limits,
        *,
        body: bytearray | memoryview | None = None,
        is_short: bool = False,
        push: Push | None = None,
        clone: Clone | None = None,
        refusal: Callable[[], HttpResponse | None] = lambda: None,
    ) -> None:
        self._request = request
        self._refusal = refusal
        self._is_short = is_short
        self._push = push
        self._clone = clone
        self._repository = repository
        self._wanted = wanted
        self._limits = limits
        self._body = None if body is None else WholeBody(body)
        self._incoming: PushBody | None = None
        self._held: HeldAnswer | None = None
        """The beginning of the answer, of which nothing was written."""
        self._state = ExchangeState.WAITING
        self._flow = ResponseFlow(self.connection_lost)
        self._running: Deferred[None] | None = None
        self._left: int | None = None
        """Bytes of the response that are still to come; None if it did not announce how many."""

    def start(self) -> None:
        """Request a worker, for a push when its beginning has come."""
        # Until then the body has no receiver that would be notified of a lost connection.
        self._request.notifyFinish().addErrback(lambda _: self.connection_lost())
        if self._body is None:
            self._incoming = PushBody(
                *(self._request, self._limits),
                begin=self._ask,
                refuse=self.refuse,
                lost=self.connection_lost,
                push=self._push,
            )
        if self._incoming is not None and self._wanted.has_body:
            self._incoming.start()
        else:
            self._request.body.pause()
            self._ask()

    def _ask(self) -> None:
        """Request a worker; until one is free, nothing more of the body is read."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._on_bug)

    @property
    def held(self) -> int:
        """The bytes of the body that was given, until a worker has read all of it."""
        return 0 if self._body is None else len(self._body)

    def connection_lost(self) -> None:
        """Cancel the worker's call: the client has gone."""
        has_begun = self._state is ExchangeState.RESPONDING
        self._advance(ExchangeInput.END)
        if self._body is not None:
            self._body.drop()
        # Nobody drains a response that was begun: it would wait for its client for ever.
        if self._push is not None and self._push.is_whole and not has_begun:
            return  # Mercurial goes on, and the client may ask once more what has become of it
        if self._running is None:
            if self._push is not None:
                self._push.end()
        else:
            self._running.cancel()  # closes the stream; the pool decides on its worker

    def _advance(self, seen: ExchangeInput) -> None:
        self._state = TRANSITIONS[self._state, seen]

    def refuse(self, response: HttpResponse) -> None:
        """End with a fixed response, because of the body."""
        if self._state is ExchangeState.RESPONDING:
            self._request.response.break_off()
        else:
            self._request.answer(response)
        self.connection_lost()

    # --- the response ------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._respond()
        except CancelledError:
            return  # by `connection_lost`, which has ended the exchange
        except (CommandError, ServerError) as error:
            self._fail(error)
            return
        except RefusedWriteError as refused:
            self._advance(ExchangeInput.END)
            self._request.answer(refused.response)
            return
        finally:
            if self._push is not None:
                self._push.end()
        if self._state is not ExchangeState.OVER:
            self._advance(ExchangeInput.END)
            self._request.end_stream()

    async def _respond(self) -> None:
        ask, clone = self._ask_worker, self._clone
        room = self._request.site.guard.memory.room
        stream = await (ask() if clone is None else clone.open(ask, room))
        try:
            # Before the first object is awaited: Mercurial reads a push before it answers.
            if self._incoming is not None:
                self._incoming.send_to(stream)
            elif clone is None and self._body is not None:
                self._body.send_to(stream)
            async for value in self._values(stream):
                await self._receive(value)
                del value  # else it would be held until the next one has come
        finally:
            stream.close()
        if self._held is not None:
            await self._settle(self._held)
            self._write_held(whole=True)
        if self._state is ExchangeState.WAITING:
            raise ImproperAnswerError("the repository worker gave no answer")
        if self._left:
            raise ImproperAnswerError("the answer is shorter than its Content-Length")

    async def _ask_worker(self) -> WorkerStream:
        stream = await self._repository.open(
            WEB, self._wanted.encode(), has_data=self._wanted.has_body, is_short=self._is_short
        )
        if self._clone is not None and self._body is not None:
            # Others may wait for the answer when this client has gone: nothing is dropped.
            self._body.send_to(stream)
            self._body = WholeBody(bytearray())
        return stream

    async def _values(self, stream: WebStream) -> AsyncGenerator[object, None]:
        items = ItemReader(DIALECTS["0006"].cbor, self._limits)
        while pieces := await stream.read():
            pieces.reverse()
            while pieces:
                values = items.receive_data(pieces.pop())[::-1]
                # Popped: hundreds of clients would make us hold a piece each, and what was in it.
                while values:
                    yield values.pop()

    async def _receive(self, value: object) -> None:
        """Receive the head of the response, or the next part of its body."""
        match value:
            # The worker is our own, but its answers pass through extensions of Mercurial: so the
            # order of head and body is checked.
            case bytes() if self._held is not None:
                self._held.pieces.append(value)
                self._held.size += len(value)
                if self._held.size > _MOST_HELD:
                    self._write_held(whole=False)
                    await self._flow.drain()
            case bytes() if self._state is ExchangeState.OVER:
                pass  # of a push whose client has gone, and whose answer is too long to be kept
            case bytes() if self._state is ExchangeState.RESPONDING:
                self._count(len(value))
                self._request.response.write_body(value)
                await self._flow.drain()
            case dict() if self._state is not ExchangeState.RESPONDING and self._held is None:
                self._receive_head(value)
            case _:
                raise ImproperAnswerError("the repository worker gave no proper answer")

    def _receive_head(self, head: dict[bytes, Any]) -> None:
        check_refusal(head, self._refusal)
        headers = [(name, value) for name, value in head[b"headers"]]
        length = announced_length(headers)
        # These responses announce a length without having a body.
        has_body = self._wanted.method != b"HEAD" and head[b"status"] not in WITHOUT_BODY
        if has_body:
            self._left = length
        answer = HeldAnswer(head[b"status"], head[b"reason"], headers)
        if self._push is None and self._state is ExchangeState.OVER:
            raise ServerError("the client has gone")
        channel = self._request.channel
        is_push = self._push is not None or (channel.is_draining and channel.is_followed)
        if is_push and has_body and length is None:
            # Mercurial's clients do not read the last chunk of the answer to a push: they would ask
            # what follows on another connection, which a daemon that stops does not accept.
            self._held = answer
        elif self._state is not ExchangeState.OVER:
            self._begin(answer)

    def _begin(self, answer: HeldAnswer) -> None:
        self._advance(ExchangeInput.HEAD)
        response = self._request.response
        response.begin_stream(answer.status, answer.reason, answer.headers, self._flow)

    async def _settle(self, held: HeldAnswer) -> None:
        """Replace the answer to a push that has come before."""
        if self._push is None:
            return
        answer = Answer(held.status, held.reason, held.headers, b"".join(held.pieces))
        known = await self._push.settle(answer)
        if known is not answer:
            held.status, held.reason, held.headers = known[:3]
            held.pieces, held.size = [known.body], len(known.body)

    def _write_held(self, *, whole: bool) -> None:
        """Write what was held; with its length if it is all."""
        held, self._held = self._held, None
        if held is None or self._state is ExchangeState.OVER:
            return
        if whole:
            held.headers.append((b"Content-Length", b"%d" % held.size))
        self._begin(held)
        self._request.response.write_body(b"".join(held.pieces))

    def _count(self, size: int) -> None:
        """Check the announced length: a client would read further bytes as the next response."""
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise ImproperAnswerError("the answer is longer than its Content-Length")

    # --- failures ----------------------------------------------------------------------------

    def _fail(self, error: CommandError | ServerError) -> None:
        state = self._state
        if state is ExchangeState.OVER:
            return
        self._advance(ExchangeInput.END)
        text_of_error = shortened(str(error))
        if self._request.site.guard.failed_requests.is_new(text_of_error):
            address = self._request.peer().address
            _log.error("a request of {peer} failed: {error}", peer=address, error=text_of_error)
        if state is ExchangeState.RESPONDING:
            # Cut off without an end of the body, so that the client notices.
            self._request.response.break_off()
            return
        reason = str(error).encode("utf-8", "replace")
        if isinstance(error, StoppedError | ImproperAnswerError):
            self._request.answer(failed(reason))
        else:
            retry = error.retry_after if isinstance(error, WorkersBusyError) else None
            self._request.answer(unavailable(reason, retry))

    def _on_bug(self, failure: Failure) -> None:
        _log.failure("a request could not be carried out", failure)
        if self._state is not ExchangeState.OVER:
            self._advance(ExchangeInput.END)
            # The response may have begun, and has no end.
            self._request.response.break_off()
