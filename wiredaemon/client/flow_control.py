"""Flow control of what a client sends: writers wait while the transport holds enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wiredaemon.client.runtime import Runtime, Waiter


class FlowControl:
    """Makes writers wait; they `drain` after each piece."""

    def __init__(self, runtime: Runtime) -> None:
        """Begin with a transport that takes more."""
        self._runtime = runtime
        self._is_open = True
        self._waiting: list[Waiter] = []

    async def drain(self) -> None:
        """Return when the transport takes more, in a later turn of the loop.

        A sender whose data is at hand would let nobody else have a turn.
        """
        turn = self._runtime.waiter()
        self._runtime.call_soon(turn.wake)
        await turn
        # The transport may be full again by the time that one of several writers is woken.
        while not self._is_open:
            waiter = self._runtime.waiter()
            self._waiting.append(waiter)
            await waiter

    def pause(self) -> None:
        """Make writers wait: the transport holds enough."""
        self._is_open = False

    def resume(self) -> None:
        """Let writers go on: the transport takes more, or has gone, which they see themselves."""
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.wake()
