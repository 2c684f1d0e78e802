"""One request whose command did not return its whole result at once.

Owns the Deferred that the request waits for, and the way of its objects to
the connection: one after the other while the output has room, large content encoded in a thread.
The `Owner`, implemented by the Responder, knows whether there is room.

Source: framing, section 6.3; docs/sansio.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wiredaemon.commands.running import PLAIN, Waiting, is_async_objects, is_objects, present, step
from wiredaemon.net.responding.command_data import NO_DATA
from wiredaemon.net.responding.encoding import encode_in_thread
from wiredaemon.net.responding.generators import END, close, next_of
from wiredaemon.net.responding.states import RequestState, RequestStep, advance_request
from wiredaemon.wire.values import Encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.commands import Command
    from wiredaemon.net.responding.command_data import IncomingData, NoData
    from wiredaemon.net.responding.context import CommandContext
    from wiredaemon.net.responding.interfaces import Owner
    from wiredaemon.protocol.responses import EncodingWork


_AS_THEY_ARE: Final = PLAIN | {Encoded}
"""The types of nearly all objects, those of workers too: CBOR has them in no other form."""


FAIR_TURN: Final = 32768
"""Bytes that one request may send before it is another one's turn: a frame of the largest size."""


class RunningRequest:
    """Carries one request from its command's first result to the end of its response."""

    __slots__ = (
        "_answer",
        "_frames",
        "_is_async",
        "_is_shared",
        "_objects",
        "_owner",
        "_pending",
        "command",
        "context",
        "data",
        "request_id",
        "state",
    )

    def __init__(
        self,
        request_id: int,
        command: Command,
        context: CommandContext,
        data: IncomingData | NoData,
        owner: Owner,
    ) -> None:
        self.request_id = request_id
        self.command = command
        self.context = context
        self.data = data
        self.state = RequestState.RUNNING
        self._owner = owner
        self._is_async = self._is_shared = False
        self._frames: int | None = None
        """Frames that the connection had received at the last turn of this request's objects."""
        self._objects: Any = None
        """The generator of its objects, if the command returned one."""
        self._pending: Deferred[Any] | None = None
        """The last thing waited for; cancelled with the request, unless it has fired."""
        self._answer: Callable[[int], None] | None = None
        """Answers an abandoned request."""

    # --- results -----------------------------------------------------------------------------

    def take(self, result: Any) -> None:  # noqa: ANN401 whatever a command returns
        """Process what the command returned: a result, a generator, or something to await.

        If input has failed after the request, nothing is sent and the command is about to be
        cancelled.
        """
        # By exact type first: the tests for generators and awaitables run Python code.
        if type(result) in PLAIN and not self._owner.connection.output_ended:
            self._end_with(result)
        elif isinstance(result, Waiting):
            self._wait_for(Deferred.fromCoroutine(result.coroutine))
        elif isinstance(result, Deferred):
            self._wait_for(result)
        elif (is_async := is_async_objects(result)) or is_objects(result):
            self._objects, self._is_async = result, is_async
            if not self._owner.connection.output_ended:
                self._send_objects(is_late=self._owner.turns.are_late)
        elif self._owner.connection.output_ended:
            self.end()
        else:
            self._end_with(result)

    def _wait_for(self, waiting: Deferred[Any]) -> None:
        self.state = advance_request(self.state, RequestStep.WAIT)
        self._pending = waiting
        waiting.addCallbacks(self._on_result, self._on_failure)
        waiting.addErrback(self._owner.on_bug)

    def _on_result(self, result: Any) -> None:  # noqa: ANN401 whatever a command returns
        if self.state is RequestState.ENDED:
            # Cancelled, but the Deferred has a result all the same: nothing closed the generator.
            self._close()
            return
        self.state = advance_request(self.state, RequestStep.GO_ON)
        if self._objects is None or result is END:
            self.take(result)
        elif not self._owner.connection.output_ended:
            self._take_object(result)
        # Else the input after the request was broken: in a moment the request is cancelled.
        self._owner.progress()

    def _on_failure(self, failure: Failure) -> None:
        if self.state is not RequestState.ENDED:
            self._owner.on_failed(self, failure)
            self._owner.progress()

    def _end_with(self, result: Any) -> None:  # noqa: ANN401 whatever a command returns
        """Send the only object of the response, or the end after its objects."""
        connection = self._owner.connection
        if result is END:
            connection.end_response(self.request_id)
        else:
            try:
                value = result
                # Plain results have the same form in all dialects but 0002: a call saved.
                if self._owner.is_text or type(result) not in PLAIN:
                    value = present(self.command, result, self._owner.dialect)
                work = (
                    connection.encoding_work(self.request_id, value) if connection.encodes else None
                )
                if work is not None:
                    self._encode(work).addCallback(self._end_behind).addErrback(self._owner.on_bug)
                    return
                connection.send_result(self.request_id, value)
            except Exception:  # noqa: BLE001 a text form may raise anything
                self._owner.on_failed(self, Failure())
                return
        self.end()

    def _end_behind(self, is_sent: bool) -> None:  # noqa: FBT001 a Deferred's result
        """End a request whose only object was encoded in a thread."""
        if is_sent:
            self._end_with(END)
            self._owner.progress()

    # --- objects -----------------------------------------------------------------------------

    def go_on(self) -> None:
        """Resume sending objects, if the output had no room for them."""
        if self.state is not RequestState.STALLED:
            return
        # A Deferred is that of a thread's batch; without one a generator was stopped in a loop.
        waiting, self._pending = self._pending, None
        self.state = advance_request(self.state, RequestStep.GO_ON)
        if waiting is not None:
            waiting.callback(None)
        else:
            self._send_objects(is_late=self._owner.turns.are_late)

    def _send_objects(self, *, is_late: bool = False) -> None:
        """Send a generator's objects until output has enough for one turn; none in a late one."""
        owner = self._owner
        connection, high = owner.connection, self._turn_size()
        while self.state is RequestState.RUNNING:
            if not owner.has_room(self):
                self.state = advance_request(self.state, RequestStep.STALL)
                self._pending = None
                return
            # Not paused, but enough for one turn: a generator that never waits would otherwise keep
            # all other connections waiting.
            if is_late or (connection.output_size >= high and not connection.output_held):
                self.state = advance_request(self.state, RequestStep.YIELD)
                self._pending = None
                owner.turns.wait(self._on_turn)
                owner.flush()
                return
            try:
                value = self._next_object()
            except Exception:  # noqa: BLE001 a command may raise anything
                owner.on_failed(self, Failure())
                return
            if isinstance(value, Waiting):
                # What it has given must not wait with it.
                connection.send_held(self.request_id)
                self._wait_for(Deferred.fromCoroutine(value.coroutine))
                return
            if value is END:
                self._end_with(END)
                return
            self._take_object(value, goes_on=False)

    def _turn_size(self) -> int:
        """Return the bytes of one turn: few, once others of the connection wait for theirs.

        They are few until the request has ended: who has called beside it will call again.
        """
        owner = self._owner
        high, frames = owner.room.high, self._frames
        if not self._is_shared and owner.is_full_duplex:
            self._frames = owner.connection.frames_received
            # Frames of its own data are no calls.
            is_alone = frames in {None, self._frames} or not self.data.ended
            if not is_alone or len(owner.running) > 1:
                self._is_shared = True
                owner.transport.share_output()
        return min(high, FAIR_TURN) if self._is_shared else high

    def _on_turn(self) -> None:
        if self.state is RequestState.YIELDED:  # not cancelled meanwhile
            self.state = advance_request(self.state, RequestStep.GO_ON)
            self._send_objects()
            self._owner.progress()

    def _next_object(self) -> Any:  # noqa: ANN401 whatever a command returns
        """Return the next object, `END`, or a `Waiting` for one of them."""
        if self._is_async:
            return step(next_of(self._objects))
        return next(self._objects, END)

    def _take_object(self, value: Any, *, goes_on: bool = True) -> None:  # noqa: ANN401 whatever a command returns
        """Send an object, and go on with those after it."""
        sent = self._send_object(value)
        # Nearly always True. `isinstance` would cost 0.2 us, for a Deferred's class is an ABCMeta.
        if sent is True:
            if goes_on:
                self._send_objects()
        elif sent is not False:
            sent.addCallback(self._go_on_behind).addErrback(self._owner.on_bug)

    def _go_on_behind(self, is_sent: bool) -> None:  # noqa: FBT001 a Deferred's result
        """Go on with objects after one that was encoded in a thread."""
        if is_sent:
            self._send_objects()
            self._owner.progress()

    def _send_object(self, value: Any) -> bool | Deferred[bool]:  # noqa: ANN401 whatever a command returns
        """Send an object; return whether it was sent, by a Deferred if a thread encodes it."""
        try:
            shown = value
            if self._owner.is_text or type(value) not in _AS_THEY_ARE:
                shown = present(self.command, value, self._owner.dialect)
            connection = self._owner.connection
            work = connection.encoding_work(self.request_id, shown) if connection.encodes else None
            if work is not None:
                return self._encode(work)
            connection.send_object(self.request_id, shown)
        except Exception:  # noqa: BLE001 a generator inside a value may raise anything
            self._owner.on_failed(self, Failure())
            return False
        return True

    # --- threads -----------------------------------------------------------------------------

    def _encode(self, work: EncodingWork) -> Deferred[bool]:
        """Encode a large object's content in a thread, and send it; the request waits for that.

        Returns:
            A Deferred that fires with False if the request has ended meanwhile, and never fails.
        """
        self.state = advance_request(self.state, RequestStep.ENCODE)
        self._pending = encode_in_thread(self._owner.threads.reactor, work, self._on_encoded)
        return self._pending.addErrback(self._on_encoding_failed)

    def _on_encoded(self, work: EncodingWork) -> bool:
        # A thread cannot be cancelled: it ends after its request, whose stream is gone.
        if self.state is RequestState.ENDED:
            return False
        connection = self._owner.connection
        if self.state is RequestState.ABANDONED:
            # What the encoder has seen must be sent, for later responses continue its context.
            if not connection.output_ended:
                connection.send_encoded(self.request_id, work)
            self._end_abandoned()
            return False
        self.state = advance_request(self.state, RequestStep.GO_ON)
        connection.send_encoded(self.request_id, work)
        return True

    def _on_encoding_failed(self, failure: Failure) -> bool:
        if self.state is not RequestState.ENDED:
            self._owner.on_bug(failure)
        return False

    # --- the end -----------------------------------------------------------------------------

    def end(self) -> None:
        """Note that the request is answered."""
        self.state = advance_request(self.state, RequestStep.END)
        self.context.cancelled = True
        if self.data is not NO_DATA:
            self.data.close()
        self._owner.running.pop(self.request_id, None)
        if self.context.deadline is not None:
            self._owner.deadlines.forget(self.request_id)

    def end_failed(self) -> None:
        """Note that the request is answered with a failure: its generator is closed."""
        self.end()
        self._close()

    def cancel(self) -> None:
        """Cancel the command and everything that the request waits for."""
        # A generator that waits is closed by the cancellation of what it waits for.
        closes = self.state is not RequestState.WAITING
        pending = self._pending
        self.state = advance_request(self.state, RequestStep.END)
        self.context.cancelled = True
        if pending is not None:
            pending.cancel()
        # A thread that waits for data is woken by this alone.
        self.data.cancel()
        if closes:
            self._close()

    def abandon(self, answer: Callable[[int], None]) -> None:
        """Cancel the command at once, and answer the request once its object was encoded."""
        if self.state is RequestState.ENCODING:
            self.state = advance_request(self.state, RequestStep.ABANDON)
            self._answer = answer
            self.context.cancelled = True
            self.data.cancel()
            self._close()

    def _end_abandoned(self) -> None:
        answer, self._answer = self._answer, None
        self.end()
        if answer is not None and not self._owner.connection.output_ended:
            answer(self.request_id)
        self._owner.progress()

    def _close(self) -> None:
        if self._objects is not None:
            close(self._objects, self.command.name, self._owner.transport.command_crashed)
