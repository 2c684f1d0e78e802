"""Calls commands of a service as one client would, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wiredaemon.commands import Peer, Permission
from wiredaemon.commands.argument_types import carried
from wiredaemon.testing.answer import END
from wiredaemon.testing.errors import NoAnswerError
from wiredaemon.testing.memory_connection import MemoryConnection
from wiredaemon.wire.dialects import DIALECTS, RequestForm

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from wiredaemon.protocol import ProgressReceived
    from wiredaemon.service import Service


class ServiceTester:
    """One client of a service, connected in memory.

    Calls run as on a raw connection: with its admission, its limits and its dialect. Commands that
    wait need the reactor that the service has to run, as tests of trial and of pytest-twisted let
    it; others are answered at once.

    Args:
        service: The service.
        dialect: The dialect that is spoken.
        user: The user who has logged in; None for nobody. ``authenticate`` is not asked.
        groups: The groups of that user.
        permission: The most that the client may do: with ``Permission.RO`` its login is one that
            may only read.
        is_secure: The connection counts as encrypted.
        address: Where the client seems to come from.

    Raises:
        ValueError: There is no such dialect.
    """

    def __init__(  # noqa: PLR0913 all that a client may be
        self,
        service: Service,
        *,
        dialect: str = "0006",
        user: str | None = None,
        groups: Iterable[str] = (),
        permission: Permission = Permission.RW,
        is_secure: bool = True,
        address: str = "127.0.0.1:0",
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"there is no dialect {dialect!r}; there are: {', '.join(DIALECTS)}")
        peer = Peer(
            address=address,
            user=user,
            groups=frozenset(groups),
            read_only=permission is Permission.RO,
            is_secure=is_secure,
        )
        self._dialect = DIALECTS[dialect]
        self._connection = MemoryConnection(service.serving, self._dialect, peer)

    async def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        data: bytes | Iterable[bytes] | None = None,
    ) -> Any:  # noqa: ANN401 whatever the command gives
        """Call a command that gives one object, and return it as a client reads it.

        Texts are bytes of UTF-8 then, tuples are lists, and keys of maps are bytes.

        Args:
            command: The name of the command.
            arguments: Its arguments; texts and floats are sent as the dialect has them.
            data: Command data, in one piece or in several.

        Raises:
            CommandError, ServerError: The command failed; with the text that clients read.
            NoAnswerError: It gave more objects or none, or was not answered.
        """
        objects = [value async for value in self.objects(command, arguments, data=data)]
        if len(objects) != 1:
            raise NoAnswerError(f"{command} gave {len(objects)} objects; take them from objects()")
        return objects[0]

    async def objects(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        data: bytes | Iterable[bytes] | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call a command, and yield the objects of its answer as they are taken.

        A command that gives objects is paused while nobody takes them. Closing the generator in
        front of its end cancels the command; only 0006 can do so without ending the connection.

        Raises:
            CommandError, ServerError, NoAnswerError: As `call`, after the objects that came.
        """
        given = {name.encode(): self._sent(value) for name, value in (arguments or {}).items()}
        pieces = [data] if isinstance(data, bytes) else data
        request_id, answer = self._connection.call(command.encode(), given, pieces)
        try:
            while (value := await answer.take()) is not END:
                yield value
        finally:
            if not answer.is_over:
                self._connection.cancel(request_id)

    def _sent(self, value: Any) -> Any:  # noqa: ANN401 any value of an argument
        """Return an argument in the dialect's form."""
        if self._dialect.request is RequestForm.MAP:
            return carried(value)
        match value:
            case bool() | int():
                return b"%d" % value
            case str():
                return value.encode()
        return carried(value)

    # --- beside the answers ------------------------------------------------------------------

    @property
    def texts(self) -> Sequence[bytes]:
        """What commands have written for people with ``context.write_text`` so far."""
        return self._connection.texts

    @property
    def progress(self) -> Sequence[ProgressReceived]:
        """What commands have told with ``context.progress`` so far."""
        return self._connection.progress

    @property
    def crashes(self) -> Sequence[BaseException]:
        """Exceptions of commands of which clients read only that the command failed.

        They are logged as errors too, so that a test of trial fails unless it flushes them.
        """
        return self._connection.crashes

    @property
    def running(self) -> int:
        """The number of commands that run now."""
        return self._connection.running

    # --- the end -----------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Go, as a client does whose connection is lost: its commands are cancelled."""
        self._connection.disconnect()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self.disconnect()
