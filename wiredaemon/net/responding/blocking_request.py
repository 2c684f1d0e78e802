"""One request whose command blocks, and runs in a thread.

Source: docs/decisions.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred

from wiredaemon.net.responding.blocking import BlockingContext, run_in_thread
from wiredaemon.net.responding.generators import END
from wiredaemon.net.responding.running_request import RunningRequest
from wiredaemon.net.responding.states import RequestState, RequestStep, advance_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BlockingRequest(RunningRequest):
    """Carries one request from the call of a blocking command to the end of its response."""

    __slots__ = ("_thread",)

    _thread: Deferred[Any] | None
    """Fires when the command has ended in its thread; `run_in_thread` makes it, before all else."""

    def run_in_thread(self, keywords: Mapping[str, object]) -> None:
        """Call a blocking command in a thread; its objects are delivered in batches."""
        context = BlockingContext(self.context, self._owner.threads.reactor)
        self._thread = run_in_thread(
            self._owner.threads,
            lambda: self.command.function(context, **keywords),
            lambda given, *, is_slow: Deferred.fromCoroutine(self._deliver(given, is_slow=is_slow)),
            END,
        )
        self._wait_for(self._thread)

    async def _deliver(self, objects: Sequence[Any], *, is_slow: bool) -> None:
        """Send a batch of objects from a thread, which goes on when there is room for more.

        Raises:
            CancelledError: The request has ended: the thread's generator is closed.
        """
        if self.state is RequestState.ENDED:
            raise CancelledError
        self.state = advance_request(self.state, RequestStep.GO_ON)
        for value in objects:
            sent = self._send_object(value)
            if isinstance(sent, Deferred):
                sent = await sent
            if not sent:
                self._owner.progress()
                raise CancelledError
        if is_slow:
            self._owner.connection.send_held(self.request_id)
        # Checked again, because the flush calls the transport, which may cancel the request.
        self._owner.flush()
        self._check_running()
        if not self._owner.has_room(self):
            room: Deferred[None] = Deferred()
            self.state = advance_request(self.state, RequestStep.STALL)
            self._pending = room
            await room
            self._check_running()
        self.state = advance_request(self.state, RequestStep.WAIT)
        self._pending = self._thread

    def _check_running(self) -> None:
        if self.state is RequestState.ENDED:
            raise CancelledError

    def leave_thread(self) -> Deferred[Any] | None:
        """Let the command end by itself; return what fires then, or None if no thread runs it."""
        thread = self._thread
        if thread is None or thread.called or thread in self._owner.threads.waiting:
            return None
        if self._pending is thread:
            self._pending = None
        self._thread = None
        return thread

    def cancel(self) -> None:
        """Cancel the command, whose thread goes on until it returns, and all that it waits for."""
        pending = self._pending
        super().cancel()
        if self._thread is not None and self._thread is not pending:
            self._thread.cancel()
