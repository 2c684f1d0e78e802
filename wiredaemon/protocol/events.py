"""Events: what a connection returns to its caller, named in the past tense."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wiredaemon.wire.values import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.protocol.errors import RemoteProtocolError


@dataclass(slots=True)
class RequestReceived:
    """To servers: the request part of a command is complete.

    Without data the whole request is complete with it. Neither frozen nor by keyword only, because
    making it would take 0.65 us for each request instead of 0.18.
    """

    request_id: int
    command: object
    """The name of the command; any type but bytes is refused when the command is looked up."""
    arguments: object
    """The ``args`` as received; any type but a map is refused before the command runs."""
    has_data: bool = False
    """`DataReceived` events and then a `RequestCompleted` follow."""
    redirect: object = None
    extra: Mapping[bytes, object] = field(default_factory=dict)
    """Other keys of the request map."""


@dataclass(slots=True)
class DataReceived:
    """To servers: a piece of command data, as it arrived; not frozen, as `RequestReceived`."""

    request_id: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCompleted:
    """To servers: all command data of a request has arrived."""

    request_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAborted:
    """To servers: input ended before the request was complete; it must be answered all the same."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelled:
    """To servers: the client wants no answer; `send_cancelled` must end the request."""

    request_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PingReceived:
    """To servers: the client has sent a ping, whose pong waits to be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PongReceived:
    """The peer has answered a ping."""

    payload: bytes
    """That of the ping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAwayReceived:
    """The peer ends the session: a server reads no further request, a client sends none."""

    reason: bytes
    """A text for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """To clients: the server knows sessions, so that requests can be cancelled."""

    content_encodings: tuple[bytes, ...]
    """The profiles that the server decodes in command data."""
    running_commands: int | None = None
    """The commands that it runs side by side, the oldest first; None if it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFailed:
    """The peer broke the protocol; no further input is read."""

    error: RemoteProtocolError


@dataclass(slots=True)
class ResponseDataReceived:
    """To clients: content of a response, decoded from its content encoding.

    Neither frozen nor by keyword only, as `RequestReceived`.
    """

    request_id: int
    data: bytes
    """At most a step of 64 KiB where a content encoding was decoded, otherwise a whole payload."""
    end: bool
    """Nothing follows for this request."""
    is_cbor: bool = True
    """The response is CBOR, not raw bytes; in 0003 only the event that ends it is sure of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed:
    """To clients: the server sent an error frame; nothing follows for this request."""

    request_id: int
    kind: bytes
    """``protocol``, ``server`` or ``command``; up to 0004 ``protocol`` or ``application``."""
    message: bytes
    """The message's atoms, formatted and joined; up to 0004 the text as received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOutputReceived:
    """To clients: text for people, belonging to a request."""

    request_id: int
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReceived(Progress):
    """To clients: the progress of a command."""

    request_id: int


ServerEvent: TypeAlias = (
    RequestReceived
    | DataReceived
    | RequestCompleted
    | RequestAborted
    | RequestCancelled
    | PingReceived
    | PongReceived
    | GoAwayReceived
    | ConnectionFailed
)
ClientEvent: TypeAlias = (
    ResponseDataReceived
    | RequestFailed
    | TextOutputReceived
    | ProgressReceived
    | SessionStarted
    | PongReceived
    | GoAwayReceived
    | ConnectionFailed
)
Event: TypeAlias = ServerEvent | ClientEvent
