"""The HTTP handshake: the upgrade of version 1's ``capabilities`` request to a map of APIs.

Source: http, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.client.description import Description, read_description
from wiredaemon.client.errors import BrokenProtocolError, HttpAnswerError, NotOfferedError
from wiredaemon.wire.cbor import decode_first
from wiredaemon.wire.cbor_heads import CborError, CborRules, KeyOrder
from wiredaemon.wire.dialects import DIALECTS, ResponseForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits

API_NAMES: Final = (b"exp-http-v2-0003", b"exp-http-v2-0001")
"""The APIs that are asked for, the preferred one first."""

HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    # As Mercurial's clients send it, so that a cache on the way keeps this answer apart from
    # version 1's (http, section 4).
    (b"Vary", b"X-HgProto-1,X-HgUpgrade-1"),
    (b"X-HgProto-1", b"cbor"),
    (b"X-HgUpgrade-1", b" ".join(API_NAMES)),
    (b"Accept", b"application/mercurial-0.1"),
)
# A descriptor of all of this project's commands has 2 KiB; two thousand times that for servers with
# many of their own.
LARGEST_ANSWER: Final = 4 * 1024 * 1024
"""The most bytes of the handshake's response that are read."""

_CBOR: Final = b"application/mercurial-cbor"
_VERSION1: Final = b"application/mercurial-"
# Not strict, because servers of 0003 to 0005 answer in any CBOR; the order of keys is for encoding
# only.
_RULES: Final = CborRules(strict=False, key_order=KeyOrder.BYTEWISE)
_SUCCESSES: Final = range(200, 300)
_BY_MEDIA_TYPE: Final = {dialect.media_type: dialect for dialect in DIALECTS.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A server's API and framing, as calls over HTTP need them."""

    base: bytes
    """The API's path below the repository's URL, without leading or trailing slashes."""
    dialect: Dialect
    description: Description | None
    """The server's description of its commands; None if it gives none."""


def read_answer(
    status: int, reason: bytes, content_type: bytes, content: bytes, limits: Limits
) -> Mapping[object, object]:
    """Parse the response to a handshake; a version 1 response is an empty map.

    Raises:
        HttpAnswerError: The request has failed.
        NotOfferedError: The response is of something else than this protocol.
        BrokenProtocolError: The response is declared to be a map and is none.
    """
    if status not in _SUCCESSES:
        raise HttpAnswerError(status, reason, content)
    if not content_type.startswith(_VERSION1):
        shown = content_type.decode("ascii", "backslashreplace") or "no type"
        raise NotOfferedError(
            f"no repository is at this URL: the answer, {status} with {shown}, is of another site"
        )
    # Without parameters and exactly, as Mercurial's clients compare (http, section 4).
    if content_type != _CBOR:
        return {}
    try:
        answer = decode_first(content, _RULES, limits)
    except CborError as error:
        raise BrokenProtocolError(f"the server's capabilities are no CBOR: {error}") from error
    if not isinstance(answer, dict):
        raise BrokenProtocolError("the server's capabilities are no map")
    return answer


def choose(answer: Mapping[object, object], wanted: Dialect | None) -> Offer:
    """Choose the API and the framing.

    Args:
        answer: The result of `read_answer`.
        wanted: The dialect to speak; None takes the first framing of the best API.

    Raises:
        NotOfferedError: The server offers no such API or framing.
    """
    offered = _offered(answer)
    for name, framings, descriptor in offered:
        for dialect in framings:
            if wanted is None or dialect == wanted:
                description = read_description(descriptor)
                return _offer(answer, name, dialect, description)
    if wanted is not None and wanted.response is ResponseForm.TEXT and not offered:
        # The oldest had no handshake: servers that speak nothing else cannot say so.
        return _offer(answer, API_NAMES[-1], wanted, None)
    if not offered:
        raise NotOfferedError(
            "the server offers no API of protocol version 2 here: it is not enabled, or not known"
        )
    names = ", ".join(dialect.name for _, framings, _ in offered for dialect in framings)
    shown = "one that we know" if wanted is None else wanted.name
    raise NotOfferedError(f"the server does not offer dialect {shown}; it offers: {names or '-'}")


def _offer(
    answer: Mapping[object, object], name: bytes, dialect: Dialect, description: Description | None
) -> Offer:
    base = answer.get(b"apibase")
    prefix = base if isinstance(base, bytes) else b"api/"
    return Offer(base=prefix.strip(b"/") + b"/" + name, dialect=dialect, description=description)


def _offered(answer: Mapping[object, object]) -> list[tuple[bytes, list[Dialect], object]]:
    """Return the offered APIs that this client knows, with their known framings and descriptors."""
    apis = answer.get(b"apis")
    known: list[tuple[bytes, list[Dialect], object]] = []
    for name in API_NAMES:
        descriptor = apis.get(name) if isinstance(apis, dict) else None
        if isinstance(descriptor, dict):
            media_types = descriptor.get(b"framingmediatypes")
            given = media_types if isinstance(media_types, list) else []
            names = [one for one in given if isinstance(one, bytes)]
            framings = [_BY_MEDIA_TYPE[one] for one in names if one in _BY_MEDIA_TYPE]
            known.append((name, framings, descriptor))
    return known
