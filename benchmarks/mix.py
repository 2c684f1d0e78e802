"""A mix of requests, each with content of its own and with the answer that it must get."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.frames import (
    APPLICATION,
    CBOR,
    COMMAND_DATA,
    ERROR_RESPONSE,
    RESPONSE,
    cbor,
    request_content,
)
from benchmarks.wire import COMMAND_REQUEST, CONTINUATION, EOS, HAVE_DATA, NEW, STATUS_OK, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.frames import Value

_MORE: Final = 0x04
"""Flag of a request frame. Source: framing, section 4."""
_REQUEST_CONTINUATION: Final = 0x02
_FILLING: Final = hashlib.shake_128(b"stress").digest(128 * 1024)
_SMALL, _MIDDLE, _LARGE = 200, 3000, 40_000
"""Most bytes of content."""
_LARGE_SHARE, _MIDDLE_SHARE = 0.002, 0.1
_CUT_SHARE: Final = 0.1
"""The share of requests that are sent in two frames although one would do."""
_MOST_OBJECTS: Final = 5
_MOST_DATA_FRAMES: Final = 4
_LARGEST_PAYLOAD: Final = 32768


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request and its answer."""

    command: str
    frames: list[bytes]
    """The frames in the order of sending; frames of other requests may come between them."""
    kind: int
    """The type of the answer's frames."""
    flags: int
    """Flags of all its frames, `continuation` and `eos` aside."""
    answer: bytes
    """The payloads of the answer's frames, joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request and the answer that it must get."""

    name: bytes
    arguments: Mapping[bytes, Value]
    data: bytes | None = None
    objects: tuple[Value, ...] = ()
    is_raw: bool = False
    """The result has no CBOR form in dialect 0003."""
    failure: tuple[bytes, bytes] | None = None
    """A message with one ``%s``, and the argument for it."""


class Mix:
    """Makes requests for one connection."""

    def __init__(self, dialect: str, name: bytes, seed: int) -> None:
        """Make a mix.

        Args:
            dialect: The dialect of the connection.
            name: A part of the content of its requests, and of no other connection's.
            seed: The seed of all random choices.
        """
        self._dialect = dialect
        self._name = name
        self._random = random.Random(seed)  # noqa: S311 nothing is secret
        self._count = 0

    def next(self, request_id: int) -> Request:
        """Make the next request."""
        self._count += 1
        sort = self._random.choice(_SORTS)
        call = sort(self._content(), self._random)
        kind, flags, answer = self._answer(call)
        return Request(
            command=sort.__name__.strip("_"),
            frames=self._frames(request_id, call),
            kind=kind,
            flags=flags,
            answer=answer,
        )

    def _content(self) -> bytes:
        chance = self._random.random()
        most = _SMALL
        if chance < _LARGE_SHARE:
            most = _LARGE
        elif chance < _MIDDLE_SHARE:
            most = _MIDDLE
        # A slice of ready-made bytes: to generate new ones would cost more than the call.
        start = self._random.randrange(len(_FILLING) - most)
        size = self._random.randrange(most)
        return b"%s/%d:" % (self._name, self._count) + _FILLING[start : start + size]

    def _frames(self, request_id: int, call: _Call) -> list[bytes]:
        content = request_content(call.name, call.arguments)
        if len(content) > _LARGEST_PAYLOAD:
            # Both parts must fit a frame.
            cut = self._random.randrange(len(content) - _LARGEST_PAYLOAD, _LARGEST_PAYLOAD)
        elif self._random.random() < _CUT_SHARE:
            cut = self._random.randrange(1, len(content))
        else:
            cut = len(content)
        data = HAVE_DATA if call.data is not None else 0
        more = _MORE if cut < len(content) else 0
        frames = [frame(request_id, (0, NEW | more | data), COMMAND_REQUEST, content[:cut])]
        if more:
            flags = _REQUEST_CONTINUATION | data
            frames.append(frame(request_id, (0, flags), COMMAND_REQUEST, content[cut:]))
        if call.data is not None:
            frames += self._data_frames(request_id, call.data)
        return frames

    def _data_frames(self, request_id: int, data: bytes) -> list[bytes]:
        count = self._random.randint(1, _MOST_DATA_FRAMES)
        ends = [*sorted(self._random.randrange(1, len(data)) for _ in range(count - 1)), len(data)]
        kind = COMMAND_DATA[self._dialect]
        frames = []
        start = 0
        for end in ends:
            flags = EOS if end == len(data) else CONTINUATION
            # Two equal cuts would make an empty frame, of which the daemon allows few in a row.
            if end > start:
                frames.append(frame(request_id, (0, flags), kind, data[start:end]))
            start = end
        return frames

    def _answer(self, call: _Call) -> tuple[int, int, bytes]:
        if call.failure is not None:
            return self._failed(*call.failure)
        objects = b"".join(cbor(each) for each in call.objects)
        if self._dialect == "0006":
            return RESPONSE["0006"], 0, STATUS_OK + objects
        if call.is_raw:
            raw = b"".join(each for each in call.objects if isinstance(each, bytes))
            return RESPONSE["0003"], 0, raw
        return RESPONSE["0003"], CBOR, objects

    def _failed(self, message: bytes, argument: bytes) -> tuple[int, int, bytes]:
        # The daemon cuts error texts of more than 8 KiB; `_fail` keeps below that.
        if self._dialect == "0003":
            return ERROR_RESPONSE, APPLICATION, message.replace(b"%s", argument)
        error: dict[bytes, Value] = {b"args": [argument], b"message": message}
        return RESPONSE["0006"], 0, cbor({b"error": error, b"status": b"error"})


def _echo(content: bytes, _: random.Random) -> _Call:
    return _Call(name=b"echo", arguments={b"data": content}, objects=(content,), is_raw=True)


def _turn(content: bytes, _: random.Random) -> _Call:
    return _Call(name=b"turn", arguments={b"data": content}, objects=(content[::-1],))


def _several(content: bytes, chance: random.Random) -> _Call:
    return _numbered(b"several", content, chance)


def _blocks(content: bytes, chance: random.Random) -> _Call:
    return _numbered(b"blocks", content, chance)


def _numbered(name: bytes, content: bytes, chance: random.Random) -> _Call:
    count = chance.randint(1, _MOST_OBJECTS)
    objects: tuple[Value, ...] = tuple((number, content) for number in range(count))
    return _Call(name=name, arguments={b"data": content, b"count": count}, objects=objects)


def _mirror(content: bytes, _: random.Random) -> _Call:
    return _Call(name=b"mirror", arguments={}, data=content, objects=(content,))


def _fail(content: bytes, _: random.Random) -> _Call:
    content = content[:_MIDDLE]
    return _Call(name=b"fail", arguments={b"data": content}, failure=(b"failed: %s", content))


def _unknown(content: bytes, _: random.Random) -> _Call:
    name = b"no-" + content[:_SMALL]
    message = b"wire protocol command not available: %s"
    return _Call(name=name, arguments={}, failure=(message, name))


def _block(content: bytes, _: random.Random) -> _Call:
    return _Call(name=b"block", arguments={b"data": content}, objects=(content.swapcase(),))


_SORTS: Final[tuple[Callable[[bytes, random.Random], _Call], ...]] = (
    *(_echo, _echo, _turn, _several, _mirror, _mirror, _fail, _unknown, _block, _blocks),
)
COMMANDS: Final = tuple(dict.fromkeys(sort.__name__.strip("_") for sort in _SORTS))
"""The names of the commands that requests call."""
