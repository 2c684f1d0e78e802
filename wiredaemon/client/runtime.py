"""The event loop as the client's core needs it: Twisted's and asyncio's implement it.

The core awaits nothing but `Waiter`, so that one set of coroutines runs in either loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.errors import ClientError
    from wiredaemon.client.options import ClientOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The TLS of a connection."""

    version: str
    """The version of the protocol, as OpenSSL names it: ``TLSv1.3``."""
    cipher: str
    """The cipher, as OpenSSL names it."""
    certificate: bytes
    """The certificate of the server, DER; it is not verified where the options say so."""


class Waiter(Protocol):
    """One wait of a coroutine; awaitable once."""

    def wake(self) -> None:
        """End the wait; nothing happens if it has ended."""

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait."""


class Cancellable(Protocol):
    """A timer, or a coroutine that runs."""

    def cancel(self) -> object:
        """Cancel it; nothing happens if it is over."""


class Receiver(Protocol):
    """The receiver of a stream of bytes."""

    def receive_data(self, data: bytes) -> None:
        """Receive bytes, cut in any way."""

    def receive_end(self, error: ClientError) -> None:
        """Note that the stream is gone, once; ``error`` says why."""

    def pause_output(self) -> None:
        """Write no more for now: the stream holds enough."""

    def resume_output(self) -> None:
        """Write again."""


class Stream(Protocol):
    """A connection that carries bytes: TCP, TLS or a Unix socket."""

    @property
    def chosen_protocol(self) -> bytes | None:
        """The protocol that TLS has negotiated; None without."""

    @property
    def tls(self) -> Tls | None:
        """Its TLS; None without, and when the stream is gone."""

    def write(self, parts: Sequence[bytes]) -> None:
        """Send bytes, in order; nothing happens when the stream is gone."""

    def pause_input(self) -> None:
        """Stop reading, as far as possible."""

    def resume_input(self) -> None:
        """Go on reading."""

    def close(self) -> None:
        """Close the stream once all that was written is sent."""

    def abort(self) -> None:
        """Close the stream at once."""


class Runtime(Protocol):
    """An event loop."""

    @property
    def cancelled(self) -> type[BaseException]:
        """The exception of a coroutine that is cancelled."""

    def now(self) -> float:
        """Return the seconds of a clock that never goes back."""

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function after some time."""

    def call_soon(self, function: Callable[[], object]) -> object:
        """Call a function in the loop's next turn."""

    def waiter(self) -> Waiter:
        """Return a new wait."""

    def run(
        self, coroutine: Coroutine[Any, Any, None], on_done: Callable[[BaseException | None], None]
    ) -> Cancellable:
        """Run a coroutine beside others; ``on_done`` gets its exception, or None."""

    async def open(
        self,
        address: Address,
        receiver: Receiver,
        options: ClientOptions,
        protocols: Sequence[bytes] = (),
    ) -> Stream:
        """Connect, with the TLS handshake where the address asks for TLS.

        Args:
            address: The server.
            receiver: Is fed from now on.
            options: Trust, certificate and the time that this may take.
            protocols: The names to offer by ALPN.

        Raises:
            ClientError: The connection cannot be made.
        """
