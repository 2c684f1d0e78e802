"""Bodies of responses: of fixed size, in chunks, or to the end of the connection.

Source: client-tool, section 3.3.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.wire import LARGEST_BODY, too_large

if TYPE_CHECKING:
    from wiredaemon.debugtool.wire import Wire

_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,16}(?=[\r\n; \t])")
"""The size of a chunk, of at most 64 bits."""


class Body(ABC):
    """What follows the head of a response."""

    def __init__(self, wire: Wire) -> None:
        """Begin in front of the first byte."""
        self._wire = wire

    @abstractmethod
    def read(self, size: int, *, call: str = "read") -> bytes:
        """Read so many bytes, or fewer at the end of the body."""

    @abstractmethod
    def read_all(self) -> bytes:
        """Read what is left.

        Raises:
            ToolError: It is more than `LARGEST_BODY`, or ends too early.
        """

    @abstractmethod
    def finish_piece(self) -> None:
        """Read what stands after a piece of the body, if all of the piece was read."""

    def _counted(self, data: bytes) -> bytes:
        self._wire.received += len(data)
        return data


class FixedBody(Body):
    """A body whose size the head has announced."""

    def __init__(self, wire: Wire, size: int) -> None:
        """Begin in front of so many bytes."""
        super().__init__(wire)
        self._left = size

    def read(self, size: int, *, call: str = "read") -> bytes:
        """Read so many bytes, or fewer at the end of the body."""
        data = self._wire.read(min(size, self._left), call=call)
        self._left -= len(data)
        return data if call == "readinto" else self._counted(data)

    def read_all(self) -> bytes:
        """Read what is left."""
        if self._left > LARGEST_BODY:
            raise too_large()
        wanted = self._left
        data = self.read(wanted) if wanted else b""
        if len(data) != wanted:
            raise _early()
        return data

    def finish_piece(self) -> None:
        """Read nothing: there are no pieces."""


class ChunkedBody(Body):
    """A body in chunks."""

    def __init__(self, wire: Wire) -> None:
        """Begin in front of the size of the first chunk."""
        super().__init__(wire)
        self._left = 0
        self._is_inside = False
        """The line end after the data of a chunk was not read yet."""
        self._is_over = False

    def read(self, size: int, *, call: str = "read") -> bytes:
        """Read so many bytes, across chunks, or fewer at the end of the body."""
        parts: list[bytes] = []
        wanted = size
        while wanted or (not size and not parts):
            if size and not self._begin_chunk():
                break
            data = self._wire.read(min(wanted, self._left), call=call)
            if wanted and not data:
                raise _early()
            parts.append(data)
            self._left -= len(data)
            wanted -= len(data)
        whole = b"".join(parts)
        return whole if call == "readinto" else self._counted(whole)

    def read_all(self) -> bytes:
        """Read what is left, each chunk as a block."""
        parts: list[bytes] = []
        total = 0
        while self._begin_chunk():
            total += self._left
            if total > LARGEST_BODY:
                raise too_large()
            parts.append(self.read(self._left))
            self.finish_piece()
        return b"".join(parts)

    def finish_piece(self) -> None:
        """Read the line end of a chunk of which all data was read."""
        if self._is_inside and not self._left:
            self._is_inside = False
            if self._wire.read(2) != b"\r\n":
                raise ToolError("a chunk of the response does not end where it should")

    def _begin_chunk(self) -> bool:
        """Read the size of the next chunk, unless one is being read; False at the end."""
        if self._left:
            return True
        self.finish_piece()
        if self._is_over:
            return False
        line = self._wire.read_line()
        found = _SIZE.match(line)
        if found is None:
            raise ToolError("a chunk of the response has no size") if line else _early()
        self._left = int(found[0], 16)
        self._is_inside = self._left > 0
        if not self._left:
            self._is_over = True
            # Trailers, which nobody sends, and the empty line.
            while self._wire.read_line().rstrip(b"\r\n"):
                pass
        return self._left > 0


class LastBody(Body):
    """A body that ends with its connection."""

    def read(self, size: int, *, call: str = "read") -> bytes:
        """Read so many bytes, or fewer at the end of the body."""
        data = self._wire.read(size, call=call)
        return data if call == "readinto" else self._counted(data)

    def read_all(self) -> bytes:
        """Read what is left."""
        return self._counted(self._wire.read_rest())

    def finish_piece(self) -> None:
        """Read nothing: there are no pieces."""


def _early() -> ToolError:
    return ToolError("error: the response ends too early")
