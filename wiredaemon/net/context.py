"""The context that commands are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.commands.capabilities import describe_api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import CommandData, Peer, Permission, Repository, Value
    from wiredaemon.net.hosting import Host, Settings
    from wiredaemon.wire.dialects import Dialect


class Origin:
    """Where the requests of one connection come from and what they were made to."""

    def __init__(  # noqa: PLR0913 what requests share
        self,
        *,
        host: Host,
        settings: Settings,
        framings: Sequence[Dialect],
        dialect: Dialect,
        peer: Peer,
        permission: Permission,
    ) -> None:
        """Hold what all requests of a connection share.

        Args:
            host: What is asked.
            settings: Of the host, when the connection was accepted.
            framings: Of the API that was asked.
            dialect: That the connection speaks.
            peer: Who asks.
            permission: What the peer was granted.
        """
        self.host = host
        self.settings = settings
        self.framings = framings
        self.dialect = dialect
        self.peer = peer
        self.permission = permission


class CommandContext:
    """One request as its command sees it; implements `wiredaemon.commands.Context`."""

    def __init__(self, origin: Origin, data: CommandData) -> None:
        """Give a command its origin and its data."""
        self._origin = origin
        self._data = data
        self.cancelled = False

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._origin.peer

    @property
    def permission(self) -> Permission:
        """What the peer was granted for this request."""
        return self._origin.permission

    @property
    def data(self) -> CommandData:
        """Command data."""
        return self._data

    @property
    def repository(self) -> Repository:
        """The repository; raises `ServerError` where there is none."""
        return self._origin.host.repository(self.peer.user, self.permission)

    async def describe(self) -> Value:
        """Give what the API that this request came by offers."""
        origin = self._origin
        return describe_api(
            origin.host.registry, origin.dialect, origin.framings, origin.settings.facts
        )
