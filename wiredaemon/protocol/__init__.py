"""The state machines of both sides, without I/O: no sockets, no clock, no threads.

A connection has three kinds of methods: ``receive_data`` returns the events of received bytes,
``send_*`` queues frames, and ``data_to_send`` returns the frames that may leave.
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
from wiredaemon.protocol.states import Incomplete

__all__ = [
    "ClientConnection",
    "ConnectionFailed",
    "DataReceived",
    "Event",
    "Incomplete",
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
