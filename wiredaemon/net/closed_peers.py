"""Finds out whether the peer of a connection has closed it, or its sending side only.

Both look the same from here, until something is sent. But where the peer is on this machine, as a
proxy is, its socket can be asked for. Others are probed: the system of a peer that has gone answers
with a reset a minute later, when it has forgotten the connection (Linux: tcp_fin_timeout).

Source: docs/decisions.md.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Any, Final

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_PROBES: Final = 4
"""Seconds, each with a probe, in which nothing comes back from a machine that has gone."""

# linux/sock_diag.h, linux/inet_diag.h and linux/netlink.h.
_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_ALL_STATES: Final = 0xFFFFFFFF
_NO_COOKIE: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("=IHHII")
_ASKED: Final = struct.Struct("=BBBBI")
_PAIR: Final = struct.Struct(">HH16s16s")
_PLACE: Final = struct.Struct("=III")
_INODE: Final = _HEADER.size + 4 + _PAIR.size + _PLACE.size + 16


def has_closed(handle: Any) -> bool:  # noqa: ANN401 a socket, or whatever a transport has
    """Return whether the peer has closed both sides; False where nobody knows.

    Args:
        handle: The socket of a connection whose peer sends nothing more; None if it has none.
    """
    if getattr(handle, "family", None) not in _INTERNET or not hasattr(socket, "AF_NETLINK"):
        return False
    try:
        peer, ours = handle.getpeername()[:2], handle.getsockname()[:2]
        if not _plain(peer[0]).is_loopback:
            return False
        return _inode(handle.family, peer, ours) == 0
    except OSError:
        # It is closed, or the system does not say.
        return False


def probe(handle: Any) -> None:  # noqa: ANN401 the same
    """Let the system find out from now on whether a peer that sends nothing more is still there.

    Args:
        handle: As of `has_closed`.
    """
    # Elsewhere than on Linux they have other names; a Unix socket needs none of it.
    if getattr(handle, "family", None) not in _INTERNET or not hasattr(socket, "TCP_KEEPIDLE"):
        return
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _inode(family: int, source: tuple[str, int], target: tuple[str, int]) -> int:
    """Return the number of a socket's file, 0 where no process has it open any more.

    Raises:
        OSError: The system does not know the connection, or does not say.
    """
    hosts = [socket.inet_pton(family, each[0].partition("%")[0]) for each in (source, target)]
    asked = _HEADER.pack(
        _HEADER.size + _ASKED.size + _PAIR.size + _PLACE.size, _BY_FAMILY, _REQUEST, 1, 0
    )
    asked += _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES)
    asked += _PAIR.pack(source[1], target[1], *hosts)
    asked += _PLACE.pack(0, _NO_COOKIE, _NO_COOKIE)
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_NETLINK, kind, _SOCK_DIAG) as kernel:
        kernel.send(asked)
        answer = kernel.recv(4096)
    if len(answer) < _INODE + 4 or _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        raise OSError("the connection is not known")
    found: int = struct.unpack_from("=I", answer, _INODE)[0]
    return found
