"""Resolution of host names beside the loop of scripts: it may take longer than a caller has."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from select import POLLIN
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from wiredaemon.client.blocking_waits import BlockingWaiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wiredaemon.client.blocking_loop import BlockingLoop

Resolve: TypeAlias = "Callable[..., Sequence[tuple[Any, ...]]]"
"""The signature of ``socket.getaddrinfo``."""


class SocketAddress(NamedTuple):
    """One address of a server, as a socket takes it."""

    family: int
    place: Any
    """The path of a Unix socket, or a tuple that begins with an IP address and a port."""


class Names:
    """Finds the addresses of hosts: in one thread for each host that is being looked for."""

    def __init__(self, loop: BlockingLoop, resolve: Resolve = socket.getaddrinfo) -> None:
        """Begin with nothing to find.

        Args:
            loop: Goes on once something was found.
            resolve: Finds, and may block.
        """
        self._loop = loop
        self._resolve = resolve
        self._searches: dict[tuple[str, int], _Search] = {}

    def find(self, host: str, port: int) -> _Search:
        """Begin to look for a host, or join who does so already."""
        search = self._searches.get((host, port))
        if search is None:
            search = _Search(self._loop, lambda: self._searches.pop((host, port), None))
            self._searches[host, port] = search
            resolve = partial(self._resolve, host, port, type=socket.SOCK_STREAM)
            # A program does not wait for it at its end.
            thread = Thread(target=search.ask, args=(resolve,), name=f"find {host}", daemon=True)
            thread.start()
        return search

    def drop(self) -> None:
        """Forget what is being looked for."""
        for search in list(self._searches.values()):
            search.drop()


class _Search:
    """One search, which ends when the resolver does, and not before."""

    def __init__(self, loop: BlockingLoop, on_end: Callable[[], object]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._waiting: list[BlockingWaiter] = []
        self._found: list[SocketAddress] = []
        self._error: BaseException | None = None
        # The thread wakes the loop by sending a byte, and touches nothing else of it.
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)  # noqa: FBT003 its signature
        loop.watch(self._ours.fileno(), POLLIN, self._on_ready)

    def ask(self, resolve: Callable[[], Iterable[tuple[Any, ...]]]) -> None:
        """Ask the resolver, in another thread."""
        try:
            self._found = in_turn(read_addresses(resolve()))
        except BaseException as error:  # noqa: BLE001 it is raised where somebody waits
            self._error = error
        with self._theirs, suppress(OSError):
            self._theirs.send(b"\0")

    def _on_ready(self, _: int) -> None:
        self.drop()
        for waiter in self._waiting:
            waiter.wake()

    def waiter(self) -> BlockingWaiter:
        """Return a wait for the end of the search."""
        waiter = BlockingWaiter()
        self._waiting.append(waiter)
        return waiter

    def addresses(self) -> list[SocketAddress]:
        """Return what was found.

        Raises:
            OSError: There is no such host.
        """
        if self._error is not None:
            raise self._error
        return self._found

    def drop(self) -> None:
        """Listen to the resolver no more."""
        self._on_end()
        self._loop.unwatch(self._ours.fileno())
        self._ours.close()


def numeric_address(host: str, port: int) -> list[SocketAddress]:
    """Return the address that is written in place of a name; none if a name is."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror:
        return []
    return read_addresses(found)


def read_addresses(found: Iterable[tuple[Any, ...]]) -> list[SocketAddress]:
    """Return addresses as ``socket.getaddrinfo`` gives them."""
    return [SocketAddress(family, place) for family, _, _, _, place in found]


def in_turn(addresses: Iterable[SocketAddress]) -> list[SocketAddress]:
    """Return addresses of the families in turn, each family in the order of the resolver.

    Source: RFC 8305, section 4.
    """
    families: dict[int, list[SocketAddress]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]
