"""Content encodings of streams: the profiles by name, and the choice of a server.

An encoder's context lasts as long as its stream and is never finished, so a decoder receives the
beginning of a compressed stream whose end need not come. Decoders return their content in
bounded steps, because a few bytes from the wire can stand for gigabytes.

Source: framing, sections 11 and 12; reliability, section 1.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Container

# Two frames of the largest size that is sent: smaller steps cost calls, larger ones time in which
# nothing else is done.
DECODED_STEP: Final = 64 * 1024
"""The most bytes that one step of a decoder returns; with the worst input it takes 0.25 ms."""

_LARGEST_WINDOW_LOG: Final = 23
LARGEST_WINDOW: Final = 1 << _LARGEST_WINDOW_LOG
"""Bytes of history that a ``zstd-8mb`` stream may refer to, which its decoder holds (RFC 9659)."""

# Mercurial's level, but a window of 2**18 bytes: see `ZstdEncoder`.
_ZSTD_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.window_log: 18,
}


class ContentError(ValueError):
    """Encoded content is corrupt, or needs more memory than its profile allows."""


class ContentEncoder(Protocol):
    """Encodes the content of one stream; its context lasts as long as the stream."""

    def encode(self, data: bytes) -> bytes:
        """Encode the next bytes and return the output that is ready, perhaps none."""

    def flush(self) -> bytes:
        """Return all output that is held back, at the end of a command; the context goes on.

        A flush directly after another returns nothing.
        """


class ContentDecoder(Protocol):
    """Decodes the content of one stream: feed it, then read while output is pending.

    It holds the bytes that were fed and not read, the context of its stream, and one step.
    """

    @property
    def pending(self) -> bool:
        """`read` may return more without further bytes."""

    def feed(self, data: bytes) -> None:
        """Keep the next encoded bytes; nothing is decoded yet."""

    def read(self) -> bytes:
        """Return the next decoded bytes, at most `DECODED_STEP`; none when nothing is pending.

        Raises:
            ContentError: The input is not in this encoding; the decoder must not be used again.
        """


class Identity:
    """The profile ``identity``, which leaves bytes unchanged."""

    def encode(self, data: bytes) -> bytes:
        """Return ``data`` itself."""
        return data

    def flush(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""


class IdentityDecoder:
    """The decoder of `Identity`."""

    def __init__(self) -> None:
        """Begin with nothing fed."""
        self._fed = bytearray()

    @property
    def pending(self) -> bool:
        """Bytes were fed and not read."""
        return bool(self._fed)

    def feed(self, data: bytes) -> None:
        """Keep bytes to return."""
        self._fed += data

    def read(self) -> bytes:
        """Return the bytes, one step at a time."""
        # In steps like the others, although nothing grows: whoever reads has one bound for all
        # profiles.
        data = bytes(self._fed[:DECODED_STEP])
        del self._fed[:DECODED_STEP]
        return data


class ZlibEncoder:
    """The profile ``zlib``: one RFC 1950 stream of the default level, never finished.

    The first call of either method returns the two bytes of the header.
    """

    def __init__(self) -> None:
        """Begin a stream."""
        # The default level, which is Mercurial's (framing, section 12).
        self._compressor = zlib.compressobj()

    def encode(self, data: bytes) -> bytes:
        """Compress without flushing, as Mercurial does: small pieces yield no output."""
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        """End on a byte with an empty block, ``00 00 ff ff`` at its end (``Z_SYNC_FLUSH``).

        The first flush of a stream gives header and block even if nothing was encoded; a flush
        directly after another gives nothing.
        """
        # Not Z_FINISH: the next command of the same stream goes on with this context (framing,
        # section 12).
        return self._compressor.flush(zlib.Z_SYNC_FLUSH)


class ZlibDecoder:
    """Decodes a ``zlib`` stream; its window is at most 32 KiB."""

    def __init__(self) -> None:
        """Begin a stream."""
        self._decompressor = zlib.decompressobj()
        self._fed = b""
        self._pending = False

    @property
    def pending(self) -> bool:
        """Bytes were not decoded, or the last step was a full one and more may be after it."""
        return self._pending

    def feed(self, data: bytes) -> None:
        """Keep the next bytes of the stream."""
        self._fed += data
        self._pending = self._pending or bool(data)

    def read(self) -> bytes:
        """Decode one step.

        Raises:
            ContentError: The stream is corrupt, or bytes follow its end.
        """
        decompressor = self._decompressor
        if decompressor.eof:
            # zlib itself takes bytes after the end in silence, and counts them as unused.
            return _nothing_behind_the_end("zlib", self._fed)
        try:
            data = decompressor.decompress(self._fed, DECODED_STEP)
        except zlib.error as error:
            message = f"content is not in the encoding zlib: {error}"
            raise ContentError(message) from error
        # Before the content is returned: a caller would take it for good, and hear of the rest too
        # late.
        _nothing_behind_the_end("zlib", decompressor.unused_data)
        self._fed = decompressor.unconsumed_tail
        # A stream that ends with a full step has nothing after it: whoever reads while something
        # is pending would never stop.
        self._pending = (bool(self._fed) or len(data) == DECODED_STEP) and not decompressor.eof
        return data


class ZstdEncoder:
    """The profile ``zstd-8mb``: one zstd frame of level 3 without content size, never finished.

    Its window is 256 KiB, not the 2 MiB that level 3 would take: a stream then holds at most 1.5
    MiB instead of 3.3, and text grows by 2 %.
    """

    def __init__(self) -> None:
        """Begin a frame."""
        # A new context costs about 40 us, a response on a kept one 2 (docs/performance.md).
        self._compressor = zstd.ZstdCompressor(options=_ZSTD_OPTIONS)

    def encode(self, data: bytes) -> bytes:
        """Compress without flushing: less than a block, 128 KiB, yields no output."""
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        """End the block, not the frame; with nothing held back, even at first, return nothing."""
        # Not FLUSH_FRAME: a decoder of the profile reads one frame in all (framing, section 12).
        return self._compressor.flush(zstd.ZstdCompressor.FLUSH_BLOCK)


class ZstdDecoder:
    """Decodes a ``zstd-8mb`` frame, without trusting the content size that the frame declares.

    It holds the window that the frame asks for, which is refused above `LARGEST_WINDOW`.
    """

    def __init__(self) -> None:
        """Begin a frame."""
        self._decompressor = zstd.ZstdDecompressor(
            # Otherwise a frame of a few bytes could claim a window of 128 MiB.
            options={zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG}
        )
        self._fed = b""
        self._pending = False

    @property
    def pending(self) -> bool:
        """Bytes were not decoded, or the last step was a full one and more may be after it."""
        return self._pending

    def feed(self, data: bytes) -> None:
        """Keep the next bytes of the frame."""
        self._fed += data
        self._pending = self._pending or bool(data)

    def read(self) -> bytes:
        """Decode one step.

        Raises:
            ContentError: The frame is corrupt or asks for a larger window, or bytes follow its end.
        """
        decompressor = self._decompressor
        if decompressor.eof:
            return _nothing_behind_the_end("zstd-8mb", self._fed)
        # Given once: this decoder keeps the input that it has not used, where zlib's hands it back.
        fed, self._fed = self._fed, b""
        try:
            # Bounds what comes out in each call, which the package zstandard cannot: 4 KiB of a
            # bomb gave 134 MB there (reliability, section 1).
            data = decompressor.decompress(fed, max_length=DECODED_STEP)
        except zstd.ZstdError as error:
            message = (
                "content is not in the encoding zstd-8mb, whose window is at most "
                f"{LARGEST_WINDOW} bytes: {error}"
            )
            raise ContentError(message) from error
        _nothing_behind_the_end("zstd-8mb", decompressor.unused_data)
        self._pending = not decompressor.needs_input and not decompressor.eof
        return data


def _nothing_behind_the_end(name: str, data: bytes) -> bytes:
    """Return ``data``, which was found after the end of a stream, if it is empty.

    Raises:
        ContentError: Bytes follow the end.
    """
    if data:
        message = f"content goes on after the end of its {name} stream"
        raise ContentError(message)
    return data


ENCODERS: Final[dict[bytes, Callable[[], ContentEncoder]]] = {
    b"zstd-8mb": ZstdEncoder,
    b"zlib": ZlibEncoder,
    b"identity": Identity,
}
"""Makers of encoders by profile name, in the server's order of preference."""

DECODERS: Final[dict[bytes, Callable[[], ContentDecoder]]] = {
    b"zstd-8mb": ZstdDecoder,
    b"zlib": ZlibDecoder,
    b"identity": IdentityDecoder,
}
"""Makers of decoders by profile name, in the order in which Mercurial's clients prefer them."""

DEFAULT_OFFER: Final[tuple[bytes, ...]] = (b"identity",)
"""The offer of a client that sends no settings."""


def choose_encoding(offered: Container[object]) -> bytes | None:
    """Return the server's most preferred profile among those that the client offers.

    The client's order does not count. None means that no profile matches: frames leave unencoded.
    """
    # Its own order, as Mercurial's server does (framing, section 12): what a response costs is the
    # server's time.
    for name in ENCODERS:
        if name in offered:
            return name
    return None
