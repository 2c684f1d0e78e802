"""The interfaces through which a running command sees its caller and the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence

    from wiredaemon.commands.permission import Permission
    from wiredaemon.wire.values import Encoded, Recorded, Redirect, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The client at the other end."""

    address: str
    """Host and port, or the path of a Unix socket; port 0 where a proxy did not tell the port."""
    user: str | None = None
    """The authenticated user; None where nobody logged in."""
    groups: frozenset[str] = frozenset()
    """The groups that the user is in, without ``@``."""
    read_only: bool = False
    """The user logged in with something that allows reading only, such as a read-only token."""
    is_secure: bool = False
    """The connection is encrypted, or local to this machine."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The redirects that a client says it follows.

    Source: framing, section 5.3.
    """

    targets: frozenset[bytes]
    """Names of redirect targets, from the server's descriptor."""
    hashes: frozenset[bytes]
    """Hash functions that the client can check content with."""

    @classmethod
    def parse(cls, redirect: object) -> Self | None:
        """Parse the ``redirect`` of a request; return None if it is malformed or absent."""
        match redirect:
            # Malformed counts as absent: Mercurial's server fails on it, with an error that names
            # nothing (docs/decisions.md).
            case {
                b"targets": list() | tuple() | set() | frozenset() as targets,
                b"hashes": list() | tuple() | set() | frozenset() as hashes,
            } if all(isinstance(name, bytes) for name in (*targets, *hashes)):
                return cls(frozenset(targets), frozenset(hashes))
        return None


class CommandData(Protocol):
    """Command data, as it arrives."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces, in order; raises `CommandError` if input ends too early."""

    async def read(self) -> bytes:
        """Return all data that has not been read, as one piece."""


class Repository(Protocol):
    """The repository that a request was made to, as commands see it."""

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Awaitable[object]:
        """Run a value command and return its result.

        Raises:
            CommandError, ServerError: The command failed.
        """

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        """Run a stream command and yield its objects as they come, still encoded.

        A cacheable command may be answered from the cache, or with a redirect: pass on whatever
        is yielded as it is.

        Raises:
            CommandError: The command failed, before its first object.
            ServerError: The command failed.
        """


class Context(Protocol):
    """The first argument of each command: one request, its caller and the server."""

    @property
    def peer(self) -> Peer:
        """The client at the other end."""

    @property
    def permission(self) -> Permission:
        """The permission that was granted for this request."""

    @property
    def data(self) -> CommandData:
        """Command data; empty where the command declares none."""

    @property
    def repository(self) -> Repository:
        """The repository; raises `ServerError` where there is none."""

    @property
    def state(self) -> Any:  # noqa: ANN401 the embedding program's own
        """The ``state`` of the `wiredaemon.Service` that has the command; None in the daemon."""

    @property
    def reactor(self) -> Any:  # noqa: ANN401 zope interfaces do not intersect
        """The reactor; a blocking command may only use its ``callFromThread``."""

    @property
    def cancelled(self) -> bool:
        """The request was cancelled: its result will not be sent."""

    @property
    def deadline(self) -> float | None:
        """The moment at which the caller waits no longer and the command is stopped; None if never.

        It is a moment of the reactor's clock, ``reactor.seconds()``.
        """

    @property
    def time_left(self) -> float | None:
        """The seconds until that moment, at least 0; None if there is none."""

    @property
    def followed(self) -> Followed | None:
        """The redirects that the peer follows; None if it did not say that it follows any."""

    def write_text(self, message: str, *arguments: str, labels: Sequence[str] = ()) -> None:
        """Send a line of text for people while the command runs, to peers that accept text.

        Args:
            message: printf-style format in ASCII; ``%s`` stands for the next argument.
            arguments: What fills the ``%s``.
            labels: The kinds of text it is, in ASCII.
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
        """Send the progress of the command, to peers that accept progress.

        Args:
            topic: The activity, for instance "files".
            position: Steps done; -1 ends the topic.
            total: Steps in all, if known.
            label: The unit of a step.
            item: The item of the current step.
        """

    def describe(self) -> Awaitable[Value]:
        """Return the descriptor of the API that this request came by."""
