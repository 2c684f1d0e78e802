"""Changing a file of accounts: one writer at a time, and never half a file for readers."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.files import AccountsFileError, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MODE: Final = 0o600


def edit(file: Path, change: Callable[[str], str]) -> None:
    """Replace a file's text at once; a new file is made for its owner alone.

    Owner and permissions of a file that exists stay: the daemon may run as another user.

    Args:
        file: The file; behind a symbolic link it is the file that the link leads to.
        change: Returns the new text for the present one, which is empty where there is no file.
            What it raises leaves the file as it was.

    Raises:
        AccountsFileError: The file cannot be read or written.
    """
    # A link stays a link.
    file = Path(os.path.realpath(file))
    try:
        with _locked(file):
            text = change(read_text(file))
            _replace(file, text.encode("utf-8"))
    except OSError as error:
        raise AccountsFileError(file, f"cannot be changed: {error.strerror}") from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock of a file; one that was made for it is removed if nothing comes of it."""
    is_new = not file.exists()
    descriptor = _open_locked(file)
    try:
        yield
    except BaseException:
        # Still locked: whoever else would make the file waits.
        if is_new and not os.fstat(descriptor).st_size:
            with suppress(OSError):
                file.unlink()
        raise
    finally:
        os.close(descriptor)


def _open_locked(file: Path) -> int:
    """Return a descriptor of the file that the path names now, with its lock."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            # Another writer may have replaced the file while this one waited.
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return descriptor
        os.close(descriptor)


def _replace(file: Path, content: bytes) -> None:
    status = file.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with open(descriptor, "wb") as temporary:  # noqa: PTH123 a descriptor
            temporary.write(content)
            os.fchmod(descriptor, status.st_mode & 0o777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            temporary.flush()
            os.fsync(descriptor)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
