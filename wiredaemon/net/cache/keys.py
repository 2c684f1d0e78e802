"""Which requests are answered alike: the keys of kept responses.

Source: commands, section 4.14.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon import __version__
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.repository.stat_signatures import StatSignatures
    from wiredaemon.wire.values import Value

_GLOBAL_VERSION: Final = 1
_LOCAL_VERSION: Final = 1
"""The version of the key's form: change it with a command's answer or an entry's content."""
# Twice the longest tick: kernels are built with 100 timer interrupts a second or more.
_TICK: Final = 20_000_000
"""Nanoseconds: more than a tick of the clock that Linux takes the times of files from."""
_API: Final = b"exp-http-v2-0003"
"""The API whose answers are kept; those of raw connections in 0006 are the same bytes."""


@dataclass(frozen=True, slots=True)
class CachedAs:
    """The form of the response to a cacheable command."""

    command: bytes
    media_type: bytes
    encoding: bytes | None
    """The content encoding; None if the client offers none that we know."""

    @property
    def profile(self) -> bytes:
        """The content encoding; what goes unencoded is as good as ``identity``."""
        return self.encoding or b"identity"


class Keys(NamedTuple):
    """Hexadecimal SHA-1 of all that makes two answers the same."""

    content: str
    """The key of the objects, whatever encoding they are sent in."""
    entry: str
    """The key of the encoded response."""


def keys_of(
    cached_as: CachedAs, repository: bytes, arguments: Mapping[bytes, Value], state: StatSignatures
) -> Keys:
    """Return the keys of a request.

    Args:
        cached_as: The command, and how it is going to be answered.
        repository: Path of its working folder.
        arguments: All of them, defaults included.
        state: The signatures of the files that decide about answers, from `stat_files`.

    Raises:
        UnencodableError: An argument has no form on the wire.
    """
    content: dict[bytes, Value] = {
        b"globalversion": _GLOBAL_VERSION,
        b"localversion": _LOCAL_VERSION,
        b"command": cached_as.command,
        b"mediatype": cached_as.media_type,
        b"version": _API,
        b"repo": repository,
        b"args": arguments,
        # A release may answer otherwise: the numbers above are for changes between two of them.
        b"software": __version__.encode(),
        # As text, in 3 us: 14 files as arrays of numbers take 13 us, most of what a key costs.
        b"state": repr(state).encode(),
    }
    # SHA-1, as commands, section 4.14, has it, and not for security: who makes two requests collide
    # gets the answer of one for the other, and nobody else does. FIPS mode allows it only so.
    digest = hashlib.sha1(cbor.encode(content, KeyOrder.BYTEWISE), usedforsecurity=False)
    # The content is hashed once for both keys, which is most of the work.
    encoded = digest.copy()
    encoded.update(_encoding_part(cached_as.profile))
    return Keys(digest.hexdigest(), encoded.hexdigest())


@lru_cache(maxsize=8)  # there are three profiles
def _encoding_part(profile: bytes) -> bytes:
    """Return the part of a key that is the content encoding's."""
    return cbor.encode({b"encoding": profile}, KeyOrder.BYTEWISE)


def is_settled(state: StatSignatures, now: int) -> bool:
    """Return whether files would look different if they were changed from now on.

    A change within the same tick of a file system's clock could be unseen. Only the time of change
    says so: Mercurial sets that of modification up to a second ahead.

    Args:
        state: The signatures that `stat_files` has just returned.
        now: Nanoseconds since 1970.
    """
    # A loop, for a generator would be resumed for each file.
    for signature in state:
        if signature is not None and abs(now - signature[1]) <= _TICK:
            return False
    return True
