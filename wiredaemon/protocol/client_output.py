"""The sending half of a client's connection: requests, their data and the client's settings.

The frames of a request are made by ``client_requests``.

Source: server-state-machine, section 2.2; sessions, section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.client_requests import (
    Command,
    data_frames,
    plain_request,
    request_frames,
)
from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.protocol.output import Output, OutputStream
from wiredaemon.protocol.sender_settings import LINES, SESSION
from wiredaemon.protocol.session import CLIENT_SESSION, VERSION, Session, SessionState, SessionStep
from wiredaemon.protocol.session_output import SessionOutput
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import EOS, WHOLE_REQUEST, FrameType
from wiredaemon.wire.frames import ENCODED, HEADER_SIZE, pack_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.limits import Limits
    from wiredaemon.wire.values import Value

# Mercurial's clients use no other (framing, section 13): requests need no order among streams.
_CLIENT_STREAM: Final = 1
# Of its own, so that nothing but encoded data is in its context (sessions, section 5).
_DATA_STREAM: Final = 3
# An id has 16 bits (framing, section 2); Mercurial's clients never come to the end of them.
_REQUEST_IDS: Final = 1 << 16
# As HTTP/2's connections begin with some: a server of HTTP/1 waits for the end of a line, and says
# at once then that it speaks something else.
_LINES: Final = b"\r\n\r\n"


class ClientOutput(SessionOutput):
    """The output of a client on one connection."""

    def __init__(
        self,
        dialect: Dialect,
        content_encodings: Sequence[bytes],
        limits: Limits,
        *,
        offers_session: bool,
    ) -> None:
        """Begin with nothing sent.

        Args:
            dialect: The dialect that the server speaks.
            content_encodings: The profiles to offer, the most preferred first.
            limits: How much the server may make this side hold.
            offers_session: Ask for a session.

        Raises:
            LocalProtocolError: The dialect has no content encodings, or no sessions.
        """
        if offers_session and FrameType.SESSION not in dialect.frames:
            message = f"dialect {dialect.name} has no sessions"
            raise LocalProtocolError(message)
        if content_encodings and not dialect.sender_settings:
            message = f"dialect {dialect.name} has no content encodings"
            raise LocalProtocolError(message)
        self._dialect = dialect
        self._content_encodings = content_encodings
        """The profiles to offer; empty once they were offered."""
        self._failed = False
        self._active: set[int] = set()
        """The ids of requests without a complete response."""
        self._sending: set[int] = set()
        """The ids of requests whose data is not complete."""
        self._next_id = 1
        self._output = Output()
        self._stream = OutputStream(_CLIENT_STREAM, dialect, self._output, None)
        self._data_stream: OutputStream | None = None
        """The stream of encoded command data, whose encoder all requests share."""
        self._data_profile = b""
        self._data_streams: dict[int, OutputStream] = {}
        """That stream, by requests whose data is encoded and not complete."""
        self._session: Session | None = None
        """The session that was asked for, or will be with the first request."""
        if offers_session:
            self._session = Session(CLIENT_SESSION, dialect, limits, self._output, self._stream)

    @property
    def active(self) -> frozenset[int]:
        """The ids of requests without a complete response."""
        return frozenset(self._active)

    def send_command(
        self,
        name: bytes,
        arguments: Mapping[bytes, Value],
        *,
        has_data: bool = False,
        redirect: Value = None,
        extra: Mapping[bytes, Value] | None = None,
    ) -> int:
        """Send a command request and return its id: 1, 3, 5, ..., and over again when free.

        Args:
            name: The name of the command.
            arguments: The values by name; in 0002 byte strings of at most 65535 bytes, or
                `RawBytes`.
            has_data: `send_data` will follow, at least once.
            redirect: The redirect targets that can be followed, if the server knows any; only in
                0006.
            extra: Further keys of the request map; only from 0003 on.

        Raises:
            LocalProtocolError: The connection has failed, all ids are in use, a side has said that
                it goes away, or the dialect has no place for ``redirect`` or ``extra``.
            UnencodableError: The name or an argument has no form on the wire.
        """
        session = self._session
        if self._failed or (session is not None and session.state is SessionState.LEAVING):
            why = "the connection has failed" if self._failed else "the connection is going away"
            message = f"cannot issue new commands: {why}"
            raise LocalProtocolError(message)
        # Set once the stream has begun, so that settings were sent where there are any.
        stream_flags = self._stream.plain_flags
        if stream_flags is not None and not has_data and redirect is None and not extra:
            payload = plain_request(name, arguments, self._dialect)
            if payload is not None:
                return self._send_plain(payload, stream_flags)
        command = Command(name, arguments, has_data, redirect, extra or {})
        # Before an id is taken, because this may raise: then nothing was changed.
        frames = request_frames(command, self._dialect)
        request_id = self._allocate()
        # In front of the first request; a server accepts settings only as the first frames.
        is_first = session is not None and session.state is SessionState.NONE
        if is_first or self._content_encodings:
            self._send_settings(request_id)
        for frame in frames:
            self._stream.send(request_id, *frame)
        self._active.add(request_id)
        if has_data:
            self._sending.add(request_id)
            if self._data_stream is not None:
                self._data_streams[request_id] = self._data_stream
        return request_id

    def _send_plain(self, payload: bytes, stream_flags: int) -> int:
        """Send a request that is one frame; return its id."""
        request_id = self._allocate()
        size = len(payload)
        header = pack_header(
            size & 0xFFFF, size >> 16, request_id, _CLIENT_STREAM, stream_flags, WHOLE_REQUEST
        )
        self._output.parts += header, payload
        self._output.size += HEADER_SIZE + size
        self._active.add(request_id)
        return request_id

    def send_data(self, request_id: int, data: bytes, *, end: bool = False) -> None:
        """Send command data; with ``end`` its last piece, which may be empty.

        Raises:
            LocalProtocolError: The request does not send data, or not any more.
        """
        if request_id not in self._sending:
            message = f"request {request_id} does not send data"
            raise LocalProtocolError(message)
        stream = self._data_streams.get(request_id)
        if stream is None:
            for frame in data_frames(data, end=end):
                self._stream.send(request_id, *frame)
        else:
            _send_encoded(stream, request_id, data, end=end)
        if end:
            self._sending.discard(request_id)
            self._data_streams.pop(request_id, None)

    def encode_data(self, profile: bytes) -> None:
        """Encode the command data of all requests from the next one on.

        Args:
            profile: One of those that the server has told with `SessionStarted`.

        Raises:
            LocalProtocolError: The server has not told it, or another one was chosen before.
        """
        if self._session is None or profile not in self._session.decodes:
            message = f"the server has not told that it decodes {profile!r}"
            raise LocalProtocolError(message)
        if self._data_stream is None:
            self._data_stream = OutputStream(_DATA_STREAM, self._dialect, self._output, profile)
            self._data_profile = profile
        elif profile != self._data_profile:
            message = f"data is encoded already, with {self._data_profile!r}"
            raise LocalProtocolError(message)

    def is_sending(self, request_id: int) -> bool:
        """Return whether more data of a request follows."""
        return request_id in self._sending

    # --- the session -------------------------------------------------------------------------

    @property
    def has_session(self) -> bool:
        """The server has agreed to a session: requests can be cancelled."""
        return self._session is not None and self._session.is_running

    def cancel(self, request_id: int) -> bool:
        """Ask the server to stop a request, whose id stays in use until its last frame.

        Data that has not ended is ended after it.

        Returns:
            Whether the server was asked. It is not where there is no session, and where the
            response is complete.
        """
        if self._session is None or not self._session.is_running or self._failed:
            return False
        is_active = request_id in self._active
        if is_active:
            self._session.send_cancel(request_id)
        # After it: the command must not take what was sent for the whole.
        if request_id in self._sending:
            self.send_data(request_id, b"", end=True)
        return is_active

    # --- frames ------------------------------------------------------------------------------

    @property
    def has_output(self) -> bool:
        """Frames wait to be sent."""
        return bool(self._output.parts)

    def data_to_send(self) -> list[EncodedFrame]:
        """Return the frames to send, and forget them."""
        return self._output.take()

    def parts_to_send(self) -> list[bytes]:
        """Return the frames to send as headers and payloads in turn, for a stream of bytes."""
        return self._output.take_parts()

    def _send_settings(self, request_id: int) -> None:
        settings: dict[bytes, Value] = {}
        if self._content_encodings:
            settings[b"contentencodings"] = list(self._content_encodings)
        if self._session is not None:
            self._session.advance(SessionStep.OFFERED)
            settings[SESSION] = VERSION
            settings[LINES] = _LINES
        payload = cbor.encode(settings, self._dialect.cbor.key_order)
        self._stream.send(request_id, FrameType.SENDER_PROTOCOL_SETTINGS, EOS, payload)
        self._content_encodings = ()

    def _allocate(self) -> int:
        for _ in range(_REQUEST_IDS // 2):
            request_id = self._next_id
            self._next_id = (self._next_id + 2) % _REQUEST_IDS
            # An id whose data is still being sent is in use even if the server has answered.
            if request_id not in self._active and request_id not in self._sending:
                return request_id
        message = "all request ids are in use"
        raise LocalProtocolError(message)


def _send_encoded(stream: OutputStream, request_id: int, data: bytes, *, end: bool) -> None:
    """Send data through the encoder of its stream; all of it leaves, so that nothing waits."""
    stream.send_settings_once(request_id)
    encoder, content = stream.encoder, data
    # Where there is no data, flushing might give bytes for nothing.
    if encoder is not None and data:
        content = encoder.encode(data) + encoder.flush()
    for frame in data_frames(content, end=end):
        stream.send(request_id, *frame, ENCODED if frame.payload else 0)
