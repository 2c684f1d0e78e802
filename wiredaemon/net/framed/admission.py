"""Admits the requests of a raw connection, each by itself.

A raw connection has no URL. The path of the repository is in the request map, under the key
``path`` (a byte string; ``/`` if absent); the permission is the command's own (docs/decisions.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.framed.raw_login import LOGIN
from wiredaemon.net.hosting.access import UNAVAILABLE, authorize
from wiredaemon.net.responding.context import Origin
from wiredaemon.net.responding.interfaces import Admitted
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from wiredaemon.commands import Command, Peer
    from wiredaemon.net.framed.raw_login import RawLogin
    from wiredaemon.net.guard.call_counts import CallCount
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.hosting.host_lookup import HostLookup
    from wiredaemon.protocol import RequestReceived
    from wiredaemon.wire.dialects import Dialect

PATH: Final = b"path"
# More than Mercurial and an embedding program declare together; each takes some 200 bytes.
_MOST_ADMITTED: Final = 64
_ALONE: Final = {name: (dialect,) for name, dialect in DIALECTS.items()}
"""The framings of a connection: one object for all of a dialect."""
STOPPING: Final = "the server is stopping"
_log: Final = Logger()
_T = TypeVar("_T")


class RawAdmission:
    """The admission of one raw connection."""

    __slots__ = (
        "_admitted",
        "_calls",
        "_deciding",
        "_dialect",
        "_hosts",
        "_is_current",
        "_is_stopping",
        "_login",
        "_peer",
        "_root",
        "_settings",
    )

    def __init__(
        self,
        hosts: HostLookup,
        dialect: Dialect,
        peer: Peer,
        calls: CallCount,
        login: RawLogin | None = None,
    ) -> None:
        """Admit the commands that the hosts' settings allow a peer to run.

        Args:
            hosts: Finds the host at a path.
            dialect: The dialect of the connection.
            peer: The client.
            calls: Counts the commands that are admitted, without logins.
            login: Who the client has logged in as; None where nobody can log in.
        """
        self._use(hosts)
        self._dialect = dialect
        self._peer = peer
        self._calls = calls
        self._login = login
        self._settings: Settings | None = None
        """The root's settings under which commands were admitted last."""
        self._is_stopping = False
        self._deciding = 0
        """Requests that wait for the decision on them."""
        self._is_current = False
        """This read has found those settings still in force."""
        self._admitted: dict[bytes, Admitted] = {}
        """Commands that were admitted at ``/`` under those settings, to this peer, by name."""

    def begin_read(self) -> None:
        """Note that new input follows: the root's settings are looked up once for all of it.

        Each look-up costs a stat call for each file that the settings come from.
        """
        self._is_current = False
        if self._hosts.replaced_by is not None:
            self._use(self._hosts)
        if self._login is not None:
            self._login.renew()
            self._learn_peer(self._login.peer)

    def _learn_peer(self, peer: Peer) -> None:
        if peer != self._peer:
            self._admitted = {}
        self._peer = peer

    def _use(self, hosts: HostLookup) -> None:
        """Ask these hosts from now on, or those of the latest configuration in their place."""
        while hosts.replaced_by is not None:
            hosts = hosts.replaced_by
        self._hosts = hosts
        # Nearly all requests are for ``/``. A host in a collection may be replaced at any time, so
        # only a fixed one is found once for all reads.
        root = hosts.find(())
        self._root = root.host if root is not None and root.is_fixed else None

    def expects_data(self, event: RequestReceived) -> bool:
        """Return whether the request is for a command that declares data."""
        path = _path(event)
        host = None if path is None else self._host_at(path)
        if host is None:
            return False
        command = host.registry.find_exposed(event.command, self._dialect)
        return command is not None and command.has_data

    def admit(self, event: RequestReceived) -> Admitted | Deferred[Admitted]:
        """Return the command of a request, once its host's settings are known."""
        root, name = self._root, event.command
        settings: Settings | Deferred[Settings] | None = None
        # Bytes only: other types may be unhashable, or equal to a name without being one.
        if self._settings is not None and not event.extra and type(name) is bytes:
            # Measured: 0.05 us for what was admitted before; registry and rules alone take 0.31.
            known = self._admitted.get(name)
            if known is not None and root is not None:
                # Settings are compared by identity: a host makes a new object when anything in them
                # changes, and this one is held, so that its identity cannot pass to another.
                if not self._is_current:
                    settings = root.settings()
                    self._is_current = settings is self._settings
                if self._is_current:
                    self._calls.begun += 1
                    return known
        if self._is_stopping:
            raise ServerError(STOPPING)
        if name == LOGIN and self._login is not None and self._login.is_offered:
            return self._log_in(self._login, event)
        host, command = self._find(event)
        if settings is None:
            # Once for each request: a Deferred that nobody waits for may fail as well.
            settings = host.settings()
        if isinstance(settings, Deferred):
            asked = settings.addCallbacks(
                lambda known: self._grant(host, known, command), _refuse_unavailable
            )
            return self._count(asked)
        return self._grant(host, settings, command)

    @property
    def is_stopping(self) -> bool:
        """All requests are refused."""
        return self._is_stopping

    def stop(self) -> None:
        """Refuse all requests from now on: the daemon stops."""
        self._is_stopping = True
        self._settings = None  # so that nothing is granted as it was before

    @property
    def is_deciding(self) -> bool:
        """Whether a request waits for the decision on it."""
        return self._deciding > 0

    def _count(self, asked: Deferred[Admitted]) -> Deferred[Admitted]:
        """Count a decision until it is known."""

        def on_decided(result: _T) -> _T:
            self._deciding -= 1
            return result

        self._deciding += 1
        return asked.addBoth(on_decided)

    def _find(self, event: RequestReceived) -> tuple[Host, Command]:
        """Return the host and the command that a request names."""
        name, path = event.command, _path(event)
        if path is None:
            raise CommandError("path must be a byte string")
        host = self._host_at(path)
        if host is None:
            shown_path = "/" + path.decode("utf-8", "replace")
            raise CommandError(b"no repository is served at path %s", [shown_path])
        command = host.registry.find_exposed(name, self._dialect)
        if command is None:
            shown = name if isinstance(name, bytes) else b"?"
            raise CommandError(b"wire protocol command not available: %s", [shown])
        return host, command

    def _log_in(self, login: RawLogin, event: RequestReceived) -> Admitted | Deferred[Admitted]:
        """Log the peer in; requests after this one wait for it, wherever they are."""

        def learn(admitted: Admitted) -> Admitted:
            self._learn_peer(login.peer)
            return admitted

        admitted = login.admit(event.arguments, self._dialect)
        if isinstance(admitted, Deferred):
            return self._count(admitted.addCallback(learn))
        return learn(admitted)

    def _host_at(self, path: bytes) -> Host | None:
        """Return the host at exactly this path, or None."""
        names = path.split(b"/") if path else []
        found = self._hosts.find(names)
        return found.host if found is not None and found.consumed == len(names) else None

    def _grant(self, host: Host, settings: Settings, command: Command) -> Admitted:
        denial = authorize(settings.access, command.permission, self._peer)
        if denial is not None:
            raise CommandError(denial.message)
        origin = Origin(
            host=host,
            settings=settings,
            framings=_ALONE[self._dialect.name],
            dialect=self._dialect,
            peer=self._peer,
            permission=command.permission,
        )
        self._calls.begun += 1
        admitted = Admitted(command, origin)
        # Of the root alone: hosts of collections may be replaced, and their decisions would outlive
        # them.
        if host is self._root and not self._is_stopping:
            if settings is not self._settings or len(self._admitted) >= _MOST_ADMITTED:
                self._settings, self._admitted = settings, {}
            self._admitted[command.name.encode()] = admitted
        return admitted


def _path(event: RequestReceived) -> bytes | None:
    """Return the path in a request, without slashes around it; None if it is no byte string."""
    path = event.extra.get(PATH, b"") if event.extra else b""
    return path.strip(b"/") if isinstance(path, bytes) else None


def _refuse_unavailable(_: Failure) -> Admitted:
    # `Host.settings` has logged why.
    raise ServerError(UNAVAILABLE)
