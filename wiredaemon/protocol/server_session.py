"""The session of a server's connection: its start, pings, cancelled requests, and going away.

Source: sessions, sections 1, 2 and 5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.encoded_data import EncodedData
from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.events import RequestCancelled, SessionStarted
from wiredaemon.protocol.input_streams import SERVER_SIDE, InputStreams
from wiredaemon.protocol.sender_settings import SenderSettingsReceiver
from wiredaemon.protocol.server_output import ServerOutput
from wiredaemon.protocol.session import SERVER_SESSION, Session, SessionState
from wiredaemon.protocol.session_output import SessionOutput
from wiredaemon.protocol.small_results import send_whole
from wiredaemon.wire.encodings import DECODERS
from wiredaemon.wire.frames import ENCODED, FrameReader, whole_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.protocol.map_requests import MapRequestMachine
    from wiredaemon.protocol.named_requests import NamedRequestMachine
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame, RawFrame
    from wiredaemon.wire.limits import Limits

_CANCELLED: Final = b"the call was cancelled"


class ServerSession(ServerOutput, SessionOutput, ABC):
    """The output of a server on one connection, and the session that its client may ask for."""

    __slots__ = (
        "_encoded",
        "_input_streams",
        "_is_half_duplex",
        "_limits",
        "_reader",
        "_session",
        "_settings",
    )

    def __init__(self, dialect: Dialect, *, half_duplex: bool, limits: Limits) -> None:
        """Begin without a session."""
        super().__init__(dialect, half_duplex=half_duplex, limits=limits)
        self._limits = limits
        self._is_half_duplex = half_duplex
        self._reader = FrameReader(payload_limit=limits.frame_payload)
        self._input_streams = InputStreams(SERVER_SIDE)
        self._settings: SenderSettingsReceiver | None = None
        self._session: Session | None = None
        self._encoded: EncodedData | None = None
        """Decodes the client's command data, in a session."""

    @property
    def has_session(self) -> bool:
        """The client has asked for a session, and was told that there is one."""
        return self._session is not None

    @property
    def is_session_open(self) -> bool:
        """There is a session, and neither side has said that it goes away."""
        return self._session is not None and self._session.state is SessionState.OPEN

    @property
    def frames_received(self) -> int:
        """The frames so far."""
        return self._reader.count

    @property
    def may_read_on(self) -> bool:
        """The frames that are `pending` need not wait until a request is answered."""
        has_room = self._is_half_duplex or self._open_requests.room > 0
        return has_room or self._is_session_next()

    def is_answerable(self, request_id: int) -> bool:
        """Return whether a request waits for its answer, or for the rest of it."""
        return self._open_requests.is_answerable(request_id)

    def send_cancelled(self, request_id: int) -> None:
        """End a request that its client has cancelled; objects that are held are dropped.

        Raises:
            LocalProtocolError: The request is not waiting for an answer.
        """
        response = self._response(request_id)
        response.send_error_frame(b"command", _CANCELLED)
        self._responses.finish(response)

    # --- receiving ---------------------------------------------------------------------------

    def _receive_offer(self, frame: Frame) -> bool:
        """Choose content encodings from those that the client knows, and start a session.

        Args:
            frame: A frame of the client's settings.

        Returns:
            Whether the settings are complete.

        Raises:
            RemoteProtocolError: The settings are not accepted.
        """
        # Not made before: raw clients mostly send none.
        if self._settings is None:
            self._settings = SenderSettingsReceiver(self.dialect, self._limits)
        offered = self._settings.receive_frame(frame)
        if offered is not None:
            self._streams.offer(offered)
            self.encodes = self._streams.may_encode
        if not self._settings.is_complete:
            return False
        if self._settings.offers_session and not self._is_half_duplex:
            # The stream is kept: nothing of it is encoded, so it may be that of a response too.
            stream = self._streams.borrow()
            self._session = Session(
                SERVER_SESSION, self.dialect, self._limits, self._output, stream
            )
            self._session.send_hello(tuple(DECODERS))
            self._send_small = send_whole
            self._encoded = EncodedData(self.dialect, self._limits)
        self._settings = None
        return True

    def _receive_session(
        self, session: Session, frame: Frame, requests: MapRequestMachine | NamedRequestMachine
    ) -> list[ServerEvent]:
        event = session.receive(frame)
        if isinstance(event, RequestCancelled):
            return [event] if self._cancel(event.request_id, requests) else []
        # Only servers say hello: the table has refused it.
        return [] if isinstance(event, SessionStarted) else [event]

    def _cancel(self, request_id: int, requests: MapRequestMachine | NamedRequestMachine) -> bool:
        """Drop what is still to come of a request; return whether it waits for an answer."""
        receiving = requests.receiving.get(request_id)
        if receiving is not None:
            if not receiving.is_requested:
                message = f"request {request_id} is cancelled inside of its request frames"
                raise RemoteProtocolError(message, malformed=True)
            if receiving.failure is not None:
                raise receiving.failure
            receiving.drop()
        return self._open_requests.is_answerable(request_id)

    def _begin_stream(
        self, raw: RawFrame, following: Iterator[RawFrame], events: list[ServerEvent]
    ) -> bool:
        """Check the stream of a frame, and receive the frame if it is content encoded.

        Returns:
            Whether it was: then the frames after it were put back, for decoding took its time.
        """
        _, stream_id, stream_flags, _, _ = raw
        if self._encoded is None or not stream_flags & ENCODED:
            self._input_streams.receive_from_client(stream_id, stream_flags)
            return False
        self._input_streams.begin_where_flagged(stream_id, stream_flags)
        frames, rest = self._encoded.decode(raw)
        for frame in frames:
            self._receive_frame(whole_frame(frame), events)
        if rest is not None:
            self._reader.put_back([rest, *following])
        else:
            self._input_streams.end_where_flagged(stream_id, stream_flags)
            self._reader.put_back([*following])
        return True

    @abstractmethod
    def _receive_frame(self, frame: Frame, events: list[ServerEvent]) -> None:
        """Receive any frame of an open stream."""

    def _is_session_next(self) -> bool:
        """Return whether a session frame waits in front of all others."""
        session, reader = self._session, self._reader
        return session is not None and reader.pending and reader.next_kind >> 4 == session.number

    def _session_frames(self) -> list[RawFrame]:
        """Return a session frame that waits in front, although no request has room."""
        return self._reader.receive_data(b"", 1) if self._is_session_next() else []
