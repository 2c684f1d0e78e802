"""Examines the ports: whether each can be opened, and who has those that are taken."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from wiredaemon.daemon.doctor.finding import error, fine, warning
from wiredaemon.net.endpoints import EndpointError, server_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding

_OURS: Final = (b"wiredaemon", b"twistd")
"""Words of the command line of a daemon."""
_LOCAL_ADDRESS: Final = 1
_STATE: Final = 3
_INODE: Final = 9
_LISTENS: Final = "0A"
"""Columns of ``/proc/net/tcp``, and the state of a socket that listens (proc(5))."""


_ALL: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 nothing listens there
"""Addresses that stand for all of this machine."""
_PRIVATE: Final = "add :interface= with 127.0.0.1, or with an address of a private network"


class Place(NamedTuple):
    """What an endpoint would open: an address and a port, or the path of a Unix socket."""

    address: str
    port: int = 0
    path: str = ""


class _Recorder:
    """Stands for a reactor, and notes what endpoints ask of it."""

    def __init__(self) -> None:
        self.places: list[Place] = []

    def listenTCP(self, port: int, factory: object, backlog: int, interface: str) -> None:  # noqa: ARG002 as Twisted's
        self.places.append(Place(interface, port))

    def listenUNIX(self, address: str, factory: object, **_: object) -> None:  # noqa: ARG002 the same
        self.places.append(Place("", path=os.fsdecode(address)))


def examine_ports(config: Config) -> Iterator[Finding]:
    """Yield whether each listener could be opened now, by this process. Blocks.

    Each port is bound and let go again; nobody could connect meanwhile. Endpoints that are wrong
    are left out: ``daemon.check`` reports them.
    """
    for key, endpoints in config.endpoints().items():
        for endpoint in endpoints:
            for place in _places(endpoint):
                examine = _examine_path if place.path else _examine_port
                yield examine(key, endpoint, place)
                if key == "admin.listen" and not place.path and place.address in _ALL:
                    yield warning(key, f"{endpoint} shows metrics to all that reach it", _PRIVATE)


def _places(endpoint: str) -> list[Place]:
    recorder: Any = _Recorder()
    try:
        listening = server_endpoint(recorder, endpoint).listen(Factory())
    except EndpointError:
        return []
    if isinstance(listening, Deferred):
        # Endpoints of other kinds (systemd) ask for more than is noted here.
        listening.addErrback(lambda _: None)
    places: list[Place] = recorder.places
    return places


def _examine_port(area: str, endpoint: str, place: Place) -> Finding:
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        # As Twisted's ports have it: a port whose connections wait for their end can be taken.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((place.address, place.port))
        except OSError as refused:
            return _refused(area, endpoint, place, refused)
    if 0 < place.port < _first_free_port():
        root = "is privileged: `twistd --uid` opens it before it gives up root's rights"
        return fine(area, f"{endpoint} is free, and {root}")
    return fine(area, f"{endpoint} is free")


def _refused(area: str, endpoint: str, place: Place, refused: OSError) -> Finding:
    if refused.errno == errno.EACCES:
        return error(
            area,
            f"{endpoint}: ports below {_first_free_port()} are privileged",
            "start as root with `twistd --uid`, or with AmbientCapabilities=CAP_NET_BIND_SERVICE"
            " of systemd, or take another port",
        )
    if refused.errno == errno.EADDRNOTAVAIL:
        text = f"{endpoint}: this machine does not have the address {place.address}"
        return error(area, text, "take an address that `ip address` shows, or none for all")
    if refused.errno != errno.EADDRINUSE:
        return error(area, f"{endpoint}: {refused.strerror}", "take another address or port")
    pid, command = _holder(place.port)
    if any(word in command for word in _OURS):
        return fine(area, f"{endpoint} is open already: a daemon listens there (process {pid})")
    shown = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    holder = f"process {pid} ({shown})" if pid else "another program"
    how = f"end it, or take another port; `ss -ltnp sport = :{place.port}` shows who has it"
    return error(area, f"{endpoint}: {holder} has this port", how)


def _examine_path(area: str, endpoint: str, place: Place) -> Finding:
    folder = Path(place.path).parent
    if not folder.is_dir():
        return error(area, f"{endpoint}: there is no folder {folder}", f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        text = f"{endpoint}: the folder {folder} cannot be written"
        return error(area, text, "let the daemon's user write it, as RuntimeDirectory= of systemd")
    if Path(place.path).exists() and not Path(place.path).is_socket():
        text = f"{endpoint}: {place.path} exists and is no socket"
        return warning(area, text, "remove it, or take another path")
    return fine(area, f"{endpoint} can be made")


def _first_free_port() -> int:
    """Return the first port that needs no right."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    except (OSError, ValueError):
        return 1024


def _holder(port: int) -> tuple[int, bytes]:
    """Return process and command line of who listens on a port; 0 where that cannot be known.

    Only Linux tells, and other users' processes only to root.
    """
    inodes = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(table, port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(descriptor.readlink()) in inodes:
                process = descriptor.parts[2]
                return int(process), Path("/proc", process, "cmdline").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours to see
    return 0, b""


def _inodes(table: str, port: int) -> Iterator[str]:
    try:
        lines = Path("/proc/net", table).read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for columns in map(str.split, lines):
        found = int(columns[_LOCAL_ADDRESS].rpartition(":")[2], 16)
        if found == port and columns[_STATE] == _LISTENS:
            yield columns[_INODE]
