"""What a running command sees of its caller and of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from wiredaemon.commands.permission import Permission
    from wiredaemon.wire.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who asks."""

    address: str
    """Host and port, or the path of a Unix socket."""
    user: str | None = None
    """Authenticated name; None for nobody in particular."""
    is_secure: bool = False
    """Over TLS."""


class CommandData(Protocol):
    """The data that follows a request, as it arrives."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the pieces, in order; raises `CommandError` if input ends too early."""

    async def read(self) -> bytes:
        """Give all that is still to come, as one piece."""


class Repository(Protocol):
    """The repository that a request was made to, as commands see it."""

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Awaitable[object]:
        """Run a value command on it and give its result.

        Raises:
            CommandError, ServerError: It failed.
        """


class Context(Protocol):
    """Given to each command as its first argument."""

    @property
    def peer(self) -> Peer:
        """Who asks."""

    @property
    def permission(self) -> Permission:
        """What the peer was granted for this request."""

    @property
    def data(self) -> CommandData:
        """Command data; empty where the command declares none."""

    @property
    def repository(self) -> Repository:
        """The repository; raises `ServerError` where there is none."""

    @property
    def cancelled(self) -> bool:
        """Nobody waits for the result any more."""

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line for people while the command runs, to peers that say they take it.

        Args:
            message: printf-style format in ASCII; ``%s`` stands for the next argument.
            arguments: What fills the ``%s``.
            labels: What kinds of text it is, in ASCII.
        """

    def progress(
        self,
        topic: str,
        position: int,
        total: int | None = None,
        *,
        label: str | None = None,
        item: str | None = None,
    ) -> None:
        """Send how far the command has come, to peers that say they take it.

        Args:
            topic: What is being counted.
            position: How far it is; -1 ends the topic.
            total: How far it goes.
            label: What one step is called.
            item: What is being worked on.
        """

    def describe(self) -> Awaitable[Value]:
        """Give what the API that this request came by offers."""
