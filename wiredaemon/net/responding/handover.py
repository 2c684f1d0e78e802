"""Hands the objects of a thread's generator to the reactor's thread.

They go in batches, because each hand-over is two changes of thread. A batch goes when it is full,
and when nothing has filled it for a moment: its generator waits for something, and a client may
wait for what it gave.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Of large objects a batch holds about one full read of bulk data (`read_size`).
_BATCH_BYTES: Final = 256 * 1024
_BATCH_OBJECTS: Final = 64
MOMENT: Final = 0.005
"""Seconds that an object waits for others at most."""


class Deliver(Protocol):
    """Delivers a batch, in the reactor's thread."""

    def __call__(self, objects: Sequence[Any], /, *, is_slow: bool) -> Deferred[None] | None:
        """Deliver objects; those after them come when the Deferred fires.

        Args:
            objects: The objects.
            is_slow: No others have come for a moment: nothing should be held for them.
        """


class Handover:
    """The objects that a thread has given and the reactor has not taken.

    Args:
        reactor: The reactor.
        deliver: Is called in the reactor's thread. If it fails, so does the thread's next call.
    """

    def __init__(self, reactor: Any, deliver: Deliver) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._deliver = deliver
        self._lock = Lock()
        self._batch: list[Any] = []
        self._size = 0
        self._failure: Failure | None = None
        # Of the reactor's thread alone: one batch is delivered at a time.
        self._delivering = DeferredLock()
        self._timer: Any = None

    # --- in the thread -----------------------------------------------------------------------

    def put(self, value: object) -> None:
        """Give an object; this waits while the reactor cannot take more.

        Raises:
            BaseException: A delivery has failed, with this.
        """
        with self._lock:
            if self._failure is not None:
                self._failure.raiseException()
            self._batch.append(value)
            self._size += len(value) if isinstance(value, bytes | str) else 0
            count = len(self._batch)
            is_full = count >= _BATCH_OBJECTS or self._size >= _BATCH_BYTES
        if is_full:
            self.finish()
        elif count == 1:
            self._reactor.callFromThread(self._wait_a_moment)

    def finish(self) -> None:
        """Wait until all is delivered.

        Raises:
            BaseException: A delivery has failed, with this.
        """
        call = cast("Callable[[], Any]", self._pass_all)  # the stub knows no union
        blockingCallFromThread(self._reactor, call)

    # --- in the reactor's thread -------------------------------------------------------------

    def _wait_a_moment(self) -> None:
        if self._timer is None and self._batch:
            self._timer = self._reactor.callLater(MOMENT, self._on_moment)

    def _on_moment(self) -> None:
        self._timer = None
        self._pass_on(is_slow=True).addErrback(lambda _: None)  # the thread hears of it

    def _pass_all(self) -> Deferred[None]:
        return self._pass_on(is_slow=False)

    def _pass_on(self, *, is_slow: bool) -> Deferred[None]:
        def begin() -> Deferred[None]:
            return Deferred.fromCoroutine(self._pass_batch(is_slow=is_slow))

        return self._delivering.run(begin)

    async def _pass_batch(self, *, is_slow: bool) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        with self._lock:
            batch, self._batch, self._size = self._batch, [], 0
            failure = self._failure
        if failure is not None:
            failure.raiseException()
        if not batch:
            return
        try:
            done = self._deliver(batch, is_slow=is_slow)
            if done is not None:
                await done
        except BaseException:
            with self._lock:
                self._failure = Failure()
            raise
