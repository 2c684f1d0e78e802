"""Command requests as a client writes them: the frames of each form of request.

Source: framing, sections 5.1 to 5.3.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.protocol.output import slices
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_strings import SHORT_STRINGS, STRING_HEADS, encode_strings
from wiredaemon.wire.dialects import (
    ARGUMENT_CONTINUATION,
    ARGUMENT_EOA,
    CONTINUATION,
    EOS,
    NAME_EOS,
    NAME_HAVE_ARGUMENTS,
    NAME_HAVE_DATA,
    REQUEST_CONTINUATION,
    REQUEST_HAVE_DATA,
    REQUEST_MORE,
    REQUEST_NEW,
    FrameType,
    RequestForm,
    ResponseForm,
)
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import request_map
from wiredaemon.wire.values import RawBytes, UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_BEFORE_ARGUMENTS: Final = b"\xa2Dargs"
_BEFORE_NAME: Final = b"Dname"
"""The parts of a request map with nothing but name and arguments, in either order of keys."""
_ARGUMENT_HEAD: Final = Struct("<HH")
"""Sizes of an argument's name and value."""
_LARGEST_SIZE: Final = (1 << 16) - 1


class Command(NamedTuple):
    """A command request to be written."""

    name: bytes
    arguments: Mapping[bytes, Value]
    has_data: bool
    """Command data will follow."""
    redirect: Value
    """The redirect targets that can be followed; None where the server has none."""
    extra: Mapping[bytes, Value]
    """Further keys of the request map."""


class RequestFrame(NamedTuple):
    """One frame of a request, in front of its id and stream."""

    kind: FrameType
    flags: int
    payload: bytes


def request_frames(command: Command, dialect: Dialect) -> list[RequestFrame]:
    """Return the frames of a command in the form of its dialect, without its data.

    Raises:
        LocalProtocolError: The dialect has no form for a part of the command.
        UnencodableError: The name or an argument has no form on the wire.
    """
    if command.redirect is not None and dialect.response is not ResponseForm.OBJECTS:
        message = f"dialect {dialect.name} has no redirects"
        raise LocalProtocolError(message)
    return _FORMS[dialect.request](command, dialect)


def plain_request(name: bytes, arguments: Mapping[bytes, Value], dialect: Dialect) -> bytes | None:
    """Return the payload of a request that is one frame of its name and short arguments.

    Nearly all requests are; `request_frames` writes the same bytes in five times the time.

    Returns:
        The payload; None for any other request, and where requests are no maps.
    """
    if dialect.request is not RequestForm.MAP or not arguments or type(name) is not bytes:
        return None
    strings = encode_strings(arguments, dialect.cbor.key_order)
    if strings is None or len(name) >= SHORT_STRINGS:
        return None
    return b"".join((_BEFORE_ARGUMENTS, strings, _BEFORE_NAME, STRING_HEADS[len(name)], name))


def data_frames(data: bytes, *, end: bool) -> Iterator[RequestFrame]:
    """Yield the frames of a piece of command data; with ``end`` the last one ends the data."""
    payloads = list(slices(data))
    last = None
    if end:
        # The end needs a frame, also after data that is complete already.
        last = payloads.pop() if payloads else b""
    for payload in payloads:
        yield RequestFrame(FrameType.COMMAND_DATA, CONTINUATION, payload)
    if last is not None:
        yield RequestFrame(FrameType.COMMAND_DATA, EOS, last)


def _map_frames(command: Command, dialect: Dialect) -> list[RequestFrame]:
    """Cut one CBOR map into frames (0003 and later)."""
    extra = command.extra
    if command.redirect is not None:
        extra = {**extra, b"redirect": command.redirect}
    request = request_map(command.name, command.arguments, extra)
    content = cbor.encode(request, dialect.cbor.key_order)
    flags = REQUEST_NEW | (REQUEST_HAVE_DATA if command.has_data else 0)
    if len(content) <= SENT_PAYLOAD:
        return [RequestFrame(FrameType.COMMAND_REQUEST, flags, content)]
    # Every frame but the first continues the request, and every one but the last has a next one.
    *before, last = slices(content)
    frames = []
    for payload in before:
        frames.append(RequestFrame(FrameType.COMMAND_REQUEST, flags | REQUEST_MORE, payload))
        flags = flags & ~REQUEST_NEW | REQUEST_CONTINUATION
    frames.append(RequestFrame(FrameType.COMMAND_REQUEST, flags, last))
    return frames


def _named_frames(command: Command, dialect: Dialect) -> list[RequestFrame]:
    """Return a name frame and the frames of each argument, by their names (0002)."""
    if command.extra:
        message = f"requests of dialect {dialect.name} have no further keys"
        raise LocalProtocolError(message)
    # In a fixed order, so that equal requests have equal bytes.
    arguments = sorted(_plain_argument(*argument) for argument in command.arguments.items())
    flags = NAME_HAVE_ARGUMENTS if arguments else 0
    flags |= NAME_HAVE_DATA if command.has_data else 0
    frames = [RequestFrame(FrameType.COMMAND_NAME, flags or NAME_EOS, _plain_name(command.name))]
    for name, value in arguments:
        frames += _argument_frames(name, value)
    # The last frame of all arguments has a flag that ends them.
    if arguments:
        last = frames.pop()
        frames.append(last._replace(flags=last.flags | ARGUMENT_EOA))
    return frames


def _argument_frames(name: bytes, value: bytes) -> Iterator[RequestFrame]:
    """Yield the frames of one argument: head, name and value, which goes on in further frames."""
    content = _ARGUMENT_HEAD.pack(len(name), len(value)) + name + value
    *before, last = slices(content)
    for payload in before:
        yield RequestFrame(FrameType.COMMAND_ARGUMENT, ARGUMENT_CONTINUATION, payload)
    yield RequestFrame(FrameType.COMMAND_ARGUMENT, 0, last)


def _plain_name(name: object) -> bytes:
    if not isinstance(name, bytes) or len(name) > SENT_PAYLOAD:
        message = f"a command's name must be bytes, at most {SENT_PAYLOAD}"
        raise UnencodableError(message)
    return name


def _plain_argument(name: object, value: Value) -> tuple[bytes, bytes]:
    """Return an argument that has a form in frames.

    Raises:
        UnencodableError: The value is no byte string or too long for its head, or the name is too
            long for a frame.
    """
    plain = value.data if isinstance(value, RawBytes) else value
    if not isinstance(name, bytes) or not isinstance(plain, bytes):
        message = (
            f"an argument of type {type(value).__name__}, named by {type(name).__name__}, has no "
            "form in frames: both must be bytes"
        )
        raise UnencodableError(message)
    if len(name) > SENT_PAYLOAD - _ARGUMENT_HEAD.size:
        message = f"an argument's name of {len(name)} bytes does not fit a frame"
        raise UnencodableError(message)
    if len(plain) > _LARGEST_SIZE:
        message = f"an argument of {len(plain)} bytes is longer than {_LARGEST_SIZE}"
        raise UnencodableError(message)
    return name, plain


_FORMS: Final[dict[RequestForm, Callable[[Command, Dialect], list[RequestFrame]]]] = {
    RequestForm.MAP: _map_frames,
    RequestForm.FRAMES: _named_frames,
}
