"""Which commands a raw connection may run: each request is decided by itself.

A raw connection has no URL. The path of what is asked stands in the request map, under the key
``path`` (a byte string, ``/`` if absent); the permission is the command's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.access import authorize
from wiredaemon.net.context import Origin
from wiredaemon.net.rules import UNAVAILABLE
from wiredaemon.net.sink import Admitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.python.failure import Failure

    from wiredaemon.commands import Command, Peer
    from wiredaemon.net.hosting import Host, Settings
    from wiredaemon.protocol import RequestReceived
    from wiredaemon.wire.dialects import Dialect

PATH: Final = b"path"
_log: Final = Logger()


class RawAdmission:
    """The admission of one raw connection."""

    __slots__ = ("_admitted", "_dialect", "_hosts", "_peer", "_root", "_settings")

    def __init__(self, hosts: Mapping[str, Host], dialect: Dialect, peer: Peer) -> None:
        """Admit what the hosts' settings allow a peer.

        Args:
            hosts: By URL prefix: ``/``, or ``/name/name``.
            dialect: That the connection speaks.
            peer: Who asks.
        """
        self._hosts = hosts
        self._root = hosts.get("/")
        self._dialect = dialect
        self._peer = peer
        self._settings: Settings | None = None
        self._admitted: dict[object, Admitted] = {}
        """What may run at ``/`` under those settings, by name: asked again and again."""

    def expects_data(self, event: RequestReceived) -> bool:
        """Say whether the request is for a command that declares data."""
        prefix = _prefix(event)
        host = None if prefix is None else self._hosts.get(prefix)
        if host is None:
            return False
        command = host.registry.find_exposed(event.command, self._dialect)
        return command is not None and command.has_data

    def admit(self, event: RequestReceived) -> Admitted | Deferred[Admitted]:
        """Give the command of a request, once its host's settings are known."""
        root, name = self._root, event.command
        settings: Settings | Deferred[Settings] | None = None
        if root is not None and not event.extra and type(name) is bytes and name in self._admitted:
            settings = root.settings()
            if settings is self._settings:
                return self._admitted[name]
        prefix = _prefix(event)
        if prefix is None:
            raise CommandError("path must be a byte string")
        host = self._hosts.get(prefix)
        if host is None:
            raise CommandError(b"no repository is served at path %s", [prefix])
        command = host.registry.find_exposed(event.command, self._dialect)
        if command is None:
            shown = name if isinstance(name, bytes) else b"?"
            raise CommandError(b"wire protocol command not available: %s", [shown])
        if settings is None:
            # Once for each request: a Deferred that nobody waits for may fail as well.
            settings = host.settings()
        if isinstance(settings, Deferred):
            return settings.addCallbacks(
                lambda known: self._grant(host, known, command), _refuse_unavailable
            )
        return self._grant(host, settings, command)

    def _grant(self, host: Host, settings: Settings, command: Command) -> Admitted:
        denial = authorize(settings.access, command.permission, self._peer)
        if denial is not None:
            raise CommandError(denial.message)
        origin = Origin(
            host=host,
            settings=settings,
            framings=[self._dialect],
            dialect=self._dialect,
            peer=self._peer,
            permission=command.permission,
        )
        admitted = Admitted(command, origin)
        if host is self._root:
            if settings is not self._settings:
                self._settings = settings
                self._admitted.clear()
            self._admitted[command.name.encode()] = admitted
        return admitted


def _prefix(event: RequestReceived) -> str | None:
    """Give the URL prefix that a request asks at; None if what it says is none."""
    path = event.extra.get(PATH, b"/") if event.extra else b"/"
    if not isinstance(path, bytes):
        return None
    return "/" + path.decode("utf-8", "replace").strip("/")


def _refuse_unavailable(_: Failure) -> Admitted:
    # Logged where it was found out.
    raise ServerError(UNAVAILABLE)
