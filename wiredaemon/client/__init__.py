"""A client for programs: commands of a server, over HTTP, HTTPS, raw TCP, TLS and Unix sockets.

For instance::

    async with await connect(reactor, "https://example.org/repository") as connection:
        heads = await connection.call("heads")
        async for value in connection.call("changesetdata", {...}):
            ...

This is for Twisted; ``wiredaemon.client.aio`` is for asyncio, ``wiredaemon.client.blocking`` for
scripts. All of them have the same core, which knows no event loop.
"""

from wiredaemon.client.call import Call, Observer
from wiredaemon.client.connecting import Connection, connect
from wiredaemon.client.credentials import Credentials, Password, Token
from wiredaemon.client.description import DescribedArgument, DescribedCommand, Description
from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineError,
    HttpAnswerError,
    LoginRefusedError,
    NotOfferedError,
    SilentError,
    UntrustedError,
    UrlError,
)
from wiredaemon.client.options import ClientOptions
from wiredaemon.client.runtime import Tls
from wiredaemon.wire.dialects import DIALECTS

__all__ = [
    "DIALECTS",
    "BrokenProtocolError",
    "Call",
    "ClientError",
    "ClientOptions",
    "ConnectError",
    "Connection",
    "ConnectionClosedError",
    "ConnectionLostError",
    "Credentials",
    "DeadlineError",
    "DescribedArgument",
    "DescribedCommand",
    "Description",
    "HttpAnswerError",
    "LoginRefusedError",
    "NotOfferedError",
    "Observer",
    "Password",
    "SilentError",
    "Tls",
    "Token",
    "UntrustedError",
    "UrlError",
    "connect",
]
