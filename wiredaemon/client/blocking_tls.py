"""TLS over a stream of bytes, in the loop of scripts."""

from __future__ import annotations

import ssl
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from wiredaemon.client.blocking_waits import BlockingWaiter
from wiredaemon.client.errors import ConnectionClosedError, ConnectionLostError
from wiredaemon.client.options import CLOSE_SECONDS
from wiredaemon.client.runtime import Tls
from wiredaemon.client.sockets import describe_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.client.address import Address
    from wiredaemon.client.blocking_loop import BlockingLoop
    from wiredaemon.client.blocking_waits import Patience
    from wiredaemon.client.errors import ClientError
    from wiredaemon.client.runtime import Receiver, Stream

_RECORD: Final = 16 * 1024
"""Bytes that one read of TLS gives at most. Source: RFC 8446, section 5.1."""


class BlockingTls:
    """The receiver of an encrypted stream, and the stream of what it carries.

    All that arrives is decrypted at once: who is paused has the stream below paused, and gets what
    one read of that has brought.
    """

    def __init__(
        self, loop: BlockingLoop, context: ssl.SSLContext, address: Address, receiver: Receiver
    ) -> None:
        """Begin without a stream below.

        Args:
            loop: Calls what is to go on later.
            context: Whom to trust, and what to offer.
            address: The address of the server, whose name its certificate must have.
            receiver: Is fed once the handshake is done.
        """
        self._loop = loop
        self._address = address
        self._receiver = receiver
        self._below: Stream | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=address.host
        )
        self._unsent: deque[bytes] = deque()
        """Output that TLS does not take before the server has said something."""
        self._ready = BlockingWaiter()
        """Is woken when the handshake is done, or has failed."""
        self._failure: ClientError | None = None
        """The reason why the handshake has failed."""
        self._is_shaking = True
        self._is_closing = False
        self._is_gone = False

    async def shake(self, below: Stream, patience: Patience) -> None:
        """Do the handshake over a stream, which feeds this.

        Raises:
            TimeoutError: The server takes too long.
            ClientError: The handshake fails. In all cases the stream is closed then.
        """
        self._below = below
        self._shake()
        try:
            await patience.wait(self._ready)
        except BaseException:
            self.abort()
            raise
        if self._failure is not None:
            raise self._failure

    # --- as the receiver of the stream below -------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Decrypt received bytes, or go on with the handshake."""
        if self._is_gone:
            return
        self._incoming.write(data)
        if self._is_shaking:
            self._shake()
        if not (self._is_shaking or self._is_gone):
            self._decrypt()

    def receive_end(self, error: ClientError) -> None:
        """Note that the stream below is gone."""
        if self._is_shaking and isinstance(error, ConnectionClosedError):
            error = ConnectionLostError(f"the connection to {self._address} was lost")
        self._end(error)

    def pause_output(self) -> None:
        """Have the receiver write no more for now."""
        self._receiver.pause_output()

    def resume_output(self) -> None:
        """Have it write again."""
        self._receiver.resume_output()

    # --- TLS ---------------------------------------------------------------------------------

    def _shake(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._fail(describe_failure(error, self._address))
        else:
            self._flush()
            self._is_shaking = False
            self._ready.wake()

    def _decrypt(self) -> None:
        parts = []
        end: ClientError | None = None
        try:
            while part := self._object.read(_RECORD):
                parts.append(part)
            end = ConnectionClosedError(f"{self._address} closed the connection")
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            end = describe_failure(error, self._address)
        self._encrypt()
        if parts and not self._is_closing:
            self._receiver.receive_data(b"".join(parts))
        if end is not None:
            self._fail(end)

    def _encrypt(self) -> None:
        """Send what waits, as far as TLS takes it, and its own messages."""
        try:
            while self._unsent:
                data = self._unsent[0]
                taken = self._object.write(data)
                if taken < len(data):
                    self._unsent[0] = data[taken:]
                else:
                    self._unsent.popleft()
            if self._is_closing:
                self._say_goodbye()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            # In the next turn: a caller may write here.
            self._loop.call_soon(partial(self._fail, describe_failure(error, self._address)))
        self._flush()

    def _say_goodbye(self) -> None:
        """Tell the server that no more follows; again it has no effect."""
        with suppress(ssl.SSLError):
            self._object.unwrap()

    def _flush(self) -> None:
        if self._outgoing.pending and self._below is not None:
            self._below.write([self._outgoing.read()])

    def _fail(self, error: ClientError) -> None:
        """Close the stream below, which is there, and say why this one is gone."""
        if self._is_gone or self._below is None:
            return
        self._say_goodbye()
        self._flush()  # also the alert that says what was wrong with the server
        self._below.close()
        # The server may take nothing any more.
        self._loop.call_later(CLOSE_SECONDS, self._below.abort)
        self._end(error)

    def _end(self, error: ClientError) -> None:
        """Say why this stream is gone, once."""
        if self._is_gone:
            return
        self._is_gone = True
        if self._is_shaking:
            self._failure = error
            self._ready.wake()
        else:
            self._receiver.receive_end(error)

    # --- as the stream -----------------------------------------------------------------------

    @property
    def chosen_protocol(self) -> bytes | None:
        """The protocol that was negotiated."""
        chosen = self._object.selected_alpn_protocol()
        return chosen.encode() if chosen else None

    @property
    def tls(self) -> Tls | None:
        """Its facts; None when the stream is gone."""
        cipher = self._object.cipher()
        if self._is_gone or cipher is None:
            return None
        return Tls(
            version=self._object.version() or "",
            cipher=cipher[0],
            certificate=self._object.getpeercert(binary_form=True) or b"",
        )

    def write(self, parts: Sequence[bytes]) -> None:
        """Send bytes, in order; nothing happens when the stream is gone."""
        if not (self._is_gone or self._is_closing):
            data = b"".join(parts)
            if data:
                self._unsent.append(data)
                self._encrypt()

    def pause_input(self) -> None:
        """Stop reading."""
        if self._below is not None and not self._is_closing:
            self._below.pause_input()

    def resume_input(self) -> None:
        """Go on reading."""
        if self._below is not None:
            self._below.resume_input()

    def close(self) -> None:
        """Close the stream once all that was written is sent, and the server has closed, too."""
        if self._is_gone or self._is_closing:
            return
        self._is_closing = True
        self._encrypt()
        self.resume_input()

    def abort(self) -> None:
        """Close the stream at once."""
        if self._below is not None:
            self._below.abort()
