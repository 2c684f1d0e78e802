"""Credentials of a client: a password or a token."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wiredaemon.client.errors import UrlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.client.address import Address


@dataclass(frozen=True, slots=True)
class Password:
    """A user's name and password."""

    user: str
    password: bytes = field(repr=False)

    def header(self) -> bytes:
        """Return the value of HTTP's ``Authorization``."""
        return b"Basic " + base64.b64encode(self.user.encode() + b":" + self.password)

    def arguments(self) -> Mapping[bytes, bytes]:
        """Return the arguments of ``login`` on a raw connection."""
        return {b"name": self.user.encode(), b"password": self.password}


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    token: bytes = field(repr=False)

    def header(self) -> bytes:
        """Return the value of HTTP's ``Authorization``."""
        return b"Bearer " + self.token

    def arguments(self) -> Mapping[bytes, bytes]:
        """Return the arguments of ``login`` on a raw connection."""
        return {b"token": self.token}


Credentials: TypeAlias = Password | Token


def check_secrecy(address: Address) -> None:
    """Refuse to send a password or a token over a connection that others could read.

    Raises:
        UrlError: The connection is neither encrypted nor to this machine.
    """
    if address.scheme.is_secure or _is_local(address.host):
        return
    raise UrlError(
        f"a password or a token would travel to {address} unencrypted: use https:// or hgrpcs://"
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
