"""The requests of a connection: as their callers made them, and while they wait for answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from wiredaemon.client.errors import PASSED, BrokenProtocolError, ClientError, DeadlineError
from wiredaemon.client.outcomes import is_late, outcome_of
from wiredaemon.commands import Permission
from wiredaemon.protocol import ProgressReceived, RemoteProtocolError, TextOutputReceived
from wiredaemon.protocol.objects import NOTHING, only_object, response_reader
from wiredaemon.wire.dialects import FrameType, RequestForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.client.call import Call
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.client.runtime import Cancellable
    from wiredaemon.client.untaken import UntakenObjects
    from wiredaemon.protocol import ResponseDataReceived
    from wiredaemon.protocol.objects import ObjectReader
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_OUTPUT = (FrameType.TEXT_OUTPUT, FrameType.PROGRESS)
"""The frame types besides results that a server sends to clients that accept them."""
_LONGEST = (1 << 31) - 1
"""Milliseconds: more than three weeks, and the most that the protocol has (sessions, section 3)."""


class Request(NamedTuple):
    """A command to be called."""

    command: bytes
    arguments: Mapping[bytes, Value]
    data: Data | None = None
    path: bytes | None = None
    """The repository, where the connection itself does not name it."""
    deadline: float | None = None
    """The moment by the runtime's clock at which the caller waits no longer."""

    @property
    def is_repeatable(self) -> bool:
        """The request can be sent once more: its data is not read from anywhere."""
        return self.data is None or isinstance(self.data, bytes)

    def further_keys(self, call: Call, dialect: Dialect, now: float) -> Mapping[bytes, Value]:
        """Return the further keys of the request map.

        Args:
            call: Its observer is sent text and progress, if it has one.
            dialect: The dialect of the connection.
            now: The time of the runtime's clock.
        """
        # The request of a dialect without a map has no room for further keys.
        if dialect.request is not RequestForm.MAP:
            return {}
        extra: dict[bytes, Value] = {}
        if self.path is not None:
            extra[b"path"] = self.path
        if call.observer is not None:
            extra[b"accepts"] = [kind.value.encode() for kind in _OUTPUT if kind in dialect.frames]
        if self.deadline is not None:
            # Rounded up: the server is never the first to give up.
            left = math.ceil((self.deadline - now) * 1000)
            extra[b"timeout"] = min(max(left, 1), _LONGEST)
        return extra


class SentRequest:
    """A request that is not answered: its call, and what reads its response."""

    __slots__ = ("_incomplete", "_reader", "call", "is_stopped", "sending", "timer")

    def __init__(self, call: Call) -> None:
        """Begin without an answer."""
        self.call = call
        self.sending: Cancellable | None = None
        """Sends the data."""
        self.timer: Cancellable | None = None
        """Ends the call at its deadline."""
        self.is_stopped = False
        """The request is answered or given up: what it sends was stopped by us."""
        self._reader: ObjectReader | None = None
        """Made with the first part of a response that comes in several."""
        self._incomplete = 0
        """Bytes received since the last object was complete."""

    def observe(self, event: TextOutputReceived | ProgressReceived) -> Exception | None:
        """Give text or progress to the observer, if there is one; return what it raises."""
        observer = None if self.call.is_over else self.call.observer
        if observer is None:
            return None
        try:
            if isinstance(event, TextOutputReceived):
                observer.receive_text(event.text)
            else:
                observer.receive_progress(event)
        except Exception as error:  # noqa: BLE001 an observer may raise anything
            return error
        return None

    def receive(
        self,
        event: ResponseDataReceived,
        dialect: Dialect,
        options: ClientOptions,
        untaken: UntakenObjects,
    ) -> Exception | None:
        """Receive a part of the response; return the failure that a complete one stands for.

        Args:
            event: The part.
            dialect: The dialect of the connection.
            options: The limits of an object.
            untaken: Counts the objects until they are taken.

        Raises:
            ClientError: The response is none, or too much of it waits.
        """
        call = self.call
        if call.is_over:
            return None  # its caller has closed it
        reader = self._reader
        if reader is None:
            if event.end and call.is_awaited:
                # Nearly all answers: the caller takes it in this turn of the loop, or in the next.
                value = only_object(event.data, dialect, options.limits)
                if value is not NOTHING:
                    call.receive_result(value)
                    return None
            reader = self._reader = response_reader(dialect, options.limits)
        try:
            objects = reader.receive_event(event)
        except RemoteProtocolError as error:
            raise BrokenProtocolError(f"the server broke the protocol: {error}") from error
        outcome = outcome_of(reader) if event.end else None
        if objects:
            self._incomplete = 0
            untaken.deliver(call, objects, len(event.data))
        else:
            self._count_incomplete(len(event.data), options.largest_object)
        return outcome

    def _count_incomplete(self, size: int, most: int) -> None:
        self._incomplete += size
        if self._incomplete > most:
            raise ClientError(f"an object of the response exceeds the limit of {most} bytes")

    def finish(self, error: BaseException | None) -> None:
        """Give the call its outcome: the end of its objects, or a failure."""
        if self.sending is not None or self.timer is not None:
            self.stop()
        if error is None:
            if not self.call.is_over:
                self.call.receive_end()
        elif self.timer is not None and is_late(error):
            self.call.fail(DeadlineError(PASSED))
        else:
            self.call.fail(error)

    def stop(self) -> None:
        """Stop sending and timing: the request is answered, or given up."""
        self.is_stopped = True
        if self.sending is not None:
            self.sending.cancel()
        if self.timer is not None:
            self.timer.cancel()


def moment_of(timeout: float | None, now: float) -> float | None:
    """Return the moment at which a call is late; None for a call without a timeout.

    Raises:
        ClientError: The timeout is no number of seconds.
    """
    if timeout is None:
        return None
    try:
        is_number = math.isfinite(timeout)
    except (TypeError, OverflowError):  # a text, or an integer beyond all floats
        is_number = False
    if not is_number:
        raise ClientError(f"a timeout is a number of seconds, not {timeout!r:.50}")
    return now + max(timeout, 0.0)


def name_bytes(name: bytes | str) -> bytes:
    """Return a name as it travels.

    Raises:
        ClientError: It is neither bytes nor text, or has half of a character.
    """
    if isinstance(name, bytes):
        return name
    if isinstance(name, str):
        try:
            return name.encode()
        except UnicodeEncodeError:
            raise ClientError(f"a name has half of a character: {name!r:.50}") from None
    raise ClientError(f"a name must be text or bytes, not {type(name).__name__}")


def granted(permission: Permission | str | None) -> Permission | None:
    """Return a permission that was given as such, or by its name.

    Raises:
        ClientError: There is no such permission.
    """
    try:
        return None if permission is None else Permission(permission)
    except ValueError:
        raise ClientError(f"a permission is ro or rw, not {permission!r:.50}") from None


def named_arguments(
    arguments: Mapping[bytes, Value] | Mapping[str, Value] | None,
) -> Mapping[bytes, Value]:
    """Return arguments with their names as they travel.

    Raises:
        ClientError: They are no mapping, or a name is neither bytes nor text, or given as both.
    """
    if not arguments:
        return {}
    named: dict[bytes, Value] = {}
    if not hasattr(arguments, "items"):
        raise ClientError(f"arguments are given by name, not as {type(arguments).__name__}")
    # No comprehension, which is a call of its own.
    for name, value in arguments.items():
        named[name_bytes(name)] = value
    if len(named) != len(arguments):
        raise ClientError("an argument is given twice, as text and as bytes")
    return named
