"""The client in a loop of its own, which runs only while a script waits."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from wiredaemon.client.blocking_connecting import Attempts
from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_names import Names, SocketAddress, numeric_address
from wiredaemon.client.blocking_stream import BlockingStream
from wiredaemon.client.blocking_tls import BlockingTls
from wiredaemon.client.blocking_waits import (
    BlockingWaiter,
    Cancelled,
    OneThread,
    Patience,
    RunningCoroutine,
    another_thread,
)
from wiredaemon.client.errors import CLOSED, ClientError, ConnectionLostError, SilentError
from wiredaemon.client.sockets import describe_failure
from wiredaemon.client.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.blocking_names import Resolve
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.runtime import Cancellable, Receiver, Stream

_T = TypeVar("_T")
_HALF_DONE: Final = "the connection was closed, because an interruption came while it was used"
_FORKED: Final = "the connection belongs to the process that this one was forked from"
_OTHER_LOOP: Final = "an event loop runs in this thread: use wiredaemon.client.aio there"
_NESTED: Final = (
    "somebody waits for this connection already: observers and data of its calls must not wait "
    "for it"
)
_runtimes: Final[WeakSet[BlockingRuntime]] = WeakSet()


def _leave_to_parent() -> None:
    """Give up all connections in a forked process: their bytes belong to its parent."""
    for runtime in _runtimes:
        runtime.leave()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_leave_to_parent)


class BlockingRuntime(BlockingLoop):
    """The event loop of one connection for scripts."""

    cancelled = Cancelled

    def __init__(
        self, resolve: Resolve = socket.getaddrinfo, one_thread: OneThread | None = None
    ) -> None:
        """Begin with nothing that runs.

        Args:
            resolve: Finds the addresses of a host; it may block, for it has a thread of its own.
            one_thread: Of the runtime in whose place this one comes; None for the first one.
        """
        super().__init__()
        self.one_thread = one_thread or OneThread()
        """Is entered by whoever does something here."""
        self._names = Names(self, resolve)
        self._trust = Trust()
        self._running: dict[RunningCoroutine, Callable[[BaseException | None], None]] = {}
        """The coroutines that run beside the caller's, and who wants to know of their ends."""
        # Not weak: what is forgotten together with its connection would not be found there.
        self._streams: list[BlockingStream] = []
        self.is_waiting = False
        """A caller waits; what is called meanwhile must not."""
        self.is_closed = False
        """Nothing happens any more."""
        self.end = CLOSED
        """Why that is so."""
        _runtimes.add(self)

    # --- the caller's waits ------------------------------------------------------------------

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end, and others beside it, in as many turns as it has to wait.

        Raises:
            ClientError: Somebody waits already, or another thread does something.
            BaseException: Whatever the coroutine raises. Ctrl-C ends the coroutine where it waits,
                and leaves nothing to the next one; if it comes anywhere else, the runtime is closed
                then.
        """
        one_thread = self.one_thread
        if not one_thread.try_enter(False):  # noqa: FBT003 as a keyword it costs more
            coroutine.close()
            raise another_thread()
        try:
            return self._complete(coroutine)
        except ClientError:
            coroutine.close()  # it may not have begun, or wait for what never comes
            raise
        finally:
            one_thread.leave()

    def _complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        # The public function raises where there is none, which is slower.
        if self.is_waiting or asyncio._get_running_loop() is not None:  # noqa: SLF001
            raise ClientError(_NESTED if self.is_waiting else _OTHER_LOOP)
        self.is_waiting = True
        try:
            while True:
                try:
                    waiter = coroutine.send(None)
                except StopIteration as ended:
                    value: _T = ended.value
                    return value
                except Exception:
                    raise
                except BaseException:
                    self._give_up()
                    raise
                if self.is_closed:
                    raise ConnectionLostError(self.end)
                try:
                    self.wait(waiter)
                except BaseException:
                    self._interrupt(coroutine)
                    raise
        finally:
            self.is_waiting = False

    def _interrupt(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Have the coroutine of a caller who is interrupted tidy up, if nothing is half done."""
        is_safe, self.is_polling = self.is_polling, False
        try:
            if is_safe:
                with suppress(Exception, Cancelled):
                    waiter = coroutine.throw(Cancelled())
                    while True:
                        self.wait(waiter)
                        waiter = coroutine.send(None)
                self.call_waiting()
        except BaseException:  # noqa: BLE001 a second Ctrl-C ends also this
            is_safe = False
        if not is_safe:
            # It may want to wait once more.
            with suppress(RuntimeError):
                coroutine.close()
            self._give_up()

    def note_error(self, error: BaseException) -> None:
        """Note what was raised out of the client outside of a wait: an interruption ends all."""
        if not (isinstance(error, Exception) or self.is_waiting):
            self._give_up()

    def _give_up(self) -> None:
        """Close what is open: anything may be half done."""
        self.end = _HALF_DONE
        self.drop()

    # --- as the runtime ----------------------------------------------------------------------

    def waiter(self) -> BlockingWaiter:
        """Return a new wait."""
        return BlockingWaiter()

    def run(
        self, coroutine: Coroutine[Any, Any, None], on_done: Callable[[BaseException | None], None]
    ) -> Cancellable:
        """Run a coroutine beside others, from the next turn on."""
        running = RunningCoroutine(self, coroutine, self._done)
        self._running[running] = on_done
        return running

    def _done(self, running: RunningCoroutine, error: BaseException | None) -> None:
        self._running.pop(running)(error)

    async def open(
        self,
        address: Address,
        receiver: Receiver,
        options: ClientOptions,
        protocols: Sequence[bytes] = (),
    ) -> Stream:
        """Connect, with the TLS handshake where the address asks for TLS."""
        patience = Patience(self, options.connect_seconds)
        try:
            if not address.scheme.is_secure:
                return await self._connect(address, receiver, patience)
            names = () if address.scheme.is_http else protocols
            secure = BlockingTls(self, self._trust.context(options, names), address, receiver)
            await secure.shake(await self._connect(address, secure, patience), patience)
        except TimeoutError:
            text = f"{address} did not answer within {options.connect_seconds:g} s"
            raise SilentError(text) from None
        except Exception as error:
            raise describe_failure(error, address) from error
        else:
            return secure
        finally:
            patience.end()

    async def _connect(
        self, address: Address, receiver: Receiver, patience: Patience
    ) -> BlockingStream:
        """Connect a socket.

        Raises:
            OSError: No address accepts.
        """
        attempts = Attempts(self, await self._places(address, patience))
        try:
            await patience.wait(attempts.over)
            stream = BlockingStream(self, attempts.take(), address, receiver)
        finally:
            attempts.close()
        self._streams = [one for one in self._streams if not one.is_gone]
        self._streams.append(stream)
        return stream

    async def _places(self, address: Address, patience: Patience) -> Sequence[SocketAddress]:
        if address.scheme.is_unix:
            return [SocketAddress(socket.AF_UNIX, address.host)]
        found = numeric_address(address.host, address.port)
        if found:
            return found
        search = self._names.find(address.host, address.port)
        await patience.wait(search.waiter())
        return search.addresses()

    # --- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Run nothing any more, and close what is open."""
        for running in list(self._running):
            running.cancel()
        # They tidy up; who waits for more than that is dropped.
        self.look()
        self.drop()

    def leave(self) -> None:
        """Close what is open, because it belongs to another process: the next call connects."""
        if self.one_thread.forget_others():
            self.is_waiting = False
        if not self.is_closed:
            self.end = _FORKED
            self.drop()
            if self.is_waiting:
                self.call_soon(self._end_wait)

    def _end_wait(self) -> None:
        """Raise in the wait during which this process was forked: by an observer that it calls."""
        raise ConnectionLostError(self.end)

    def drop(self) -> None:
        """Close what is open without a word to anybody, also in a process that was forked."""
        self.is_closed = True
        for running in list(self._running):
            running.drop()
        self._running.clear()
        self._names.drop()
        for stream in self._streams:
            stream.drop()
