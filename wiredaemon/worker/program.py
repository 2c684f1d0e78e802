"""The worker program: ``python -P -m wiredaemon.worker``.

It serves repository commands in `WORKER_DIALECT` on its standard input and output, one at a time,
and ends when its input ends. Owns the descriptors, the signals and the loop; the commands are in
``commands``, which is imported only after the descriptors are safe.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import traceback
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol import (
    ConnectionFailed,
    DataReceived,
    RequestCompleted,
    RequestReceived,
    ServerConnection,
)
from wiredaemon.repository.returned_memory import return_memory
from wiredaemon.repository.worker_calls import WORKER_DIALECT, BodyBrokenError, Only
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import format_message
from wiredaemon.worker.lifeline import Lifeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from wiredaemon.protocol.events import ServerEvent
    from wiredaemon.wire.values import Value

_READ_SIZE: Final = 65536
"""Bytes of input that are read at once: what a pipe holds on Linux."""

_AMPLE: Final = 1 << 31
_LIMITS: Final = Limits(
    request_size=_AMPLE, request_frames=_AMPLE, cbor_elements=_AMPLE, cbor_containers=_AMPLE
)
"""No limits: the daemon has held the peer to its own already."""

_IDLE_SECONDS: Final = 2.0
"""Seconds without a command after which free memory is returned: it would cost each of many."""

FAILED: Final = b"internal error"
INCOMPLETE: Final = b"the command data is incomplete"


_SENT_AT_ONCE: Final = 256 * 1024
"""Bytes of an answer that are held before they are written to the pipe.

Four times what a pipe holds, so that the daemon is woken for much at a time.
"""


class Run(Protocol):
    """Runs one command."""

    def __call__(
        self,
        command: object,
        arguments: object,
        extra: Mapping[bytes, object],
        body: CommandBody,
        /,
    ) -> Iterator[Value | Only]:
        """Return the command's objects, one after the other.

        Raises:
            CommandError, ServerError: The command failed, for a reason that the peer may read.
        """


class _TerminatedError(BaseException):
    """SIGTERM has come: Mercurial rolls back what it was doing, and the program ends."""


class _NobodyReadsError(BaseException):
    """The daemon has ended, and with it the reader of our output."""


class CommandBody:
    """The command data of the request that runs, as it comes through the pipe."""

    def __init__(self, next_event: Callable[[], ServerEvent | None], *, has_data: bool) -> None:
        """Read the events that follow the request."""
        self._next_event = next_event
        self._ended = not has_data
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, fewer only at the end; all if ``size`` is negative.

        Raises:
            BodyBrokenError: The peer has left in the middle of it.
        """
        parts: list[bytes] = []
        room = size if size >= 0 else _AMPLE
        while room and (self._held or self._fill()):
            part, self._held = self._held[:room], self._held[room:]
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def drain(self) -> None:
        """Drop what the command did not read."""
        self._held = b""
        while self._fill():
            self._held = b""

    def _fill(self) -> bool:
        """Wait for the next piece, and return whether there is one."""
        while not self._ended and not self._held:
            match self._next_event():
                case DataReceived(data=data):
                    self._held = data
                case RequestCompleted():
                    self._ended = True
                case _:
                    self._ended = True
                    raise BodyBrokenError
        return bool(self._held)


