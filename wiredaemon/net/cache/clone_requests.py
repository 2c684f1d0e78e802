"""Which requests of version 1 ask for a whole repository, and which of them are answered alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from wiredaemon import __version__
from wiredaemon.net.cache.keys import Keys
from wiredaemon.repository.clone_bundles import ATTEMPT_COUNTS
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.repository.stat_signatures import StatSignatures
    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.wire.values import Value

_VERSION: Final = 1
"""The version of the key's form: change it with the content of the files."""
_GETBUNDLE: Final = b"getbundle"
_STREAM_OUT: Final = b"stream_out"
_ATTEMPTED: Final = b"cbattempted"
COMMANDS: Final = frozenset((_GETBUNDLE, _STREAM_OUT))
"""The commands of version 1 whose answers may be whole repositories."""
_ARGUMENTS: Final[Mapping[bytes, frozenset[bytes]]] = {
    # Those of Mercurial itself. An extension's argument, or one that shows hidden changesets to
    # some users, may mean anything.
    _GETBUNDLE: frozenset(
        {
            *(b"cmd", b"heads", b"common", b"obsmarkers", b"phases", b"listkeys", b"bookmarks"),
            *(b"bundlecaps", b"cg", _ATTEMPTED, b"stream"),
        }
    ),
    _STREAM_OUT: frozenset((b"cmd",)),
}
_COUNTED_HEADERS: Final = (b"x-hgarg-", b"x-hgargs-post", b"x-hgproto-")
_HEADER: Final = 100
"""The most parts of a header that are read."""
_MOST_ARGUMENTS: Final = 64
_NULL: Final = b"0" * 40


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """All of a request for a whole repository that its answer depends on."""

    arguments: Mapping[bytes, bytes]
    """Names and values, the command's name among them."""
    protocols: bytes
    """The media types and compression engines that the client understands."""
    user: bytes
    """The user, where that may count; else empty."""

    def keys(self, repository: bytes, described: bytes, state: StatSignatures) -> Keys:
        """Return the keys of the answer.

        Args:
            repository: Path of its working folder.
            described: ``clones`` of its description.
            state: The signatures of the files that decide about answers.
        """
        arguments = dict(self.arguments)
        # A client that knows bundles says whether it has asked for them: its answer is the same.
        if not described.endswith(ATTEMPT_COUNTS):
            arguments.pop(_ATTEMPTED, None)
        content: dict[bytes, Value] = {
            b"version": _VERSION,
            b"software": __version__.encode(),
            b"repo": repository,
            b"described": described,
            b"args": arguments,
            b"protocols": self.protocols,
            b"user": self.user,
            b"state": repr(state).encode(),
        }
        encoded = cbor.encode(content, KeyOrder.BYTEWISE)
        # As long as the keys of the store are; a stranger's argument is part of it, so not SHA-1.
        key = hashlib.sha256(encoded).hexdigest()[:40]
        return Keys(key, key)


def clone_request(
    request: WebRequest, body: bytes | bytearray | memoryview, user: bytes
) -> CloneRequest | None:
    """Return what a request for a whole repository asks; None for any other.

    Args:
        request: The head of the request.
        body: The whole body, which holds arguments if anything.
        user: The user, where answers may depend on that; else empty.
    """
    headers = _counted(request)
    arguments = None if headers is None else _arguments(request, headers, body)
    if headers is None or arguments is None or not _is_whole(arguments):
        return None
    return CloneRequest(arguments, b"".join(_numbered(headers.get, b"x-hgproto")), user)


def arguments_of(
    request: WebRequest, body: bytes | bytearray | memoryview
) -> Mapping[bytes, bytes] | None:
    """Return the arguments of a command of version 1, ``cmd`` among them.

    It is None where they are not certain, as where one comes twice.

    Args:
        request: The head of the request.
        body: The whole body, which holds arguments if anything.
    """
    headers = _counted(request)
    return None if headers is None else _arguments(request, headers, body)


def _arguments(
    request: WebRequest, headers: Mapping[bytes, bytes], body: bytes | bytearray | memoryview
) -> Mapping[bytes, bytes] | None:
    if request.path_info or request.method not in {b"GET", b"POST"}:
        return None
    # As Mercurial reads them: arguments of a body take the place of those in headers.
    posted = headers.get(b"x-hgargs-post")
    if posted != (b"%d" % len(body) if body else None):
        return None
    written = bytes(body) if body else b"".join(_numbered(headers.get, b"x-hgarg"))
    return _read(request.query, written)


def _counted(request: WebRequest) -> dict[bytes, bytes] | None:
    """Return the headers that count, in lower case; None if one comes twice."""
    headers: dict[bytes, bytes] = {}
    for name, value in request.headers:
        lower = name.lower()
        if lower.startswith(_COUNTED_HEADERS):
            if lower in headers:
                return None
            headers[lower] = value
    return headers


def _read(*written: bytes) -> dict[bytes, bytes] | None:
    """Return all arguments; None if one comes twice, or there are too many."""
    found: list[tuple[str, str]] = []
    for text in written:
        try:
            found += parse_qsl(
                text.decode("latin-1"),
                keep_blank_values=True,
                encoding="latin-1",
                max_num_fields=_MOST_ARGUMENTS,
            )
        except ValueError:
            return None
    arguments = {name.encode("latin-1"): value.encode("latin-1") for name, value in found}
    return arguments if len(arguments) == len(found) else None


def _is_whole(arguments: Mapping[bytes, bytes]) -> bool:
    """Return whether a client that has nothing asks, with arguments that are known to count."""
    known = _ARGUMENTS.get(arguments.get(b"cmd", b""))
    if known is None or not known.issuperset(arguments):
        return False
    return all(node == _NULL for node in arguments.get(b"common", b"").split())


def _numbered(header: Callable[[bytes], bytes | None], name: bytes) -> Iterator[bytes]:
    for number in range(1, _HEADER + 1):
        value = header(b"%s-%d" % (name, number))
        if value is None:
            return
        yield value
