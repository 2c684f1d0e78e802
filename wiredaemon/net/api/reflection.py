"""Answers ``debugreflect``: shows the meaning of each frame of a body; no command runs.

Source: http, section 7.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wiredaemon.net.http.responses import bad_request, text
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    RemoteProtocolError,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.wire.frames import FrameError, FrameReader

if TYPE_CHECKING:
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse
    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits


class Reflection:
    """Receives a body of frames; answers with a line for each, and one for its effect."""

    def __init__(self, request: StreamingRequest, dialect: Dialect, limits: Limits) -> None:
        """Reflect the body of ``request``."""
        self._request = request
        self._limits = limits
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        # Full duplex, so that a request is shown with the frame that completes it (http, section
        # 7).
        self._connection = ServerConnection(dialect, half_duplex=False, limits=limits)
        self._dialect = dialect
        self._requests: dict[int, tuple[RequestReceived, list[bytes]]] = {}
        self._lines: list[bytes] = []
        self._size = 0

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of the body."""
        self._size += len(data)
        # The answer holds the whole body: it is bounded like a request, not like data.
        if self._size > self._limits.request_size:
            self._refuse(
                f"the body exceeds the limit of {self._limits.request_size} bytes (request_size)"
            )
            return
        try:
            for frame in self._reader.frames(data):
                self._reflect(frame)
        except (FrameError, RemoteProtocolError, ValueError) as error:
            self._refuse(str(error))

    def receive_end(self) -> None:
        """Answer."""
        try:
            self._reader.receive_end()
        except FrameError as error:
            self._refuse(str(error))
            return
        self._lines += [b"received: <no frame>", b'{"action": "noop"}']
        self._request.answer(text(200, b"OK", b"\n".join(self._lines)))

    def held(self) -> tuple[int, int]:
        """Return the bytes of the body, all of which are held."""
        return self._size, self._size

    def connection_lost(self) -> None:
        """Do nothing: no command runs."""

    def refuse(self, response: HttpResponse) -> None:
        """Answer in place of the description."""
        self._request.answer(response)

    def _refuse(self, fault: str) -> None:
        self._request.answer(bad_request(fault))

    def _reflect(self, frame: Frame) -> None:
        head = f"received: {frame.type_number} {frame.flags} {frame.request_id} "
        self._lines.append(head.encode() + frame.payload)
        events = self._connection.receive_frame(frame)
        # Drops the error frame of a failure; the line for the event shows the error.
        self._connection.data_to_send()
        action: tuple[str, dict[str, object]] | None = None
        # The last of several: a frame that completes a request is shown by what it completes.
        for event in events:
            action = self._action(event) or action
        if action is None:
            action = ("wantframe", {"state": self._connection.state.value})
        self._lines.append(self._json(action))

    def _action(self, event: ServerEvent) -> tuple[str, dict[str, object]] | None:
        match event:
            case RequestReceived():
                self._requests[event.request_id] = (event, [])
                return None if event.has_data else self._run(event.request_id)
            case DataReceived():
                self._requests[event.request_id][1].append(event.data)
            case RequestCompleted():
                return self._run(event.request_id)
            case ConnectionFailed():
                if event.error.malformed:
                    raise event.error
                return "error", {"message": event.error.message}
        return None

    def _run(self, request_id: int) -> tuple[str, dict[str, object]]:
        request, data = self._requests.pop(request_id)
        shown: dict[str, object] = {
            "requestid": request_id,
            "command": request.command,
            "args": request.arguments,
            "data": b"".join(data) if request.has_data else None,
        }
        if self._dialect.sender_settings:
            shown["redirect"] = request.redirect
        return "runcommand", shown

    def _json(self, action: tuple[str, dict[str, object]]) -> bytes:
        """Encode as Mercurial of that era did; every era escapes all but ASCII."""
        escapes_more = self._dialect.sender_settings
        errors = "surrogateescape" if escapes_more else "strict"
        shown = json.dumps(_texts(action, errors), sort_keys=True)
        if escapes_more:
            # Mercurial escaped these against HTML; outside of strings neither can occur.
            shown = shown.replace("<", r"\u003c").replace(">", r"\u003e")
        return shown.encode("ascii")


def _texts(value: object, errors: str) -> object:
    """Return the value with texts for byte strings and arrays for sets.

    Raises:
        RemoteProtocolError: A value in it has no form in JSON.
    """
    match value:
        case bytes():
            try:
                return value.decode("utf-8", errors)
            except UnicodeDecodeError:
                message = "a byte string is not UTF-8 and cannot be shown"
                raise RemoteProtocolError(message, malformed=True) from None
        case dict():
            return {_key(key, errors): _texts(inner, errors) for key, inner in value.items()}
        case list() | tuple():
            return [_texts(inner, errors) for inner in value]
        case set() | frozenset():
            # Elements of different types have no order of their own.
            return [_texts(inner, errors) for inner in sorted(value, key=repr)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            message = f"a value of type {type(value).__name__} cannot be shown"
            raise RemoteProtocolError(message, malformed=True)


def _key(key: object, errors: str) -> str:
    """Return a map's key as text, because JSON has no other keys."""
    shown = _texts(key, errors)
    return shown if isinstance(shown, str) else json.dumps(shown)
