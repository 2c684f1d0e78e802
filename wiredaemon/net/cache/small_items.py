"""Cuts the long byte strings of a kept answer into short ones, which say the same.

A kept answer has the items that a worker has sent: its head, and byte strings of some 64 KiB. A
peer that reads slowly would make the daemon hold a whole one of them, and more than once.
"""

from __future__ import annotations

from wiredaemon.wire.cbor_heads import BYTES, CborError, CborRules, ItemScanner, encode_head
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

_RULES: CborRules = DIALECTS["0006"].cbor
_FIRST_WIDE = 24
_LAST_WIDE = 27


class SmallItems:
    """Passes on the first item as it is, and of each later one what there is of it."""

    def __init__(self) -> None:
        self._first: ItemScanner | None = ItemScanner(_RULES, Limits())
        self._pending = b""
        """The beginning of an item or of a head that is not whole."""
        self._left = 0
        """Bytes of the byte string under way that have not come."""

    def cut(self, data: bytes) -> list[bytes]:
        """Return whole items with all of ``data`` that can be passed on.

        Raises:
            CborError: There is something other than byte strings after the first item.
        """
        if self._pending:
            data, self._pending = self._pending + data, b""
        parts: list[bytes] = []
        position = 0
        if self._first is not None:
            end = self._first.scan(bytearray(data))
            if end is None:
                self._pending = data
                # From its beginning again: it is short, and nearly always whole in the first read.
                self._first = ItemScanner(_RULES, Limits())
                return parts
            self._first, position = None, end
            parts.append(data[:end])
        while position < len(data):
            if not self._left:
                head = self._read_head(data, position)
                if head is None:
                    self._pending = data[position:]
                    break
                position, self._left = head
                continue
            part = data[position : position + self._left]
            parts += (encode_head(BYTES, len(part)), part)
            position += len(part)
            self._left -= len(part)
        return parts

    def _read_head(self, data: bytes, position: int) -> tuple[int, int] | None:
        """Return where a byte string begins, and its length; None if its head is not whole."""
        first = data[position]
        info = first & 0x1F
        if first >> 5 != BYTES or info > _LAST_WIDE:
            raise CborError("a kept answer has something other than byte strings")
        begin = position + 1
        if info < _FIRST_WIDE:
            return begin, info
        end = begin + (1 << info - _FIRST_WIDE)
        return (end, int.from_bytes(data[begin:end], "big")) if end <= len(data) else None
