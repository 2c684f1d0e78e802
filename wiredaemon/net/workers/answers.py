"""Answers of workers: the interface that receives one, and the answer that is one value.

The other kind of answer is a `WorkerStream`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol import RemoteProtocolError, ResponseReader
from wiredaemon.repository.worker_calls import WORKER_DIALECT
from wiredaemon.wire.cbor import decode_all
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.payloads import OK_MAP

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from wiredaemon.wire.limits import Limits


class WorkerAnswer(Protocol):
    """Receives a worker's answer to one command."""

    @property
    def refusal(self) -> CommandError | None:
        """The error that a complete answer is; None if it is none."""

    def receive(self, data: bytes) -> None:
        """Receive the content of a frame.

        Raises:
            RemoteProtocolError: The content cannot belong to an answer.
        """

    def check_end(self) -> None:
        """Check that the answer is complete: its last frame was received.

        Raises:
            RemoteProtocolError: The answer is incomplete.
        """

    def finish(self) -> None:
        """Notify the caller of a complete answer; the worker may have its next command already."""

    def fail(self, error: Exception) -> None:
        """Notify the caller that the command failed."""


class ValueAnswer:
    """One value, held until it is complete.

    Args:
        limits: ``worker_result`` bounds the answer, in bytes.
        result: Fires with the value, or fails with `CommandError` or `ServerError`. Nothing happens
            to one that has fired because it was cancelled.
    """

    def __init__(self, limits: Limits, result: Deferred[object]) -> None:
        self._limits = limits
        self._result = result
        self._parts: list[bytes] = []
        self._size = 0
        self._content: list[object] = []
        self._error: Exception | None = None

    def receive(self, data: bytes) -> None:
        """Hold the content of a frame."""
        self._parts.append(data)
        self._size += len(data)
        # While it comes, not at the end: the limit bounds what is held.
        if self._size > self._limits.worker_result:
            message = (
                f"response exceeds the limit of {self._limits.worker_result} bytes (worker_result)"
            )
            raise RemoteProtocolError(message, malformed=True)

    def check_end(self) -> None:
        """Decode the answer in one go, which costs a quarter of the calls of a frame at a time."""
        data, self._parts = b"".join(self._parts), []
        error = None
        if data.startswith(OK_MAP):
            self._content = _decode(data[len(OK_MAP) :], self._limits)
        else:
            reader = ResponseReader(self._limits)
            self._content = reader.receive_data(data)
            reader.receive_end()
            error = reader.error
        if error is not None:
            self._error = CommandError(error.message, error.arguments)
        elif len(self._content) != 1:
            self._error = ServerError(f"{len(self._content)} results instead of one")

    @property
    def refusal(self) -> CommandError | None:
        """The error that a complete answer is."""
        return self._error if isinstance(self._error, CommandError) else None

    def finish(self) -> None:
        """Fire the result."""
        if self._error is not None:
            self.fail(self._error)
        elif not self._result.called:
            self._result.callback(self._content.pop())

    def fail(self, error: Exception) -> None:
        """Fail the result."""
        if not self._result.called:
            self._result.errback(error)


def _decode(data: bytes, limits: Limits) -> list[object]:
    try:
        return decode_all(data, WORKER_DIALECT.cbor, limits)
    except CborError as error:
        message = f"error decoding CBOR from response: {error}"
        raise RemoteProtocolError(message, malformed=True) from error


def limits_of_answers(limits: Limits) -> Limits:
    """Return the limits for what workers answer: they are ours, and only its size is bounded."""
    # Every item and every container has a byte at the least.
    size = limits.worker_result
    return replace(limits, cbor_elements=size, cbor_containers=size)
