"""The table of dialects: everything that differs from one revision of the framing to the next.

A dialect is named by its media type. Other code looks up the table (or the small strategy objects
in it), and never compares dialects.

Source: framing, sections 1, 4 and 5; sessions, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.cbor_heads import CborRules, KeyOrder

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Kind(Enum):
    """An enumeration whose members are looked up for each frame or request."""

    # Each member exists once, so its identity will do. Enum's own method hashes the name each time,
    # in Python, in 0.15 us (findings/enum-members-hash-in-python.sh).
    __hash__ = object.__hash__


class FrameType(_Kind):
    """The kinds of frames, by the names that people write."""

    COMMAND_NAME = "command-name"
    COMMAND_ARGUMENT = "command-argument"
    COMMAND_REQUEST = "command-request"
    COMMAND_DATA = "command-data"
    BYTES_RESPONSE = "bytes-response"
    COMMAND_RESPONSE = "command-response"
    ERROR_RESPONSE = "error-response"
    TEXT_OUTPUT = "text-output"
    PROGRESS = "progress"
    SENDER_PROTOCOL_SETTINGS = "sender-protocol-settings"
    STREAM_SETTINGS = "stream-settings"
    SESSION = "session"


# Flag bits, by frame type (framing, section 4).
NAME_EOS, NAME_HAVE_ARGUMENTS, NAME_HAVE_DATA = 0x01, 0x02, 0x04
ARGUMENT_CONTINUATION, ARGUMENT_EOA = 0x01, 0x02
REQUEST_NEW, REQUEST_CONTINUATION, REQUEST_MORE, REQUEST_HAVE_DATA = 0x01, 0x02, 0x04, 0x08
WHOLE_REQUEST: Final = 1 << 4 | REQUEST_NEW
"""Type and flags of a request in one frame, in all dialects whose requests are maps."""
CONTINUATION, EOS = 0x01, 0x02
"""Flags of data, response and settings frames."""
RESPONSE_CBOR = 0x04
ERROR_PROTOCOL, ERROR_APPLICATION = 0x01, 0x02


class RequestForm(_Kind):
    """The forms of a command request."""

    FRAMES = "a name frame and one frame for each argument"
    MAP = "one CBOR map, cut into frames"


class ResponseForm(_Kind):
    """The forms of results."""

    TEXT = "raw bytes only"
    BYTES_OR_CBOR = "raw bytes, or CBOR announced by a flag"
    CBOR = "CBOR"
    STATUS_MAP = "a status map, then CBOR"
    OBJECTS = "a status map, then CBOR objects coalesced by pieces, content encoded"


class ErrorForm(_Kind):
    """The forms of a command's failure."""

    TEXT = "an error-response frame with the message as it is"
    STATUS_MAP = "an error status map for every failure"
    STATUS_MAP_OR_FRAME = "an error status map, but an error-response map if it was no CommandError"


