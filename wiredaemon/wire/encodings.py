"""Content encodings of streams: profiles by name, and which one a server chooses.

Source: framing, sections 11 and 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Container


class ContentEncoder(Protocol):
    """Encodes what one stream carries; its context lasts as long as the stream."""

    def encode(self, data: bytes) -> bytes:
        """Take the next bytes and give what they brought out, perhaps nothing."""

    def flush(self) -> bytes:
        """Give all that is held back, at the end of a command; the context goes on."""


class ContentDecoder(Protocol):
    """Decodes what one stream carries."""

    def decode(self, data: bytes) -> bytes:
        """Give what the next encoded bytes say."""


class Identity:
    """The profile ``identity``: bytes unchanged."""

    def encode(self, data: bytes) -> bytes:
        """Give ``data`` itself."""
        return data

    def flush(self) -> bytes:
        """Give nothing: nothing is held back."""
        return b""

    def decode(self, data: bytes) -> bytes:
        """Give ``data`` itself."""
        return data


ENCODERS: Final[dict[bytes, Callable[[], ContentEncoder]]] = {b"identity": Identity}
"""Makers of encoders by profile name, in the server's order of preference."""

DECODERS: Final[dict[bytes, Callable[[], ContentDecoder]]] = {b"identity": Identity}
"""Makers of decoders by profile name."""

DEFAULT_OFFER: Final[tuple[bytes, ...]] = (b"identity",)
"""What a client that sends no settings is taken to offer."""


def choose_encoding(offered: Container[object]) -> bytes | None:
    """Give the server's most preferred profile among those the client offers.

    The client's order does not count. None means that nothing matches: frames go unencoded.
    """
    return next((name for name in ENCODERS if name in offered), None)
