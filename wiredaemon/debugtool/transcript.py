r"""The transcript: lines for people, and all bytes that were sent and received.

Source: client-tool, sections 3.1 to 3.3.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, BinaryIO, Final

from wiredaemon.debugtool.values import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.debugtool.eras import Era

_DATA: Final = "s>     "
_OLD_ESCAPES: Final = {
    **{byte: f"\\x{byte:02x}" for byte in (*range(0x20), *range(0x7F, 0x100))},
    0x09: "\t",
    0x0A: "\\n",
    0x0D: "\\r",
    0x5C: "\\\\",
}
"""Those of the second seed: TAB and both quotes stay as they are."""


class Detail(IntEnum):
    """How much of a run is shown."""

    RESULTS = 0
    BYTES = 1
    """And all bytes: ``--verbose``."""
    CALLS = 2
    """And each call of the sockets: ``--debug``."""


class Transcript:
    """Writes what happens, as it happens."""

    def __init__(self, output: BinaryIO, era: Era, detail: Detail) -> None:
        """Begin with nothing written."""
        self._output = output
        self._era = era
        self._detail = detail
        self._is_quiet = False

    @contextmanager
    def silence(self, *, if_: bool) -> Iterator[None]:
        """Write nothing but `say` within, if so."""
        self._is_quiet = if_
        try:
            yield
        finally:
            self._is_quiet = False

    def say(self, text: str) -> None:
        """Write a line that is always shown."""
        self._output.write(text.encode("utf-8", "backslashreplace") + b"\n")
        # At once: whoever looks at a run that hangs wants to see how far it came.
        self._output.flush()

    def verbose(self, text: str) -> None:
        """Write a line with ``--verbose``."""
        if self._detail >= Detail.BYTES and not self._is_quiet:
            self.say(text)

    def debug(self, text: str) -> None:
        """Write a line with ``--debug``."""
        if self._shows_calls and not self._is_quiet:
            self.say(text)

    def frame(self, text: str) -> None:
        """Write the description of a frame that was received."""
        (self.verbose if self._era.frames_when_verbose else self.debug)(text)

    def data(self, call: str, data: bytes) -> None:
        """Write bytes that were sent or received, split after each line end.

        Args:
            call: The call of the socket, for instance ``readline() -> 17``.
            data: Its bytes; without a line feed they are one line, even if they are none.
        """
        if b"\n" not in data:
            whole = self._escaped(data)
            self.verbose(f"s> {call}: {whole}" if self._shows_calls else f"{_DATA}{whole}")
            return
        self.debug(f"s> {call}:")
        # A carriage return alone ends a line, too.
        for piece in data.splitlines(keepends=True):
            self.verbose(f"{_DATA}{self._escaped(piece)}")

    @property
    def _shows_calls(self) -> bool:
        return self._detail >= Detail.CALLS

    def _escaped(self, data: bytes) -> str:
        if self._era.named_escapes:
            return escape(data)
        return data.decode("latin-1").translate(_OLD_ESCAPES)