class Worker:
    """The loop between two pipes.

    Args:
        source: The descriptor to read from; blocking.
        target: The descriptor to write to; blocking, which is all the back-pressure there is.
        run: The function that runs one command.
    """

    def __init__(self, source: int, target: int, run: Run) -> None:
        self._source = source
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._target = target
        self._run = run
        self._connection = ServerConnection(WORKER_DIALECT, half_duplex=False, limits=_LIMITS)
        self._events: deque[ServerEvent] = deque()
        self._has_begun = False
        """An object of the answer was sent."""

    def serve(self) -> None:
        """Answer requests until input ends or is no protocol any more.

        Raises:
            _NobodyReadsError: The daemon has gone.
        """
        while (event := self._next_event()) is not None:
            match event:
                case RequestReceived():
                    self._answer(event)
                case ConnectionFailed():
                    sys.stderr.write(f"the daemon broke the protocol: {event.error}\n")
                    self._flush()
                case _:
                    # Data of a request that was answered without them.
                    pass

    def _next_event(self) -> ServerEvent | None:
        connection = self._connection
        while not self._events:
            if connection.failed:
                return None  # what follows cannot be understood
            if connection.pending and connection.may_read_on:
                self._events += connection.receive_data(b"")
                continue
            if not self._poll.poll(_IDLE_SECONDS * 1000):
                return_memory()
            data = os.read(self._source, _READ_SIZE)
            if not data:
                return None
            self._events += connection.receive_data(data)
        return self._events.popleft()

    def _answer(self, request: RequestReceived) -> None:
        connection, request_id = self._connection, request.request_id
        body = CommandBody(self._next_event, has_data=request.has_data)
        self._has_begun = False
        try:
            self._send_all(
                request_id, self._run(request.command, request.arguments, request.extra, body)
            )
        except CommandError as failure:
            if self._has_begun:
                # After objects, an error map would be one of them.
                text = format_message(failure.message, failure.arguments)
                connection.send_server_error(request_id, text)
            else:
                connection.send_error(request_id, failure.message, failure.arguments)
        except ServerError as failure:
            connection.send_server_error(request_id, failure.text)
        except BodyBrokenError:
            connection.send_server_error(request_id, INCOMPLETE)
        # SystemExit, because a hook may end with exit(): that ends the command, not the worker.
        except (Exception, SystemExit, KeyboardInterrupt) as failure:
            traceback.print_exception(failure, file=sys.stderr)
            connection.send_server_error(request_id, FAILED)
            if isinstance(failure, KeyboardInterrupt):
                # Mercurial holds signals back while it makes a lock, and raises this for SIGTERM.
                self._flush()
                raise _TerminatedError from failure
        self._flush()
        # Data that the command did not read would be taken for those of the next request.
        with suppress(BodyBrokenError):
            body.drain()

    def _send_all(self, request_id: int, objects: Iterator[Value | Only]) -> None:
        connection = self._connection
        for value in objects:
            if isinstance(value, Only):
                # In one go, which small answers, nearly all, take a shorter way for.
                connection.send_result(request_id, value.value)
                return
            self._has_begun = True
            # A step at a time, so that no object of many megabytes is encoded as a whole.
            for _ in connection.send_in_steps(request_id, value):
                if connection.output_size >= _SENT_AT_ONCE:
                    self._flush()
        connection.end_response(request_id)

    def _flush(self) -> None:
        # Output that a command printed belongs in the log in front of what follows.
        sys.stdout.flush()
        sys.stderr.flush()
        # Joined: a pipe takes 64 KiB at a time, so that each write of single frames would wake the
        # daemon once more.
        data = b"".join(self._connection.parts_to_send())
        view = memoryview(data)
        while view:
            try:
                # A view, because the descriptor takes a part at a time: to cut bytes would copy the
                # rest each time.
                view = view[os.write(self._target, view) :]
            except BrokenPipeError as error:
                raise _NobodyReadsError from error


def take_descriptors() -> tuple[int, int]:
    """Move the pipes away from descriptors 0 and 1, where any ``print`` would reach them.

    After it, 0 reads nothing and 1 writes to standard error. Programs that are started do not
    inherit the pipes.

    Returns:
        The new descriptors of what was standard input and output.
    """
    # `os.dup` makes descriptors that are not inherited (PEP 446), where 0 to 2 are.
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # so that a stray print ends up in the daemon's log
    return source, target


def _terminate(_number: int, _frame: FrameType | None) -> None:
    # Once: a second signal would break off what the first one rolls back.
    signal.signal(signal.SIGTERM, _go_on)
    raise _TerminatedError


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal: of SIGINT, which a terminal sends us too, the daemon decides.

    A function and not SIG_IGN, which the programs that hooks start would inherit.
    """


def _log_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Log, in one line, what failed where nobody can be told.

    A transaction that could not be rolled back on a full disk fails once more when it is forgotten.
    """
    kind, value = ignored.exc_type.__name__, ignored.exc_value
    sys.stderr.write(f"ignored in {ignored.object!r}: {kind}: {value}\n")


def main() -> None:
    """Run the program.

    Raises:
        SystemExit: Mercurial cannot be imported; the text says why.
    """
    source, target = take_descriptors()
    lifeline = Lifeline(source)
    lifeline.start()
    sys.unraisablehook = _log_ignored
    # Before the library is imported, which takes long enough for a terminal to interrupt it.
    signal.signal(signal.SIGINT, _go_on)
    # What is loaded here stays: the collector of garbage looks at it neither now, nor while
    # commands run, nor at the end; that took 50 ms each time.
    gc.disable()
    try:
        from wiredaemon.worker.commands import WorkerCommands  # noqa: PLC0415  after the descriptors and the signal
        from wiredaemon.worker.extension_sets import OURS  # noqa: PLC0415
        from wiredaemon.worker.hgweb_patches import apply_patches  # noqa: PLC0415  likewise
    except ImportError as missing:
        raise SystemExit(f"the package mercurial cannot be loaded: {missing}") from None
    apply_patches()
    OURS.keep()
    gc.freeze()
    gc.enable()
    # Until here the default is right: nothing has begun that would have to be rolled back.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        Worker(source, target, WorkerCommands()).serve()
    except (_NobodyReadsError, _TerminatedError):
        # Neither is an error of ours, so there is no traceback in the log.
        lifeline.end()
