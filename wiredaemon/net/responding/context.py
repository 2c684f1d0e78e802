"""The context that commands are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wiredaemon.commands.capabilities import describe_api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import CommandData, Followed, Peer, Permission, Repository, Value
    from wiredaemon.net.cache.keys import CachedAs
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.wire.dialects import Dialect


class Beside(Protocol):
    """Takes what a command says beside its result."""

    def text(self, message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]) -> None:
        """Send text."""

    def progress(
        self,
        topic: bytes,
        position: int,
        total: int | None,
        label: bytes | None,
        item: bytes | None,
    ) -> None:
        """Send how far it is."""


class Origin:
    """Where requests of one connection come from and what they were made to."""

    __slots__ = ("dialect", "framings", "host", "peer", "permission", "settings")

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
        """Hold what requests of a connection share.

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

    __slots__ = ("_beside", "_data", "_needs", "_origin", "cached_as", "cancelled", "followed")

    def __init__(
        self,
        origin: Origin,
        data: CommandData,
        needs: Permission,
        beside: Beside | None = None,
    ) -> None:
        """Give a command its surroundings.

        Args:
            origin: Of the request.
            data: Of the request.
            needs: The permission that the command declares.
            beside: Takes text and progress, or None if the peer did not say that it can.
        """
        self._origin = origin
        self._data = data
        self._needs = needs
        self._beside = beside
        self.cancelled = False
        self.followed: Followed | None = None
        """The redirects that the peer follows."""
        self.cached_as: CachedAs | None = None
        """What the response would be like, where the command is cacheable."""

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
        # What only reads may be stopped when the peer leaves, whatever the peer could have asked.
        handle = self._origin.host.repository(self.peer, self._needs)
        return handle if self.cached_as is None else handle.cached(self.cached_as, self.followed)

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line for people while the command runs."""
        if self._beside is not None and not self.cancelled:
            self._beside.text(
                message.encode("ascii", "replace"),
                [argument.encode() for argument in arguments],
                [label.encode("ascii", "replace") for label in labels],
            )

    def progress(
        self,
        topic: str,
        position: int,
        total: int | None = None,
        *,
        label: str | None = None,
        item: str | None = None,
    ) -> None:
        """Send how far the command has come."""
        if self._beside is not None and not self.cancelled:
            self._beside.progress(
                topic.encode(),
                position,
                total,
                None if label is None else label.encode(),
                None if item is None else item.encode(),
            )

    async def describe(self) -> Value:
        """Give what the API that this request came by offers."""
        origin = self._origin
        return describe_api(
            origin.host.registry, origin.dialect, origin.framings, origin.settings.facts
        )
