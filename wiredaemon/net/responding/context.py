"""The context that commands are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.commands import Followed
from wiredaemon.commands.capabilities import describe_api
from wiredaemon.net.cache.keys import CachedAs
from wiredaemon.net.responding.side_output import SideOutput
from wiredaemon.wire.dialects import FrameType, ResponseForm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.commands import Command, CommandData, Peer, Permission, Repository, Value
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.hosting.repository_handle import RepositoryHandle
    from wiredaemon.protocol import RequestReceived, ServerConnection
    from wiredaemon.wire.dialects import Dialect


class Origin:
    """Where requests of one connection come from and what they were made to."""

    __slots__ = (
        "dialect",
        "framings",
        "host",
        "peer",
        "permission",
        "repositories",
        "settings",
    )

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
        # The repository for each permission that a command has needed: all that a handle is made
        # of is the same for every request from here.
        self.repositories: dict[Permission, RepositoryHandle] = {}


class CommandContext:
    """One request as its command sees it; implements `wiredaemon.commands.Context`."""

    # Defaults of the class, for few requests need other values.
    cancelled = False
    followed: Followed | None = None
    """The redirects that the peer follows."""
    cached_as: CachedAs | None = None
    """What the response would be like, where the command is cacheable."""
    side_output: SideOutput | None = None
    """Sends text and progress; None if the peer did not say that it takes any."""

    def __init__(self, origin: Origin, data: CommandData, needs: Permission) -> None:
        """Give a command its surroundings.

        Args:
            origin: Where the request comes from, and what it was made to.
            data: The request's command data.
            needs: The permission that the command declares.
        """
        self._origin = origin
        self._data = data
        self._needs = needs

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
        origin, needs = self._origin, self._needs
        handle = origin.repositories.get(needs)
        if handle is None:
            handle = origin.repositories[needs] = origin.host.repository(origin.peer, needs)
        return handle if self.cached_as is None else handle.cached(self.cached_as, self.followed)

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line for people while the command runs."""
        if self.side_output is not None and not self.cancelled:
            self.side_output.text(
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
        if self.side_output is not None and not self.cancelled:
            self.side_output.progress(
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


def complete_context(
    context: CommandContext,
    event: RequestReceived,
    command: Command,
    connection: ServerConnection,
    flush: Callable[[], None],
) -> None:
    """Add to a context what few requests need: side output, redirects, caching.

    Args:
        context: Of the request, which starts now.
        event: The request.
        command: What it runs.
        connection: Makes frames of text and progress.
        flush: Sends such frames at once.
    """
    context.side_output = _side_output(event, connection, flush) if event.extra else None
    if event.redirect is not None:
        context.followed = Followed.parse(event.redirect)
    if command.cacheable and connection.dialect.response is ResponseForm.OBJECTS:
        context.cached_as = CachedAs(
            command.name.encode(), connection.dialect.media_type, connection.content_encoding
        )


def _side_output(
    event: RequestReceived, connection: ServerConnection, flush: Callable[[], None]
) -> SideOutput | None:
    """Return what sends text and progress, if the request says that its peer takes them.

    No protocol says how a peer could; Mercurial's clients hang on such frames. Ours put
    ``accepts: [text-output, progress]`` into the request map, where others ignore it.
    """
    accepts = event.extra.get(b"accepts")
    if FrameType.PROGRESS not in connection.dialect.frames or not isinstance(accepts, list):
        return None
    return SideOutput(connection, event.request_id, accepts, flush)
