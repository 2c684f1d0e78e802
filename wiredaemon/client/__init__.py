"""A client for programs: commands of a server, over HTTP, HTTPS, raw TCP and TLS.

connection = await connect(reactor, "https://example.org/repository")
heads = await connection.call(b"heads").result()
async for value in connection.call(b"changesetdata", {...}):
    ...
await connection.close()
"""

from wiredaemon.client.call import Call, Observer
from wiredaemon.client.connecting import Connection, connect
from wiredaemon.client.credentials import Credentials, Password, Token
from wiredaemon.client.description import DescribedCommand, Description
from wiredaemon.client.errors import (
    BrokenProtocolError,
    ClientError,
    ConnectError,
    ConnectionLostError,
    HttpAnswerError,
    LoginRefusedError,
    NotOfferedError,
    SilentError,
    UntrustedError,
    UrlError,
)
from wiredaemon.client.options import ClientOptions

__all__ = [
    "BrokenProtocolError",
    "Call",
    "ClientError",
    "ClientOptions",
    "ConnectError",
    "Connection",
    "ConnectionLostError",
    "Credentials",
    "DescribedCommand",
    "Description",
    "HttpAnswerError",
    "LoginRefusedError",
    "NotOfferedError",
    "Observer",
    "Password",
    "SilentError",
    "Token",
    "UntrustedError",
    "UrlError",
    "connect",
]
