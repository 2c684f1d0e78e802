"""The context of a request: the first argument of its command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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


# Shared: a dict of its own would take 64 bytes of each idle connection.
_NO_HANDLES: Final[dict[Permission, RepositoryHandle]] = {}


class Origin:
    """The facts that all requests of one connection to one host share."""

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
        """Hold the shared facts.

        Args:
            host: The host that serves the requests.
            settings: The host's settings when the requests were admitted.
            framings: All framings of the API, the preferred one first.
            dialect: The dialect of the connection.
            peer: The client.
            permission: The permission that the peer was granted.
        """
        self.host = host
        self.settings = settings
        self.framings = framings
        self.dialect = dialect
        self.peer = peer
        self.permission = permission
        # One handle for each permission that a command needed: a handle keeps nothing of a single
        # request, so all requests share it (docs/decisions.md).
        self.repositories = _NO_HANDLES

    @property
    def held(self) -> int:
        """The bytes of workers' answers that are held for these requests."""
        return sum(handle.held for handle in self.repositories.values())


class CommandContext:
    """One request as its command sees it; implements `wiredaemon.commands.Context`."""

    # Defaults of the class, for few requests need other values.
    cancelled = False
    deadline: float | None = None
    """The moment of the reactor's clock at which the caller waits no longer; None if for ever."""
    _seconds: Callable[[], float]
    """That clock, where there is a deadline."""
    followed: Followed | None = None
    """The redirects that the peer follows."""
    cached_as: CachedAs | None = None
    """The form of a cacheable response, part of its key in the cache; else None."""
    side_output: SideOutput | None = None
    """Sends text and progress; None if the peer did not say that it accepts any."""

    def __init__(self, origin: Origin, data: CommandData, needs: Permission) -> None:
        """Make the context of one request.

        Args:
            origin: The facts that the request shares with others of its connection.
            data: The request's command data.
            needs: The permission that the command declares.
        """
        self._origin = origin
        self._data = data
        self._needs = needs

    @property
    def origin(self) -> Origin:
        """The facts that the request shares with others of its connection."""
        return self._origin

    @property
    def peer(self) -> Peer:
        """The client at the other end."""
        return self._origin.peer

    @property
    def permission(self) -> Permission:
        """The permission that was granted for this request."""
        return self._origin.permission

    @property
    def time_left(self) -> float | None:
        """The seconds that the caller still waits, at least 0; None if it waits for ever."""
        return None if self.deadline is None else max(0.0, self.deadline - self._seconds())

    def set_deadline(self, moment: float, seconds: Callable[[], float]) -> None:
        """Note the moment at which the caller waits no longer, and the clock that it is in."""
        self.deadline, self._seconds = moment, seconds

    @property
    def data(self) -> CommandData:
        """The data that follows the request."""
        return self._data

    @property
    def repository(self) -> Repository:
        """The repository; raises `ServerError` where there is none."""
        # By the permission that the command needs, not by the one that was granted: a call that
        # only reads may be stopped when the peer leaves, one that writes may not.
        origin, needs = self._origin, self._needs
        handle = origin.repositories.get(needs)
        if handle is None:
            if origin.repositories is _NO_HANDLES:
                origin.repositories = {}
            handle = origin.repositories[needs] = origin.host.repository(origin.peer, needs)
        # Only a cacheable command gets a handle of its own, which keeps the request's form.
        return handle if self.cached_as is None else handle.cached(self.cached_as, self.followed)

    @property
    def state(self) -> Any:  # noqa: ANN401 the embedding program's own
        """The state of the program that the commands are embedded in."""
        return self._origin.host.state

    @property
    def reactor(self) -> Any:  # noqa: ANN401 zope interfaces do not intersect
        """The reactor."""
        return self._origin.host.reactor

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line of text for people while the command runs."""
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
        """Send the progress of the command."""
        if self.side_output is not None and not self.cancelled:
            self.side_output.progress(
                topic.encode(),
                position,
                total,
                None if label is None else label.encode(),
                None if item is None else item.encode(),
            )

    async def describe(self) -> Value:
        """Return the descriptor of the API that this request came by."""
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
    """Add to a context the fields that few requests need: side output, redirects, caching.

    Args:
        context: The request's context.
        event: The request as it was received.
        command: The command that it runs.
        connection: Encodes frames of text and progress.
        flush: Sends such frames at once.
    """
    # Keys beyond the protocol's are rare: without any there is no offer to look for.
    context.side_output = _side_output(event, connection, flush) if event.extra else None
    if event.redirect is not None:
        context.followed = Followed.parse(event.redirect)
    # Only 0006 has the commands, and answers are kept as that dialect has them.
    if command.cacheable and connection.dialect.response is ResponseForm.OBJECTS:
        context.cached_as = CachedAs(
            command.name.encode(), connection.dialect.media_type, connection.content_encoding
        )


def _side_output(
    event: RequestReceived, connection: ServerConnection, flush: Callable[[], None]
) -> SideOutput | None:
    """Return the sender of text and progress, if the request says that its peer accepts them.

    No protocol says how a peer could say so, and Mercurial's clients hang on such frames. Our
    client puts ``accepts: [text-output, progress]`` into the request map, where other servers
    ignore it (docs/decisions.md).
    """
    accepts = event.extra.get(b"accepts")
    if FrameType.PROGRESS not in connection.dialect.frames or not isinstance(accepts, list):
        return None
    return SideOutput(connection, event.request_id, accepts, flush)
