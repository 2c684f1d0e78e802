"""Credentials of a client: a password or a token."""

from __future__ import annotations

import base64
import ipaddress
import netrc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from wiredaemon.client.errors import UrlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wiredaemon.client.address import Address


@dataclass(frozen=True, slots=True)
class Password:
    """A user's name and password."""

    user: str
    password: bytes | str = field(repr=False)

    def header(self) -> bytes:
        """Return the value of HTTP's ``Authorization``."""
        return b"Basic " + base64.b64encode(self.user.encode() + b":" + _octets(self.password))

    def arguments(self) -> Mapping[bytes, bytes]:
        """Return the arguments of ``login`` on a raw connection."""
        return {b"name": self.user.encode(), b"password": _octets(self.password)}


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    token: bytes | str = field(repr=False)

    def header(self) -> bytes:
        """Return the value of HTTP's ``Authorization``."""
        return b"Bearer " + _octets(self.token)

    def arguments(self) -> Mapping[bytes, bytes]:
        """Return the arguments of ``login`` on a raw connection."""
        return {b"token": _octets(self.token)}


def _octets(secret: bytes | str) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


Credentials: TypeAlias = Password | Token


def from_netrc(file: Path | str | Literal[True], address: Address) -> Password | None:
    """Return the login for a server in a netrc file; None if there is none for it.

    Args:
        file: The file; True for ``~/.netrc``, which may be missing.
        address: The server, and perhaps the user whose password is looked for.

    Raises:
        UrlError: The file cannot be read.
    """
    try:
        found = netrc.netrc(None if file is True else str(file)).authenticators(address.host)
    except FileNotFoundError:
        if file is True:
            return None
        raise UrlError(f"there is no file {file}") from None
    except (OSError, netrc.NetrcParseError) as error:
        raise UrlError(f"the netrc file cannot be used: {error}") from None
    if found is None:
        return None
    user, _, password = found
    if address.user is not None and address.user != user:
        return None
    return Password(user, (password or "").encode())


def check_secrecy(address: Address) -> None:
    """Refuse to send a password or a token over a connection that others could read.

    Raises:
        UrlError: The connection is neither encrypted nor to this machine.
    """
    if address.scheme.is_secure or address.scheme.is_unix or _is_local(address.host):
        return
    raise UrlError(
        f"a password or a token would travel to {address} unencrypted: use https:// or hgrpcs://"
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
