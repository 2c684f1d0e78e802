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
    GoAwayReceived,
    PingReceived,
    PongReceived,
    ProgressReceived,
    RequestAborted,
    RequestCancelled,
    RequestCompleted,
    RequestFailed,
    RequestReceived,
    ResponseDataReceived,
    SessionStarted,
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
    "GoAwayReceived",
    "Incomplete",
    "LocalProtocolError",
    "ObjectReader",
    "PingReceived",
    "PongReceived",
    "ProgressReceived",
    "RemoteProtocolError",
    "RequestAborted",
    "RequestCancelled",
    "RequestCompleted",
    "RequestFailed",
    "RequestReceived",
    "ResponseDataReceived",
    "ResponseError",
    "ResponseReader",
    "ServerConnection",
    "SessionStarted",
    "TextOutputReceived",
    "response_reader",
]
