"""The state machines of both sides: bytes in, events out, and the way back.

Sans I/O: no sockets, no clock, no threads. A connection has three verbs: ``receive_data`` gives
events, ``send_*`` takes what to say, ``data_to_send`` gives the frames that say it.
"""

from wiredaemon.protocol.client import ClientConnection
from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.events import (
    ConnectionFailed,
    DataReceived,
    Event,
    ProgressReceived,
    RequestAborted,
    RequestCompleted,
    RequestFailed,
    RequestReceived,
    ResponseDataReceived,
    TextOutputReceived,
)
from wiredaemon.protocol.objects import (
    ObjectReader,
    ResponseError,
    ResponseReader,
    response_reader,
)
from wiredaemon.protocol.server import ServerConnection

__all__ = [
    "ClientConnection",
    "ConnectionFailed",
    "DataReceived",
    "Event",
    "LocalProtocolError",
    "ObjectReader",
    "ProgressReceived",
    "RemoteProtocolError",
    "RequestAborted",
    "RequestCompleted",
    "RequestFailed",
    "RequestReceived",
    "ResponseDataReceived",
    "ResponseError",
    "ResponseReader",
    "ServerConnection",
    "TextOutputReceived",
    "response_reader",
]
