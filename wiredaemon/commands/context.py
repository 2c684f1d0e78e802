"""What a running command sees of its caller and of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence

    from wiredaemon.commands.permission import Permission
    from wiredaemon.wire.values import Encoded, Recorded, Redirect, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who asks."""

    address: str
    """Host and port, or the path of a Unix socket."""
    user: str | None = None
    """Authenticated name; None for nobody in particular."""
    is_secure: bool = False
    """Over TLS."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The redirects that a client says it follows.

    Source: framing, section 5.3.
    """

    targets: frozenset[bytes]
    """Names, of those that the server has told it."""
    hashes: frozenset[bytes]
    """Hash functions that it knows."""

    @classmethod
    def parse(cls, redirect: object) -> Self | None:
        """Read the ``redirect`` of a request; None where it is malformed or empty."""
        match redirect:
            case {
                b"targets": list() | tuple() | set() | frozenset() as targets,
                b"hashes": list() | tuple() | set() | frozenset() as hashes,
            } if all(isinstance(name, bytes) for name in (*targets, *hashes)):
                return cls(frozenset(targets), frozenset(hashes))
        return None


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

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        """Run a stream command on it and give its objects as they come, still encoded.

        Of a cacheable command it may give what was answered before, or where that is: whatever
        comes is to be passed on as it is.

        Raises:
            CommandError, ServerError: It failed; the former only in front of the first object.
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

    @property
    def followed(self) -> Followed | None:
        """The redirects that the peer follows; None if it did not say that it follows any."""

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
