"""The folder of kept responses: bounded in size and number, each response in a file of its own.

Owns names, sizes and the order of use. It reads and writes no contents, which takes time and is
done in threads; the store itself is used in one thread.

The name of a file says what it must hold, so that one left half written by a crash is known. The
folder belongs to one process at a time, by a lock that ends with it.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final

from wiredaemon.repository.recently_used import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wiredaemon.wire.limits import Limits

_NAME: Final = re.compile(r"([0-9a-f]{40})-([0-9a-f]{1,16})-([0-9a-f]{1,16})-([0-9a-f]{8})")
_TEMPORARY: Final = "recording-"


class StoreError(Exception):
    """The folder cannot be used."""


class DamagedError(Exception):
    """An entry's file does not match its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """A kept response."""

    key: str
    """40 hexadecimal digits."""
    content_size: int
    """Bytes of its objects, not encoded and without status map."""
    size: int
    """Bytes of its file."""
    checksum: int
    """CRC-32 of its file."""
    is_trusted: bool = False
    """The file was written by this process, or its checksum was compared."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.key}-{self.content_size:x}-{self.size:x}-{self.checksum:08x}"

    @classmethod
    def parse(cls, name: str) -> KeptResponse | None:
        """Read the name of a file."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        content_size, size, checksum = (int(number, 16) for number in found.groups()[1:])
        return cls(key=found[1], content_size=content_size, size=size, checksum=checksum)


class ResponseStore:
    """Entries by key."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Begin empty, within ``cache_size`` and ``cache_entries``; `open` makes the folder."""
        self.folder = folder
        self._most_bytes = limits.cache_size
        self._entries: RecentlyUsed[str, KeptResponse] = RecentlyUsed(
            limits.cache_entries, self._on_dropped
        )
        self._lock: IO[bytes] | None = None
        self._temporaries = 0
        self.is_open = False
        """The folder is ours. An attribute, for each request of a cacheable command asks."""
        self.size = 0
        """Bytes of all entries."""

    def open(self) -> None:
        """Lock the folder, and list the files of earlier processes.

        Raises:
            StoreError: Another process uses it, or it cannot be made or read.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _open_private(self.folder / "lock", "ab")
        except OSError as error:
            raise StoreError(str(error)) from error
        try:
            # A lock of the open file, not a file that stands for one: it ends with the process,
            # however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._scan()
        except BlockingIOError as error:
            lock.close()
            raise StoreError(f"another process uses {self.folder}") from error
        except OSError as error:
            lock.close()
            raise StoreError(str(error)) from error
        self._lock = lock
        self.is_open = True

    def close(self) -> None:
        """Release the folder's lock, for another process."""
        lock, self._lock = self._lock, None
        self.is_open = False
        if lock is not None:
            lock.close()
        self._entries.clear()
        self.size = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def __iter__(self) -> Iterator[KeptResponse]:
        """Return the entries, the one used last at the end."""
        return iter(self._entries)

    def _scan(self) -> None:
        found: list[tuple[int, KeptResponse]] = []
        with os.scandir(self.folder) as files:
            for file in files:
                entry = KeptResponse.parse(file.name)
                if entry is not None:
                    found.append((file.stat(follow_symlinks=False).st_mtime_ns, entry))
                elif file.name.startswith(_TEMPORARY):
                    self._unlink(file.name)
        # By the time of last use, which `open_entry` sets: so the order of use outlives the
        # process.
        for _, entry in sorted(found, key=lambda pair: pair[0]):
            before = self._entries.peek(entry.key)
            if before is not None:  # a crash came before it was removed
                self._unlink(before.name)
            self._add(entry)
        self._evict()

    # --- entries -----------------------------------------------------------------------------

    def find(self, key: str) -> KeptResponse | None:
        """Return the entry of a key, which is then the one used last."""
        return self._entries.use(key)

    def holds(self, key: str) -> bool:
        """Return whether there is an entry, which counts as no use of it."""
        return self._entries.peek(key) is not None

    def open_entry(self, entry: KeptResponse) -> IO[bytes]:
        """Open the file of an entry, which stays readable even if the entry goes.

        Raises:
            DamagedError: The file is missing, or has another size.
            OSError: The file cannot be opened for now; the entry may be as good as ever.
        """
        path = self.folder / entry.name
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise DamagedError(f"{path}: {error.strerror}") from error
        # Cheap, and finds what a crash cut off; the checksum finds the rest.
        size = os.fstat(file.fileno()).st_size
        if size != entry.size:
            file.close()
            raise DamagedError(f"{path} has {size} bytes")
        with suppress(OSError):
            os.utime(file.fileno())  # for the order after a restart
        return file

    def trust(self, entry: KeptResponse) -> None:
        """Mark an entry whose checksum was compared, so that it is compared once."""
        if self._entries.peek(entry.key) == entry:
            self._entries.keep(entry.key, replace(entry, is_trusted=True))

    def remove(self, entry: KeptResponse) -> None:
        """Remove an entry and its file."""
        if (self._entries.peek(entry.key) or entry).name == entry.name:
            self._forget(entry.key)
            self._unlink(entry.name)

    def temporary(self) -> Path:
        """Return the path of a file to be made; `commit` or the caller removes it."""
        self._temporaries += 1
        return self.folder / f"{_TEMPORARY}{os.getpid()}-{self._temporaries}"

    def commit(self, path: Path, entry: KeptResponse) -> None:
        """Make a file that is complete the one of an entry.

        Raises:
            OSError: The file cannot be renamed; it is still there.
        """
        # Renamed when complete: a name that can be found never stands for a half.
        path.replace(self.folder / entry.name)
        before = self._entries.peek(entry.key)
        if before is not None:
            self._forget(entry.key)
            if before.name != entry.name:
                self._unlink(before.name)
        self._add(replace(entry, is_trusted=True))
        self._evict()

    def _add(self, entry: KeptResponse) -> None:
        self._forget(entry.key)
        self.size += entry.size
        self._entries.keep(entry.key, entry)

    def _forget(self, key: str) -> None:
        entry = self._entries.remove(key)
        if entry is not None:
            self.size -= entry.size

    def _evict(self) -> None:
        while self._entries and self.size > self._most_bytes:
            self._entries.drop()

    def _on_dropped(self, _key: str, entry: KeptResponse) -> None:
        self.size -= entry.size
        self._unlink(entry.name)

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            (self.folder / name).unlink()


def new_file(path: Path) -> IO[bytes]:
    """Make a file that nobody else may read.

    Raises:
        OSError: It cannot be made.
    """
    return _open_private(path, "xb")


def _open_private(path: Path, mode: str) -> IO[bytes]:
    return open(path, mode, opener=_open_for_us)


def _open_for_us(path: str, flags: int) -> int:
    # Answers may be of repositories that not everybody on this machine may read.
    return os.open(path, flags, 0o600)
