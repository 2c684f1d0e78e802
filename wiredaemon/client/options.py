"""The options of a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wiredaemon.client.credentials import Credentials
    from wiredaemon.wire.dialects import Dialect

# Longer than a round trip to anywhere, shorter than the patience of whoever waits for a program to
# end.
CLOSE_SECONDS: Final = 5.0
"""Seconds that closing may take: over TLS the server has to close its side as well."""

# An object of `largest_object` with nothing but nodes in it has 12 million.
_LARGE_ANSWERS: Final = Limits(cbor_elements=16_000_000, cbor_containers=1_000_000)
"""A client wants what it asked for, so it bounds the size of objects more than their elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """The settings of a client: how it connects, and how much of a response it holds."""

    dialect: Dialect | None = None
    """The framing to speak; None for the server's preferred one over HTTP, 0006 over raw TCP."""
    content_encodings: Sequence[bytes] | Sequence[str] = ()
    """Content encodings to offer for responses, the most preferred first; 0006 only."""
    data_encodings: Sequence[bytes] | Sequence[str] = ()
    """Content encodings for command data, the most preferred first; the first one that the server
    knows is used. Only in sessions, which raw connections have in 0006."""
    authorities: Path | str | None = None
    """A PEM file of the certificates to trust; None for the system's."""
    trusts_anybody: bool = False
    """Do not verify the server's certificate and name."""
    credentials: Credentials | None = None
    """The password or token to log in with; None for those of the URL, if it has any."""
    netrc: Path | str | Literal[True] | None = None
    """A file of logins by host, as other programs know it, or True for ``~/.netrc``."""
    certificate: Path | str | None = None
    """A PEM file of our own certificate, for servers whose users have some; it may hold the key."""
    private_key: Path | str | None = None
    """A PEM file of its key; None if that is in the certificate's file."""
    sends_plainly: bool = False
    """Send the password or token also where others could read it."""
    # What Twisted's own endpoints allow for a connection.
    connect_seconds: float = 30.0
    """Seconds for each step: the connection with its TLS handshake, the server's first answer; and
    for all attempts together to connect again once a connection was lost."""
    timeout: float | None = None
    """Seconds that each call may take which has no timeout of its own; None for no limit."""
    keep_alive_seconds: float | None = 60.0
    """Seconds of silence on a raw connection after which the server is asked for a sign of life; it
    has as long to give one. None never asks; servers without sessions cannot be asked."""
    retries: int = 1
    """The most times that a call is repeated when its connection was lost, if that is safe: the
    command only reads, no object has arrived, and the data is none or bytes."""
    most_connections: int = 32
    """The most HTTP connections at the same time; further calls wait for one."""
    silent_seconds: float | None = None
    """Seconds that a call may wait without a byte in or out; None for no limit."""
    limits: Limits = _LARGE_ANSWERS
    """The limits of frames, and of the depth and elements of objects."""
    # Objects of Mercurial's commands are texts of files, which it holds in memory itself; larger
    # files are kept elsewhere (LFS).
    largest_object: int = 256 * 1024 * 1024
    """The most bytes of one object of a response."""
    # A quarter of the largest object: enough for one call to be drained while another waits.
    untaken_bytes: int = 64 * 1024 * 1024
    """The most bytes of untaken responses that are held while other calls go on."""


DEFAULT_OPTIONS: Final = ClientOptions()
