"""The content of copies at redirect targets: the objects of answers, and bundles.

A copy has no content encoding, and nothing of what our own files have around it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from wiredaemon.net.cache.recording import pieces_of
from wiredaemon.net.cache.uploaded_copies import UploadedCopy
from wiredaemon.wire.encodings import DECODERS
from wiredaemon.wire.payloads import OK_MAP
from wiredaemon.wire.values import CBOR_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Content(NamedTuple):
    """Objects or a bundle as clients fetch them, in a file without a name."""

    file: IO[bytes]
    marker: UploadedCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKind:
    """A kind of content that is copied."""

    shown: str
    """The name for one of them in logs."""
    media_type: bytes
    pieces: Callable[[IO[bytes], bytes], Iterator[bytes]]
    """Returns the content of one of our files, which is in some content encoding."""


def objects_of(file: IO[bytes], encoding: bytes) -> Iterator[bytes]:
    """Return the content of a response after its ok map."""
    if encoding == b"identity":
        yield from pieces_of(file)
        return
    decoder = DECODERS[encoding]()
    skipped = len(OK_MAP)
    for piece in pieces_of(file):
        decoder.feed(piece)
        while decoder.pending:
            content = decoder.read()
            yield content[skipped:]
            skipped = max(skipped - len(content), 0)


ANSWERS: Final = CopyKind(shown="an answer", media_type=CBOR_MEDIA_TYPE, pieces=objects_of)


def write_content(file: IO[bytes], pieces: Iterator[bytes], folder: Path, now: int) -> Content:
    """Write what clients fetch into a file of its own; takes long, and may be done in any thread.

    Args:
        file: Our own file, which is closed.
        pieces: Its content.
        folder: The folder for the new file.
        now: Seconds since 1970.

    Raises:
        OSError, ContentError: The file cannot be read or is damaged, or there is no room.
    """
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    content = TemporaryFile(dir=folder)  # noqa: SIM115 given away
    try:
        with file:
            for piece in pieces:
                size += content.write(piece)
                sha1.update(piece)
                sha256.update(piece)
        content.seek(0)
    except BaseException:
        content.close()
        raise
    marker = UploadedCopy(size=size, sha1=sha1.digest(), sha256=sha256.digest(), seen=now)
    return Content(content, marker)