_RESPONSE_FLAGS: Final = {"continuation": CONTINUATION, "eos": EOS}
_TEXT_ERROR_FLAGS: Final = {"protocol": ERROR_PROTOCOL, "application": ERROR_APPLICATION}
_REQUEST_FLAGS: Final = {
    "new": REQUEST_NEW,
    "continuation": REQUEST_CONTINUATION,
    "more": REQUEST_MORE,
    "have-data": REQUEST_HAVE_DATA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameForm:
    """The number of a frame type in one dialect, and the names of its flags."""

    number: int
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dialect:
    """One revision of the framing; each exists once, so that dialects compare by identity."""

    name: str
    """The four digits at the end of the media type."""
    frames: Mapping[FrameType, FrameForm]
    request: RequestForm = RequestForm.MAP
    response: ResponseForm
    error: ErrorForm
    cbor: CborRules
    sender_settings: bool = False
    """The client may begin with its settings, and streams have content encodings."""
    restarts_streams: bool = False
    """Each response begins its stream anew."""
    runs_at_end: bool = False
    """In half duplex no command runs before all input was accepted."""
    whole_request: bool = False
    """Bytes after the request map must be complete CBOR items; otherwise they are ignored."""
    strict_arguments: bool = False
    """Arguments that a command does not declare are refused, and so is an `args` that is no map."""
    loose_content_type: bool = False
    """Over HTTP the case and the parameters of Content-Type are ignored."""
    media_type: bytes = field(init=False)
    types: Mapping[int, FrameType] = field(init=False)
    """Frame types by number."""
    numbers: Mapping[FrameType, int] = field(init=False)
    """Numbers by frame type."""

    def __repr__(self) -> str:
        """Return the name: there is one of each."""
        return f"<Dialect {self.name}>"

    def __post_init__(self) -> None:
        """Derive the media type and the look-up tables from the other fields."""
        media_type = f"application/mercurial-exp-framing-{self.name}".encode()
        object.__setattr__(self, "media_type", media_type)
        by_number = {form.number: kind for kind, form in self.frames.items()}
        object.__setattr__(self, "types", MappingProxyType(by_number))
        numbers = {kind: form.number for kind, form in self.frames.items()}
        object.__setattr__(self, "numbers", MappingProxyType(numbers))


_LENIENT: Final = CborRules(strict=False, key_order=KeyOrder.CANONICAL)
_SUBSET: Final = CborRules(strict=True, key_order=KeyOrder.BYTEWISE)

_DATA: Final = {"continuation": CONTINUATION, "eos": EOS}

_0003_FRAMES: Final = {
    FrameType.COMMAND_REQUEST: FrameForm(number=1, flags=_REQUEST_FLAGS),
    FrameType.COMMAND_DATA: FrameForm(number=3, flags=_DATA),
    FrameType.BYTES_RESPONSE: FrameForm(number=4, flags={**_RESPONSE_FLAGS, "cbor": RESPONSE_CBOR}),
    FrameType.ERROR_RESPONSE: FrameForm(number=5, flags=_TEXT_ERROR_FLAGS),
    FrameType.TEXT_OUTPUT: FrameForm(number=6),
    FrameType.PROGRESS: FrameForm(number=7),
    FrameType.STREAM_SETTINGS: FrameForm(number=8),
}

_0005_FRAMES: Final = {
    FrameType.COMMAND_REQUEST: FrameForm(number=1, flags=_REQUEST_FLAGS),
    FrameType.COMMAND_DATA: FrameForm(number=2, flags=_DATA),
    FrameType.COMMAND_RESPONSE: FrameForm(number=3, flags=_RESPONSE_FLAGS),
    FrameType.ERROR_RESPONSE: FrameForm(number=5),
    FrameType.TEXT_OUTPUT: FrameForm(number=6),
    FrameType.PROGRESS: FrameForm(number=7),
    FrameType.STREAM_SETTINGS: FrameForm(number=8),
}

_DIALECTS: Final = (
    Dialect(
        name="0002",
        frames={
            FrameType.COMMAND_NAME: FrameForm(
                number=1,
                flags={
                    "eos": NAME_EOS,
                    "have-args": NAME_HAVE_ARGUMENTS,
                    "have-data": NAME_HAVE_DATA,
                },
            ),
            FrameType.COMMAND_ARGUMENT: FrameForm(
                number=2, flags={"continuation": ARGUMENT_CONTINUATION, "eoa": ARGUMENT_EOA}
            ),
            FrameType.COMMAND_DATA: FrameForm(number=3, flags=_DATA),
            FrameType.BYTES_RESPONSE: FrameForm(number=4, flags=_RESPONSE_FLAGS),
            FrameType.ERROR_RESPONSE: FrameForm(number=5, flags=_TEXT_ERROR_FLAGS),
            FrameType.TEXT_OUTPUT: FrameForm(number=6),
            FrameType.STREAM_SETTINGS: FrameForm(number=8),
        },
        request=RequestForm.FRAMES,
        response=ResponseForm.TEXT,
        error=ErrorForm.TEXT,
        cbor=_LENIENT,
        restarts_streams=True,
    ),
    Dialect(
        name="0003",
        frames=_0003_FRAMES,
        response=ResponseForm.BYTES_OR_CBOR,
        error=ErrorForm.TEXT,
        cbor=_LENIENT,
    ),
    Dialect(
        name="0004",  # trunk only, as of its first numbering
        frames={
            **_0003_FRAMES,
            FrameType.BYTES_RESPONSE: FrameForm(number=4, flags=_RESPONSE_FLAGS),
        },
        response=ResponseForm.CBOR,
        error=ErrorForm.TEXT,
        cbor=_LENIENT,
    ),
    Dialect(
        name="0005",
        frames=_0005_FRAMES,
        response=ResponseForm.STATUS_MAP,
        error=ErrorForm.STATUS_MAP,
        cbor=_LENIENT,
    ),
    Dialect(
        name="0006",
        frames={
            **_0005_FRAMES,
            FrameType.SENDER_PROTOCOL_SETTINGS: FrameForm(number=8, flags=_DATA),
            FrameType.STREAM_SETTINGS: FrameForm(number=9, flags=_DATA),
            # Ours, and only where both sides have said so; its flags are one number.
            FrameType.SESSION: FrameForm(number=13),
        },
        response=ResponseForm.OBJECTS,
        error=ErrorForm.STATUS_MAP_OR_FRAME,
        cbor=_SUBSET,
        sender_settings=True,
        runs_at_end=True,
        whole_request=True,
        strict_arguments=True,
        loose_content_type=True,
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {dialect.name: dialect for dialect in _DIALECTS}
)
"""Every dialect by its four digits."""
