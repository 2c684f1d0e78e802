"""Ends of a command besides a value: failures that the peer may read, and printed output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wiredaemon.wire.payloads import format_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.wire.values import Value


def _bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


class CommandError(Exception):
    """A documented failure of a command: the request cannot be fulfilled.

    Source: framing, section 6.3 ("command error").
    """

    def __init__(self, message: bytes | str, args: Sequence[bytes | str] = ()) -> None:
        """Describe the failure.

        Args:
            message: printf-style format for people; ``%s`` stands for the next argument.
            args: What fills the ``%s``.
        """
        self.message = _bytes(message)
        self.arguments = tuple(_bytes(arg) for arg in args)
        # The parts stay for the wire, which sends format and arguments apart (framing, section
        # 6.3); logs want one text.
        super().__init__(format_message(self.message, self.arguments).decode("utf-8", "replace"))


class ServerError(Exception):
    """Any other failure whose text may be shown to the peer.

    An exception that is neither this nor a `CommandError` is logged, and the peer reads only that
    the command failed.
    """

    def __init__(self, text: bytes | str) -> None:
        """Describe the failure by a literal text."""
        self.text = _bytes(text)
        super().__init__(self.text.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class WithOutput:
    """A result with the text that the command printed; text forms show it, CBOR cannot."""

    value: Value
    output: bytes
