"""Waits in the loop of scripts: of one thread, its coroutine, and those that run beside it."""

from __future__ import annotations

from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from wiredaemon.client.blocking_loop import BlockingLoop

_OTHER_THREAD: Final = (
    "another thread uses this connection: it belongs to one thread at a time, so connect in each"
)


class OneThread:
    """Is entered by one thread at a time, as often as it likes; others are refused.

    Each call enters twice, so that it asks ``try_enter(False)`` itself: 0.1 us instead of 0.3.
    """

    __slots__ = ("leave", "try_enter")

    def __init__(self) -> None:
        """Begin with no thread."""
        self._begin()

    def _begin(self) -> None:
        lock = RLock()
        self.try_enter = lock.acquire
        self.leave = lock.release

    def __enter__(self) -> None:
        """Enter.

        Raises:
            ClientError: Another thread is in.
        """
        if not self.try_enter(blocking=False):
            raise another_thread()

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self.leave()

    def forget_others(self) -> bool:
        """Have all threads out but this one, in a process that was forked: they are not in it.

        Returns:
            Whether another one was in.
        """
        if self.try_enter(blocking=False):
            self.leave()
            return False
        self._begin()
        return True


def another_thread() -> ClientError:
    """Return the error of a thread that comes while another one is in."""
    return ClientError(_OTHER_THREAD)


class Cancelled(BaseException):
    """The coroutine was cancelled."""


class BlockingWaiter:
    """One wait."""

    __slots__ = ("is_awake", "on_wake")

    def __init__(self) -> None:
        """Begin asleep."""
        self.is_awake = False
        """The wait is over."""
        self.on_wake: Callable[[], object] | None = None
        """Has the coroutine go on; None for that of the caller, who looks at `is_awake`."""

    def wake(self) -> None:
        """End the wait; nothing happens if it has ended."""
        if not self.is_awake:
            self.is_awake = True
            if self.on_wake is not None:
                self.on_wake()

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait."""
        # A coroutine may be resumed once more than it was woken, having been cancelled in between.
        while not self.is_awake:
            yield self


def waiter_of(yielded: object) -> BlockingWaiter:
    """Return what a coroutine waits for.

    Raises:
        ClientError: It is of another event loop.
    """
    if isinstance(yielded, BlockingWaiter):
        return yielded
    raise ClientError("the data of a script's call must not wait for another event loop")


class RunningCoroutine:
    """A coroutine that runs beside the caller's."""

    __slots__ = ("_coroutine", "_is_due", "_is_over", "_loop", "_on_done", "_thrown")

    def __init__(
        self,
        loop: BlockingLoop,
        coroutine: Coroutine[Any, Any, None],
        on_done: Callable[[RunningCoroutine, BaseException | None], None],
    ) -> None:
        """Begin to run it in the next turn.

        Args:
            loop: Has turns.
            coroutine: Awaits nothing but waiters.
            on_done: Gets its exception, or None, once; not if it is dropped.
        """
        self._loop = loop
        self._coroutine = coroutine
        self._on_done = on_done
        self._is_due = False
        self._is_over = False
        self._thrown: BaseException | None = None
        """What the coroutine is to be told in its next turn."""
        self._resume()

    def cancel(self) -> None:
        """Raise `Cancelled` where it waits, in the next turn; nothing happens if it is over."""
        if not self._is_over:
            self._thrown = Cancelled()
            self._resume()

    def drop(self) -> None:
        """End it without a turn: the loop has none any more."""
        self._is_over = True
        # Raised where it would wait for something more; and where a thread runs it that was left
        # behind by a fork.
        with suppress(RuntimeError, ValueError):
            self._coroutine.close()

    def _resume(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_due = False
        if self._is_over:
            return
        thrown, self._thrown = self._thrown, None
        try:
            if thrown is None:
                yielded = self._coroutine.send(None)
            else:
                yielded = self._coroutine.throw(thrown)
            waiter = waiter_of(yielded)
        except StopIteration:
            self._end(None)
        except (Exception, Cancelled) as error:  # noqa: BLE001 it is its owner's
            self._end(error)
        except BaseException as error:  # Ctrl-C, for instance, is also of who waits
            self._end(error)
            raise
        else:
            waiter.on_wake = self._resume

    def _end(self, error: BaseException | None) -> None:
        self._is_over = True
        self._on_done(self, error)


class Patience:
    """The time that several waits may take together."""

    def __init__(self, loop: BlockingLoop, seconds: float) -> None:
        """Begin now."""
        self._timer = loop.call_later(seconds, self._pass)
        self._waiter: BlockingWaiter | None = None
        self._is_over = False

    async def wait(self, waiter: BlockingWaiter) -> None:
        """Wait as long as there is time.

        Raises:
            TimeoutError: There is no more.
        """
        self._waiter = waiter
        if not self._is_over:
            await waiter
        if self._is_over:
            raise TimeoutError

    def end(self) -> None:
        """Measure no longer."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._is_over = True
        if self._waiter is not None:
            self._waiter.wake()
