"""Recognizes servers of another protocol by their first bytes, and words the errors about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.wire.dialects import ErrorForm, FrameType
from wiredaemon.wire.frames import HEADER_SIZE

if TYPE_CHECKING:
    from wiredaemon.client.address import Scheme
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits

_HTTP: Final = b"http/"
_PAGES: Final = (b"<html", b"<!doctype html")
"""The beginnings of a page without a head: some servers answer so what is no HTTP at all."""
_TLS_ALERT: Final = b"\x15\x03"
"""The beginning of an alert: some servers of TLS answer other bytes with one, Twisted's close."""
_ERROR: Final = 5
"""The number of a frame with an error, in all dialects, which raw listeners answer HTTP with."""
_SHOWN: Final = 40
"""Bytes of a foreign greeting that are shown: those of SSH and of mail servers fit."""


def url_prefix(scheme: Scheme, *, is_http: bool, is_secure: bool | None = None) -> str:
    """Return the beginning of the URL that a client should use instead.

    Args:
        scheme: The scheme of the URL that was used.
        is_http: Whether the server speaks HTTP, and not frames.
        is_secure: Whether it speaks TLS; None for what the scheme says.
    """
    has_tls = scheme.is_secure if is_secure is None else is_secure
    return ("http" if is_http else "hgrpc") + "s" * has_tls + "://"


def instead_of_frames(data: bytes, scheme: Scheme, dialect: Dialect, limits: Limits) -> str:
    """Return a predicate for the server, ``speaks ...``; empty if the bytes may be a frame.

    Args:
        data: The first bytes of the server.
        scheme: The scheme of the URL.
        dialect: The dialect that the client speaks.
        limits: ``frame_payload`` tells the length of a frame from other bytes.
    """
    start = data[:_SHOWN].lower()
    if start.startswith((_HTTP, *_PAGES)):
        return f"speaks HTTP: the URL must begin with {url_prefix(scheme, is_http=True)}"
    if data.startswith(_TLS_ALERT):
        prefix = url_prefix(scheme, is_http=False, is_secure=True)
        return f"speaks TLS: the URL must begin with {prefix}"
    if len(data) < HEADER_SIZE:
        return ""
    if int.from_bytes(data[:3], "little") > limits.frame_payload:
        shown = repr(data.split(b"\n")[0].rstrip()[:_SHOWN]).removeprefix("b")
        return f"speaks another protocol: it said {shown}"
    if _is_foreign(data, dialect):
        return f"speaks another dialect than {dialect.name}"
    return ""


def _is_foreign(data: bytes, dialect: Dialect) -> bool:
    """Return whether the first frame belongs to another dialect."""
    kind = dialect.types.get(data[HEADER_SIZE - 1] >> 4)
    if kind is not FrameType.ERROR_RESPONSE or len(data) == HEADER_SIZE:
        return kind is None
    # A text never begins with such a byte (RFC 3629), and a CBOR map always does.
    is_map = 0xA0 <= data[HEADER_SIZE] <= 0xBF  # noqa: PLR2004 said above
    return is_map is (dialect.error is ErrorForm.TEXT)


def instead_of_http(data: bytes, scheme: Scheme) -> str:
    """Return a clause for an error, ``it speaks ...``; empty if the bytes are not recognized."""
    if data.startswith(_TLS_ALERT):
        prefix = url_prefix(scheme, is_http=True, is_secure=True)
        return f"it speaks TLS, so the URL must begin with {prefix}"
    if len(data) >= HEADER_SIZE and data[HEADER_SIZE - 1] >> 4 == _ERROR:
        prefix = url_prefix(scheme, is_http=False)
        return f"it speaks frames, so the URL must begin with {prefix}"
    return ""


def perhaps_other(scheme: Scheme) -> str:
    """Return the end of an error about a server that has sent nothing; empty where it has TLS."""
    if scheme.is_secure or scheme.is_unix:
        return ""
    prefix = url_prefix(scheme, is_http=scheme.is_http, is_secure=True)
    text = f": if it speaks TLS, the URL must begin with {prefix}"
    return text if scheme.is_http else f"{text}, if it speaks HTTP, with http://"
