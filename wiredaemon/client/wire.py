"""What the calls of a connection need of their transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.wire.frames import EncodedFrame


class Wire(Protocol):
    """What an exchange needs of its transport."""

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Send frames; the exchange's flow control is paused and resumed as a push producer."""

    def pause_input(self) -> None:
        """Read no more, as far as possible."""

    def resume_input(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close the connection at once."""
