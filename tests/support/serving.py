"""A real server on loopback sockets in this process: HTTP and raw TCP, with TLS or without.

Owns ports the system chose, for as long as an ``async with`` lasts. For what an answer should never
be there is `scripted`: a listener that sends the same bytes to everybody.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trustme
from support.logins import identification_of, logins_of
from support.web import API, FakeHost, apis_speaking, settings_of
from twisted.internet.protocol import Factory, Protocol

from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.access import ApiSwitches
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application
from wiredaemon.net.site.site import make_site
from wiredaemon.net.tls import over_tls, server_options
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from support.logins import Users
    from twisted.internet.interfaces import IProtocolFactory

    from wiredaemon.commands import Command


def write_certificate(folder: Path, *names: str) -> Path:
    """Make ``ca.pem``, ``cert.pem`` and ``key.pem`` for these hosts in a folder, and give it."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder


def factory_of(
    kind: str,
    commands: Iterable[Command] | None,
    *,
    framings: Sequence[str] = tuple(API),
    certificate: Path | None = None,
    users: Users | None = None,
    client_ca: Path | None = None,
    limits: Limits | None = None,
    guard: ConnectionGuard | None = None,
) -> IProtocolFactory:
    """Return what listens for one kind of URL.

    Args:
        kind: The scheme of the URL.
        commands: The commands to serve; by default the seeds'.
        framings: In order; raw listeners speak the last one where ALPN chooses no other.
        certificate: Folder of `write_certificate`, for the kinds with TLS.
        users: Who can log in, if anybody can.
        client_ca: A PEM file of those who vouch for clients.
        limits: The server's.
        guard: Of the connections, if another one is needed than any with these limits.
    """
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    limits = limits or Limits()
    if guard is None:
        guard = ConnectionGuard(anywhere, limits)
    host = FakeHost(commands, settings=settings_of(switches=ApiSwitches(json=True)))
    factory: IProtocolFactory
    if kind.startswith("http"):
        factory = make_site(
            Application(
                apis=apis_speaking(framings),
                limits=limits,
                reactor=anywhere,
                guard=guard,
                identification=None if users is None else identification_of(users),
            ),
            HostLookup({"/": host, "/a/b": host}),
        )
    else:
        factory = FramedFactory(
            HostLookup({"/": host, "/a/b": host}),
            DIALECTS[framings[-1]],
            reactor=anywhere,
            limits=limits,
            guard=guard,
            logins=None if users is None else logins_of(users),
        )
    if certificate is None:
        return factory
    protocols = getattr(factory, "media_types", ())
    options = server_options(
        certificate / "cert.pem",
        certificate / "key.pem",
        protocols,
        client_authorities=client_ca,
    )
    return over_tls(factory, options)


@asynccontextmanager
async def listening(factory: IProtocolFactory) -> AsyncIterator[int]:
    """Listen on loopback, and yield the port."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    port = anywhere.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


class _Scripted(Protocol):
    """Sends the next answer for whatever comes."""

    transport: Any

    def __init__(self, answers: Sequence[bytes], *, closes: bool) -> None:
        self._answers = list(answers)
        self._closes = closes

    def dataReceived(self, data: bytes) -> None:  # noqa: ARG002 whatever was asked
        if self._answers:
            self.transport.write(self._answers.pop(0))
        if self._closes and not self._answers:
            self.transport.loseConnection()


def scripted(*answers: bytes, closes: bool = True) -> Factory:
    """Return what answers everybody with these bytes, one after the other, and then may close."""
    return Factory.forProtocol(lambda: _Scripted(answers, closes=closes))
