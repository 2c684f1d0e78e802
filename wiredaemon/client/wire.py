"""The interface between the calls of a connection and its transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Wire(Protocol):
    """The transport of the calls of a connection."""

    @property
    def is_connected(self) -> bool:
        """It has a connection; until then its server is no silent one."""

    def write(self, parts: Sequence[bytes]) -> None:
        """Send headers and payloads of frames, in turn."""

    def pause_input(self) -> None:
        """Pause reading, as far as possible."""

    def resume_input(self) -> None:
        """Resume reading."""

    def abort(self) -> None:
        """Close the connection at once."""
