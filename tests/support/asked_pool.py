"""A pool of workers without workers: it remembers what it is asked, and the test answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.repository.worker_calls import CallContext


class AskedPool:
    """Stands for a `WorkerPool` whose answers the test sends.

    Attributes:
        descriptions: The answers of ``describe``, in the order they were asked for.
        asked: The arguments of ``call`` and ``open``, in order: context, command and arguments,
            and for ``open`` also the share and whether command data follows.
        answers: The answers to those, in the same order.
    """

    def __init__(self) -> None:
        self.reactor = Clock()
        self.recoveries = 0
        self.descriptions: list[Deferred[Any]] = []
        self.asked: list[object] = []
        self.answers: list[Deferred[Any]] = []

    def describe(self, _repository: bytes) -> Deferred[Any]:
        self.descriptions.append(Deferred())
        return self.descriptions[-1]

    def call(
        self, context: CallContext, command: bytes, arguments: Mapping[bytes, object]
    ) -> Deferred[object]:
        return self._ask(context, command, dict(arguments))

    def open(
        self,
        context: CallContext,
        command: bytes,
        arguments: Mapping[bytes, object],
        *,
        share: str | None,
        has_data: bool = False,
        is_short: bool = False,
    ) -> Deferred[Any]:
        return self._ask(context, command, dict(arguments), share, has_data or is_short)

    def _ask(self, *question: object) -> Deferred[Any]:
        self.asked.append(question)
        self.answers.append(Deferred())
        return self.answers[-1]
