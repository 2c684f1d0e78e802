"""The options of a connection."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from wiredaemon.client.credentials import Credentials, Password, Token
from wiredaemon.client.errors import ClientError
from wiredaemon.wire.dialects import DIALECTS, Dialect
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Longer than a round trip to anywhere, shorter than the patience of whoever waits for a program to
# end.
CLOSE_SECONDS: Final = 5.0
"""Seconds that closing may take: over TLS the server has to close its side as well."""

# An object of `largest_object` with nothing but nodes in it has 12 million.
_LARGE_ANSWERS: Final = Limits(cbor_elements=16_000_000, cbor_containers=1_000_000)
"""A client wants what it asked for, so it bounds the size of objects more than their elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """The settings of a client: how it connects, and how much of a response it holds.

    Raises:
        ClientError: A value is of another type, or out of its range.
    """

    dialect: Dialect | None = None
    """The framing to speak; None for the server's preferred one over HTTP, 0006 over raw TCP."""
    content_encodings: Sequence[bytes] | Sequence[str] = ()
    """Content encodings to offer for responses, the most preferred first; 0006 only."""
    data_encodings: Sequence[bytes] | Sequence[str] = ()
    """Content encodings for command data, the most preferred first; the first one that the server
    knows is used. Only in sessions, which raw connections have in 0006."""
    authorities: Path | str | None = None
    """A PEM file of the certificates to trust; None for the system's."""
    trusts_anybody: bool = False
    """Do not verify the server's certificate and name."""
    credentials: Credentials | None = None
    """The password or token to log in with; None for those of the URL, if it has any."""
    netrc: Path | str | Literal[True] | None = None
    """A file of logins by host, as other programs know it, or True for ``~/.netrc``."""
    certificate: Path | str | None = None
    """A PEM file of our own certificate, for servers whose users have some; it may hold the key."""
    private_key: Path | str | None = None
    """A PEM file of its key; None if that is in the certificate's file."""
    sends_plainly: bool = False
    """Send the password or token also where others could read it."""
    # What Twisted's own endpoints allow for a connection.
    connect_seconds: float = 30.0
    """Seconds for each step: the connection with its TLS handshake, the server's first answer; and
    for all attempts together to connect again once a connection was lost."""
    timeout: float | None = None
    """Seconds that each call may take which has no timeout of its own; None for no limit."""
    keep_alive_seconds: float | None = 60.0
    """Seconds of silence on a raw connection after which the server is asked for a sign of life; it
    has as long to give one. None never asks; servers without sessions cannot be asked."""
    retries: int = 1
    """The most times that a call is repeated when its connection was lost, if that is safe: the
    command only reads, no object has arrived, and the data is none or bytes."""
    most_connections: int = 32
    """The most HTTP connections at the same time; further calls wait for one."""
    silent_seconds: float | None = None
    """Seconds that a call may wait without a byte in or out; None for no limit."""
    limits: Limits = _LARGE_ANSWERS
    """The limits of frames, and of the depth and elements of objects."""
    # Objects of Mercurial's commands are texts of files, which it holds in memory itself; larger
    # files are kept elsewhere (LFS).
    largest_object: int = 256 * 1024 * 1024
    """The most bytes of one object of a response."""
    # A quarter of the largest object: enough for one call to be drained while another waits.
    untaken_bytes: int = 64 * 1024 * 1024
    """The most bytes of untaken responses that are held while other calls go on."""

    def __post_init__(self) -> None:
        """Refuse here what would fail, or wait for ever, where it is used."""
        for name, (fits, wanted) in _RULES.items():
            value = getattr(self, name)
            if not fits(value):
                # Of others the type alone: they may be secrets.
                shown = repr(value) if isinstance(value, int | float) else type(value).__name__
                raise ClientError(f"the option {name} must be {wanted}, not {shown}")


def _is_time(value: Any) -> bool:  # noqa: ANN401 whatever was given
    return _is_a(value, int | float) and math.isfinite(value) and value > 0


def _is_a(value: object, kinds: Any) -> bool:  # noqa: ANN401 a type, or a union of some
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_login(value: object) -> bool:
    try:
        return isinstance(value, Password | Token) and bool(value.header())
    except (AttributeError, TypeError, UnicodeError):
        return False  # of numbers, for instance


_Rule: TypeAlias = tuple[Callable[[Any], bool], str]
"""A test that accepts the right values, and words for what is accepted."""
_NAMES: Final[_Rule] = (lambda value: not isinstance(value, str | bytes), "a list of names")
_FILE: Final[_Rule] = (
    lambda value: isinstance(value, str | os.PathLike | None),
    "a path, its text or None",
)
_COUNT: Final[_Rule] = (lambda value: _is_a(value, int) and value >= 0, "a whole number from 0 on")
_SIZE: Final[_Rule] = (lambda value: _is_a(value, int) and value > 0, "a whole number from 1 on")
_TIME: Final[_Rule] = (_is_time, "a number of seconds above 0")
_TIME_OR_NONE: Final[_Rule] = (
    lambda value: value is None or _is_time(value),
    "a number of seconds above 0, or None",
)
_RULES: Final[Mapping[str, _Rule]] = {
    "dialect": (
        lambda value: isinstance(value, Dialect | None),
        f"one of DIALECTS[{min(DIALECTS)!r}] to DIALECTS[{max(DIALECTS)!r}], or None",
    ),
    "content_encodings": _NAMES,
    "data_encodings": _NAMES,
    "authorities": _FILE,
    "credentials": (
        lambda value: value is None or _is_login(value),
        "a Password or a Token of texts or bytes, or None",
    ),
    "netrc": (
        lambda value: value is True or isinstance(value, str | os.PathLike | None),
        "a path, its text, True or None",
    ),
    "certificate": _FILE,
    "private_key": _FILE,
    "connect_seconds": _TIME,
    "keep_alive_seconds": _TIME_OR_NONE,
    "retries": _COUNT,
    "most_connections": _SIZE,
    "silent_seconds": _TIME_OR_NONE,
    "limits": (lambda value: isinstance(value, Limits), "Limits"),
    "largest_object": _SIZE,
    "untaken_bytes": _COUNT,
}
"""The rules of fields; that of `timeout` is the calls', which have some of their own."""

DEFAULT_OPTIONS: Final = ClientOptions()
