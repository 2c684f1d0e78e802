"""Reads what trusted proxies say of the clients behind them: address, security, user and URL.

Anybody can send such headers, so they count only on connections from the proxies that the
configuration trusts, and only those that it says they set. A header that a proxy does not set
reaches us as its client wrote it.

Source: RFC 7239.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from twisted.internet.address import UNIXAddress

from wiredaemon.accounts.names import vouched_name_problem
from wiredaemon.commands import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twisted.internet.interfaces import IAddress
    from twisted.web.http_headers import Headers

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX: Final = "unix"
"""Stands for all Unix sockets in the list of trusted proxies."""


class ForwardedHeaders(Enum):
    """The headers that proxies describe the client with."""

    X_FORWARDED = "x-forwarded"
    """``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix``."""
    FORWARDED = "forwarded"
    """``Forwarded``, as RFC 7239 has it."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxies that are trusted, and the headers that they set."""

    networks: tuple[_Network, ...] = ()
    """The networks that their addresses are in."""
    unix: bool = False
    """Whoever connects through a Unix socket is one."""
    headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED
    user_header: bytes = b""
    """The header with the name of the user that the proxy let in; empty if there is none."""

    def trusts(self, address: IAddress) -> bool:
        """Return whether a connection from this address is a trusted proxy's."""
        if isinstance(address, UNIXAddress):
            return self.unix
        parsed = _parse(getattr(address, "host", None) or "")
        return parsed is not None and self._has(parsed)

    def client(self, proxy: Peer, headers: Headers) -> tuple[Peer, str | None]:
        """Return the peer behind a trusted proxy, not logged in, and the name of its user.

        Args:
            proxy: The proxy as a peer.
            headers: The headers of the request.
        """
        client = proxy
        if self.headers is ForwardedHeaders.X_FORWARDED:
            client = replace(proxy, is_secure=_is_https(headers, proxy))
        for hop in self._hops(headers):
            is_secure = client.is_secure if hop.is_secure is None else hop.is_secure
            client = Peer(address=f"{hop.host}:{hop.port}", is_secure=is_secure)
        return client, self._user(headers)

    def are_all(self, headers: Headers) -> bool:
        """Return whether the proxies name a client, and say of nobody who is farther away."""
        if self.headers is ForwardedHeaders.NONE:
            return False
        is_x = self.headers is ForwardedHeaders.X_FORWARDED
        said = _listed(headers, b"X-Forwarded-For" if is_x else b"Forwarded")
        return len(said) > 0 and sum(1 for _ in self._hops(headers)) == len(said)

    def asked(self, headers: Headers) -> tuple[bytes, Sequence[bytes]]:
        """Return what the client asked a trusted proxy for, as received: nothing of it is checked.

        Args:
            headers: The headers of the request.

        Returns:
            Host and perhaps port, empty if the proxies do not say; and the prefixes that they took
            off the path, the outermost one first.
        """
        if self.headers is ForwardedHeaders.NONE:
            return b"", ()
        hops = list(self._hops(headers))
        if self.headers is ForwardedHeaders.FORWARDED:
            asked = next((hop.asked for hop in reversed(hops) if hop.asked), "")
            return asked.encode("latin-1"), ()
        # As many as there are proxies whose word counts: those in front may be the client's own.
        most = max(len(hops), 1)
        hosts = _listed(headers, b"X-Forwarded-Host")[-most:]
        prefixes = _listed(headers, b"X-Forwarded-Prefix")[-most:]
        return "".join(hosts[:1]).encode("latin-1"), [each.encode("latin-1") for each in prefixes]

    def _hops(self, headers: Headers) -> Iterator[_Hop]:
        """Yield the hops that are certain, the nearest one first."""
        hops: Iterator[_Hop] = iter(())
        if self.headers is ForwardedHeaders.X_FORWARDED:
            hops = _x_forwarded(headers)
        elif self.headers is ForwardedHeaders.FORWARDED:
            hops = _forwarded(headers)
        for hop in hops:
            # "unknown", or a name that stands for an address: nobody knows who is farther away.
            address = _parse(hop.host)
            if address is None:
                break
            yield replace(hop, host=str(address))
            # Whatever stands in front of an address that we do not trust may be made up.
            if not self._has(address):
                break

    def _has(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)

    def _user(self, headers: Headers) -> str | None:
        if not self.user_header:
            return None
        # Twice: a proxy that adds the header leaves in place what its client has sent.
        values = headers.getRawHeaders(self.user_header, [])
        if len(values) != 1:
            return None
        try:
            name = values[0].strip().decode("utf-8")
        except UnicodeDecodeError:
            return None
        return None if vouched_name_problem(name) else name


