"""A file that is read again when it changes, and whose last good contents stay."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from twisted.logger import Logger

from wiredaemon.accounts.files import AccountsFileError, UnreadableFileError, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")
_log: Final = Logger()

_MISSING: Final = (0, 0, 0)


class WatchedFile(Generic[_T]):
    """The parsed contents of a file, as they were when it was last right.

    Args:
        file: The file, read at once.
        parse: Makes a value of the file's text; raises AccountsFileError.

    Raises:
        AccountsFileError: The file cannot be used.
    """

    def __init__(self, file: Path, parse: Callable[[Path, str], _T]) -> None:
        self._file = file
        # As a string: it is looked at for each login, and a Path takes three times as long.
        self._name = str(file)
        self._parse = parse
        self._signature = self._look()
        self._complaint = ""
        """The last error of the file that was logged."""
        self.value = parse(file, read_text(file))

    def refresh(self) -> bool:
        """Read the file again if it has changed; return whether there is a new value.

        A file that cannot be used is logged, once, and the old value stays. One that cannot be
        read is tried again each time: that may end without a change of the file.
        """
        # Taken before the file is read: a change meanwhile is seen the next time.
        signature = self._look()
        if signature == self._signature:
            return False
        try:
            self.value = self._parse(self._file, read_text(self._file))
        except AccountsFileError as error:
            if not isinstance(error, UnreadableFileError):
                self._signature = signature
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.error("{error}; what it said before still counts", error=error)
            return False
        self._signature, self._complaint = signature, ""
        _log.info("{file} was read again", file=self._file)
        return True

    def _look(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self._name)  # noqa: PTH116 a Path costs more than twice as much
        except OSError:
            return _MISSING
        return (status.st_mtime_ns, status.st_size, status.st_ino)
