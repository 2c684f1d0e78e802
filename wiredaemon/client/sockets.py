"""What the clients that use sockets themselves have in common: asyncio's and that of scripts."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import ClientError, ConnectError, ConnectionLostError
from wiredaemon.client.trust import describe_tls

if TYPE_CHECKING:
    from wiredaemon.client.address import Address

# What curl and browsers wait before they try another address of the host beside the first.
HEAD_START: Final = 0.25
"""Seconds that each address of a host is ahead of the next. Source: RFC 8305, section 5."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER for a connection that is reset."""


def reset_when_closed(connection: socket.socket) -> None:
    """Have the closing of a connection reset it, as Twisted does.

    The end of our side alone would not say that nobody reads. Unix sockets cannot be reset.
    """
    if connection.family != socket.AF_UNIX:
        # Some systems refuse it for a connection that is gone.
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def describe_failure(error: BaseException, address: Address) -> ClientError:
    """Return the client's error for a failure of a connection."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, ssl.SSLError):
        return describe_tls(error, address)
    if isinstance(error, socket.gaierror):
        return ConnectError(f"cannot connect to {address}: no such host")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return ConnectionLostError(f"the connection to {address} was lost")
    if isinstance(error, OSError):
        return ConnectError(f"cannot connect to {address}: {_reason(error)}")
    reason = str(error) or type(error).__name__
    return ConnectionLostError(f"the connection to {address} failed: {reason}")


def describe_loss(error: BaseException, address: Address) -> ClientError:
    """Return the client's error for a failure of a connection that was there.

    A network that is gone ends one as a server does that resets it: calls may be made once more.
    """
    is_described = ssl.SSLError | ConnectionResetError | BrokenPipeError
    if isinstance(error, OSError) and not isinstance(error, is_described):
        return ConnectionLostError(f"the connection to {address} was lost: {_reason(error)}")
    return describe_failure(error, address)


def _reason(error: OSError) -> str:
    # By its number: the texts of asyncio repeat the address, and some name several.
    return os.strerror(error.errno) if error.errno else str(error)
