"""What is known of the copies at redirect targets: one small file for each, bounded in number.

To be used in one thread, in a folder that one process has for itself.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.net.cache.store import new_file
from wiredaemon.repository.recently_used import RecentlyUsed
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor import ItemReader
from wiredaemon.wire.cbor_heads import CborError, KeyOrder
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{40}")
_TEMPORARY: Final = "marking"
_SMALL: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedCopy:
    """An object that was uploaded."""

    size: int
    """Bytes."""
    sha1: bytes
    sha256: bytes
    seen: int
    """When it was there, in seconds since 1970."""

    def encode(self) -> bytes:
        """Give the content of its file."""
        return cbor.encode(
            {b"size": self.size, b"sha1": self.sha1, b"sha256": self.sha256, b"seen": self.seen},
            KeyOrder.BYTEWISE,
        )

    @classmethod
    def parse(cls, content: bytes) -> UploadedCopy | None:
        """Read the content of a file; None if it is none."""
        try:
            items = ItemReader(DIALECTS["0006"].cbor, _SMALL).receive_data(content)
        except CborError:
            return None
        match items:
            case [
                {
                    b"size": int() as size,
                    b"sha1": bytes() as sha1,
                    b"sha256": bytes() as sha256,
                    b"seen": int() as seen,
                }
            ]:
                return cls(size=size, sha1=sha1, sha256=sha256, seen=seen)
        return None


class UploadedCopies:
    """What is known of uploaded copies, by name.

    A name is 8 hexadecimal digits for the target, a hyphen and 40 digits for the content.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """Know nothing before `open`.

        Args:
            folder: It is made if need be.
            most: UploadedCopies that are kept, those used last.
        """
        self._folder = folder
        self._known: RecentlyUsed[str, UploadedCopy | None] = RecentlyUsed(
            most, lambda name, _: self._unlink(name)
        )
        """None where the file was not read yet."""

    def open(self) -> None:
        """See what there is.

        Raises:
            OSError: The folder cannot be made or read.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = [file for file in self._folder.iterdir() if _NAME.fullmatch(file.name)]
        for file in sorted(files, key=lambda each: each.stat().st_mtime_ns):
            self._known.keep(file.name, None)

    def find(self, name: str) -> UploadedCopy | None:
        """Give a marker, and count that as its use."""
        if name not in self._known:
            return None
        copy = self._known.use(name)
        if copy is None:
            with suppress(OSError):
                copy = UploadedCopy.parse((self._folder / name).read_bytes())
            if copy is None:
                self.remove(name)
                return None
            self._known.keep(name, copy)
        return copy

    def set(self, name: str, copy: UploadedCopy) -> None:
        """Keep a marker.

        Raises:
            OSError: It cannot be written.
        """
        temporary = self._folder / _TEMPORARY
        temporary.unlink(missing_ok=True)
        with new_file(temporary) as file:
            file.write(copy.encode())
        temporary.replace(self._folder / name)
        self._known.keep(name, copy)

    def remove(self, name: str) -> None:
        """Forget a copy."""
        self._known.remove(name)
        self._unlink(name)

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            (self._folder / name).unlink()
