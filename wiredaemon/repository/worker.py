"""The worker program: ``python -P -m wiredaemon.repository.worker``.

It serves repository commands in dialect 0006 on its standard input and output, one at a time, and
ends when its input ends. Owns the descriptors, the signals and the loop; what a command does is in
``worker_commands``, which is imported only after the descriptors are safe.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Final, Protocol

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol import (
    ConnectionFailed,
    RequestAborted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.values import Value

_READ_SIZE: Final = 65536
_AMPLE: Final = 1 << 31
_LIMITS: Final = Limits(request_size=_AMPLE, request_frames=_AMPLE, cbor_elements=_AMPLE)
"""The daemon has held the peer to its limits already."""

FAILED: Final = b"internal error"


class Run(Protocol):
    """Runs one command."""

    def __call__(self, command: object, arguments: object, extra: Mapping[bytes, object]) -> Value:
        """Give the command's result.

        Raises:
            CommandError, ServerError: It failed, for a reason that the peer may read.
        """


class _TerminatedError(BaseException):
    """SIGTERM: Mercurial rolls back what it was doing, and the program ends."""


class Worker:
    """The loop between two pipes.

    Args:
        source: Descriptor that is read; blocking.
        sink: Descriptor that is written; blocking, which is all the back-pressure there is.
        run: Runs one command.
    """

    def __init__(self, source: int, sink: int, run: Run) -> None:
        self._source = source
        self._sink = sink
        self._run = run
        self._connection = ServerConnection(DIALECTS["0006"], half_duplex=False, limits=_LIMITS)

    def serve(self) -> None:
        """Answer requests until input ends or is no protocol any more.

        Raises:
            BrokenPipeError: Nobody reads.
        """
        while not self._connection.failed:
            data = os.read(self._source, _READ_SIZE)
            if not data:
                return
            for event in self._connection.receive_data(data):
                self._on_event(event)

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case RequestReceived():
                self._answer(event)
            case RequestAborted():
                pass
            case ConnectionFailed():
                sys.stderr.write(f"the daemon broke the protocol: {event.error}\n")
            case _:
                # Command data: none of the commands so far takes any.
                pass
        self._flush()

    def _answer(self, request: RequestReceived) -> None:
        connection, request_id = self._connection, request.request_id
        try:
            value = self._run(request.command, request.arguments, request.extra)
            connection.send_result(request_id, value)
        except CommandError as failure:
            connection.send_error(request_id, failure.message, failure.arguments)
        except ServerError as failure:
            connection.send_server_error(request_id, failure.text)
        except (Exception, SystemExit, KeyboardInterrupt) as failure:  # noqa: BLE001 hooks and extensions are anybody's code
            traceback.print_exception(failure, file=sys.stderr)
            connection.send_server_error(request_id, FAILED)

    def _flush(self) -> None:
        # What was printed by a command belongs in the log in front of what follows.
        sys.stdout.flush()
        sys.stderr.flush()
        data = b"".join(part for frame in self._connection.data_to_send() for part in frame)
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]


def take_descriptors() -> tuple[int, int]:
    """Move the pipes away from descriptors 0 and 1, where anybody's ``print`` would reach them.

    After it, 0 reads nothing and 1 writes to standard error. Programs that are started do not
    inherit the pipes.

    Returns:
        The new descriptors of what was standard input and output.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Leave it to the daemon, which a terminal interrupts along with us.

    A function and not SIG_IGN, which the programs that hooks start would inherit.
    """


def main() -> None:
    """Run the program.

    Raises:
        SystemExit: Mercurial cannot be loaded; the text says why.
    """
    source, sink = take_descriptors()
    signal.signal(signal.SIGINT, _go_on)
    try:
        from wiredaemon.repository.worker_commands import WorkerCommands  # noqa: PLC0415
    except ImportError as missing:
        raise SystemExit(f"the package mercurial cannot be loaded: {missing}") from None
    signal.signal(signal.SIGTERM, _terminate)
    try:
        Worker(source, sink, WorkerCommands()).serve()
    except (BrokenPipeError, _TerminatedError):
        return


if __name__ == "__main__":
    main()
