"""Copies of answers at redirect targets: one small file describes each, up to a number.

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
    """The size of the object in bytes."""
    sha1: bytes
    sha256: bytes
    seen: int
    """The time at which the object was last seen there, in seconds since 1970."""

    def encode(self) -> bytes:
        """Return the content of its file."""
        return cbor.encode(
            {b"size": self.size, b"sha1": self.sha1, b"sha256": self.sha256, b"seen": self.seen},
            KeyOrder.BYTEWISE,
        )

    @classmethod
    def parse(cls, content: bytes) -> UploadedCopy | None:
        """Parse the content of a file; None if it is damaged."""
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
    """Descriptions of uploaded copies, by name.

    A name is 8 hexadecimal digits for the target, a hyphen and 40 digits for the content.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """Begin empty; `open` reads the folder.

        Args:
            folder: The folder of the files; `open` makes it if need be.
            most: Copies that are remembered, those used last.
        """
        self._folder = folder
        self._known: RecentlyUsed[str, UploadedCopy | None] = RecentlyUsed(
            most, lambda name, _: self._unlink(name)
        )
        """None for a copy whose file has not been read yet: most are never asked for."""

    def open(self) -> None:
        """List the files of earlier processes.

        Raises:
            OSError: The folder cannot be made or read.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = [file for file in self._folder.iterdir() if _NAME.fullmatch(file.name)]
        # Listed only: 1,000 copies take 4 ms so, and 21 if each file is read.
        for file in sorted(files, key=lambda each: each.stat().st_mtime_ns):
            self._known.keep(file.name, None)

    def find(self, name: str) -> UploadedCopy | None:
        """Return a copy, which is then the one used last; None if there is none."""
        if name not in self._known:
            return None
        copy = self._known.use(name)
        if copy is None:
            try:
                copy = UploadedCopy.parse((self._folder / name).read_bytes())
            except FileNotFoundError:
                pass
            except OSError:
                return None  # not now, but its file may be as good as ever
            if copy is None:
                self.remove(name)
                return None
            self._known.keep(name, copy)
        return copy

    def set(self, name: str, copy: UploadedCopy) -> None:
        """Remember a copy, in a file too.

        Raises:
            OSError: The file cannot be written.
        """
        temporary = self._folder / _TEMPORARY
        # Left by a crash, perhaps: new files are made only where none is.
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
