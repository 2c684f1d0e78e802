"""Sender protocol settings of 0006, which a client may send in front of its requests.

Source: server-state-machine, section 1.6; framing, section 10; sessions, section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.errors import RemoteProtocolError
from wiredaemon.protocol.settings import SettingsReceiver
from wiredaemon.wire.encodings import DEFAULT_OFFER

if TYPE_CHECKING:
    from collections.abc import Container

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import Frame
    from wiredaemon.wire.limits import Limits

_SUBJECT: Final = "sender protocol settings frame"
_ENCODINGS: Final = b"contentencodings"
SESSION: Final = b"session"
"""The key of the newest version of sessions that a client knows."""
LINES: Final = b"lines"
"""The key of two ends of lines, which are for servers that do not speak the protocol at all."""


class SenderSettingsReceiver:
    """Receives the settings of one connection, which are sent once."""

    __slots__ = ("_receiver", "is_complete", "offers_session")

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        """Begin in front of the first frame."""
        self._receiver = SettingsReceiver(_SUBJECT, dialect, limits)
        self.is_complete = False
        """The last frame was accepted."""
        self.offers_session = False
        """The client knows sessions."""

    def receive_frame(self, frame: Frame) -> Container[object] | None:
        """Accept one frame; return the content encodings that the client offers, or None.

        None is returned while the settings are incomplete, and for settings that say nothing of
        encodings; `is_complete` tells the two apart.

        Raises:
            RemoteProtocolError: Flags, CBOR, size or values are wrong.
        """
        items = self._receiver.receive_frame(frame)
        if items is None:
            return None
        if len(items) > 1:
            message = f"{_SUBJECT} contained multiple CBOR values"
            raise RemoteProtocolError(message)
        self.offers_session = _offers_session(items[0])
        self.is_complete = True
        return _offered_encodings(items[0])


def _offers_session(settings: object) -> bool:
    """Return whether settings offer a session.

    Raises:
        RemoteProtocolError: They offer one, of no version.
    """
    if not isinstance(settings, dict) or SESSION not in settings:
        return False
    version = settings[SESSION]
    if type(version) is not int or version < 1:
        message = f"{_SUBJECT} whose session is no version: an integer of at least 1"
        raise RemoteProtocolError(message, malformed=True)
    return True


def _offered_encodings(settings: object) -> Container[object] | None:
    """Return the content encodings that settings offer.

    Mercurial looks its key up in whatever the item is, and tests an encoding for membership in
    whatever it finds there. What raised an exception in it is malformed here.
    """
    offered: object = None
    match settings:
        case dict():
            offered = settings.get(_ENCODINGS, DEFAULT_OFFER)
        case bytes() | list() if _ENCODINGS not in settings:
            return None
        case None | bool() | set():
            return None
    if not isinstance(offered, list | tuple | set | dict | bytes):
        message = f"{_SUBJECT} without an array of contentencodings"
        raise RemoteProtocolError(message, malformed=True)
    return offered
