"""What a service is told: who may do what, and with which certificate a port speaks TLS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wiredaemon.net.hosting.access import ALL, AccessRules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NOBODYS_NAME: Final = ("",)
"""A list that denies who has not logged in, and no user, for none has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate in PEM files."""

    certificate: Path
    """The server's own certificate, then the chain that vouches for it."""
    private_key: Path
    """Its key, without a password."""
    client_ca: Path | None = None
    """The authorities that sign clients' certificates, whose common names are users where the
    service has logins; None asks for none."""


def access_of(
    readers: Iterable[str] | None,
    writers: Iterable[str] | None,
    *,
    has_logins: bool,
    allow_plain: bool,
) -> AccessRules:
    """Return the rules of a service.

    Args:
        readers: Users, ``@groups``, or ``*`` alone for everybody, who may call what only reads.
            None is everybody, or everybody who has logged in where there are logins.
        writers: The same for what writes; they must be readers, too.
        has_logins: There is a way to log in.
        allow_plain: Calls that write need no TLS.

    Raises:
        TypeError: A list is one text, or holds something else than texts.
    """
    denied = _NOBODYS_NAME if has_logins else ()
    return AccessRules(
        push_ssl=not allow_plain,
        allow_read=() if readers is None else _names("readers", readers),
        deny_read=denied if readers is None else (),
        allow_push=ALL if writers is None else _names("writers", writers),
        deny_push=denied if writers is None else (),
    )


def _names(what: str, given: Iterable[str]) -> tuple[str, ...]:
    names = tuple(given)
    if isinstance(given, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} are a list of texts, not {given!r}")
    # An empty list of readers would let everybody in, by hgweb's rules.
    return names or _NOBODYS_NAME
