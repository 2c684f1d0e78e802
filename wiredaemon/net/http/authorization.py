"""Reads the header ``Authorization``, and writes ``WWW-Authenticate``.

Source: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.credentials import Password, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.web.http_headers import Headers

# The token68 of RFC 9110, 11.2.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


class UnreadableError(Exception):
    """The header names no known scheme, or is not as its scheme has it."""


def read_credentials(headers: Headers) -> Password | Token | None:
    """Return the credentials in a request's head; None if there are none.

    Raises:
        UnreadableError: There are some that cannot be read.
    """
    values = headers.getRawHeaders(b"Authorization")
    if not values:
        return None
    # Two could be read as either by whoever stands in front of us.
    if len(values) > 1:
        raise UnreadableError("there are several Authorization headers")
    scheme, _, value = values[0].strip().partition(b" ")
    value = value.strip()
    match scheme.lower():
        case b"basic":
            return _read_basic(value)
        case b"bearer" if _TOKEN.fullmatch(value):
            return Token(value)
    raise UnreadableError("the Authorization header is neither Basic nor Bearer")


def _read_basic(value: bytes) -> Password:
    try:
        decoded = base64.b64decode(value, validate=True)
        name, colon, password = decoded.partition(b":")
        # UTF-8, as browsers send it; RFC 7617 leaves it open.
        user = name.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        user, colon = "", b""
    if not colon or not user:
        raise UnreadableError("the Authorization header has no user name and password")
    return Password(user, password)


def challenges(realm: str, *, bearer: bool) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers that ask for a login.

    Basic stands first, and in a header of its own: ``hg`` ends with an error where another scheme
    is in front of it.

    Args:
        realm: The name of what the login is for, which clients show and keep passwords by.
        bearer: Whether tokens are accepted. ``hg`` sends a token as a password.
    """
    # A quoted string of RFC 9110, 5.6.4.
    quoted = re.sub(r'(["\\])', r"\\\1", realm).encode("latin-1", "replace")
    found = [(b"WWW-Authenticate", b'Basic realm="%s"' % quoted)]
    if bearer:
        found.append((b"WWW-Authenticate", b'Bearer realm="%s"' % quoted))
    return found