def parse_proxies(
    trusted: Sequence[str],
    *,
    headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED,
    user_header: str = "",
) -> Proxies | None:
    """Return the proxies of a configuration; None if it trusts none.

    Args:
        trusted: Addresses, networks such as ``10.0.0.0/8``, or ``unix``.
        headers: The headers that they set.
        user_header: The header that they name users with; empty for none.

    Raises:
        ValueError: An entry is none of these.
    """
    if not trusted:
        return None
    return Proxies(
        networks=tuple(ipaddress.ip_network(each) for each in trusted if each != UNIX),
        unix=UNIX in trusted,
        headers=headers,
        user_header=user_header.encode("ascii"),
    )


@dataclass(frozen=True, slots=True)
class _Hop:
    """One step of a request's way: who sent it, and how."""

    host: str
    port: str
    is_secure: bool | None = None
    """Whether it was sent over TLS; None if that was not said."""
    asked: str = ""
    """The host that it was sent to; empty if that was not said."""


def _is_https(headers: Headers, proxy: Peer) -> bool:
    """Return whether all proxies say that they were reached over TLS; without a word, as ours."""
    schemes = _listed(headers, b"X-Forwarded-Proto")
    # All of them: one step in plain text is enough for somebody to read along.
    return all(each.lower() == "https" for each in schemes) if schemes else proxy.is_secure


def _x_forwarded(headers: Headers) -> Iterator[_Hop]:
    """Yield the hops, the nearest one first."""
    for entry in reversed(_listed(headers, b"X-Forwarded-For")):
        yield _Hop(*_split(entry))


_PAIR: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~\w-]+)=("(?:[^"\\]|\\.)*"|[^";,\s]*)\s*')


def _forwarded(headers: Headers) -> Iterator[_Hop]:
    """Yield the hops, the nearest one first, as far as they can be read."""
    for element in reversed(_listed(headers, b"Forwarded")):
        pairs = [_PAIR.fullmatch(part) for part in element.split(";")]
        values = {
            pair[1].lower(): re.sub(r"\\(.)", r"\1", pair[2].strip('"'))
            for pair in pairs
            if pair is not None
        }
        if None in pairs or "for" not in values:
            return
        scheme = values.get("proto")
        is_secure = None if scheme is None else scheme.lower() == "https"
        yield _Hop(*_split(values["for"]), is_secure, values.get("host", ""))


def _listed(headers: Headers, name: bytes) -> list[str]:
    """Return the elements of a list that may be spread over several headers of one name.

    No address, port or scheme has a comma in it, quoted or not: one that has is cut, and neither
    half can be read.
    """
    values = b",".join(headers.getRawHeaders(name, [])).decode("latin-1")
    return [each.strip() for each in values.split(",")] if values else []


_WITH_PORT: Final = re.compile(r"\[([^]]*)\](?::(\d{1,5}))?|([^:]*):(\d{1,5})")


def _split(entry: str) -> tuple[str, str]:
    """Return host and port; the port is ``0`` where there is none. IPv6 may have brackets."""
    found = _WITH_PORT.fullmatch(entry)
    if found is None:
        return entry, "0"
    return found[1] or found[3] or "", found[2] or found[4] or "0"


def _parse(host: str) -> _Address | None:
    try:
        # Without the zone of a link-local address, which means something on the sender's machine
        # only.
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # A socket that accepts both kinds shows IPv4 addresses in this form.
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
