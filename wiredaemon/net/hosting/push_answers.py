"""The answers to pushes that were accepted, given again to clients that send the same once more.

A client whose kept connection breaks before the answer sends its whole push again. Mercurial
refuses it then, as one that another push came before, and a person is told that it failed although
everything arrived. Only such a refusal is replaced here: whatever else Mercurial says of the second
push counts, so that a push after a strip, or after a hook that was mended, is a push like any.

Source: docs/decisions.md.
"""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import CborError, KeyOrder
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.wire.values import Value

KEPT_SECONDS: Final = 600.0
"""Seconds for which an answer is kept: clients try again at once."""
MOST: Final = 1000
"""Answers that are kept; the oldest go first."""
_OK: Final = 200
_log: Final = Logger()


class Answer(NamedTuple):
    """A whole answer of Mercurial's."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def is_race(self) -> bool:
        """Mercurial refuses the push because the repository has changed since the client looked."""
        return b"error:pushraced" in self.body.lower()

    @property
    def is_accepted(self) -> bool:
        """The push has arrived."""
        # A part of a bundle, or the return code of a push without one.
        failed = b"error:" in self.body.lower() or self.body.startswith(b"0\n")
        return self.status == _OK and not failed


class PushAnswers:
    """The answers of one daemon, each in a file of its own, so that they outlive the process.

    Args:
        folder: The folder of the files; it is made when the first is written.
        now: Returns the time, in seconds since 1970.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now
        self.running: dict[str, Push] = {}
        """The first of all pushes with the same contents whose bodies are complete, by identity."""

    def begin(self, user: str | None, wanted: WebRequest) -> Push:
        """Return a push whose body is still to come.

        Args:
            user: The user who pushes.
            wanted: The head of the request.
        """
        # What the client has expected of the repository is in the query, or in these headers.
        arguments = sorted(
            (name.lower(), value)
            for name, value in wanted.headers
            if name.lower().startswith(b"x-hgarg")
        )
        what = [wanted.script_name, (user or "").encode(), wanted.query, repr(arguments).encode()]
        return Push(self, what)

    def keep(self, identity: str, answer: Answer) -> None:
        """Keep an answer, and forget those that are too old or too many."""
        headers: list[Value] = [[name, value] for name, value in answer.headers]
        parts: list[Value] = [answer.status, answer.reason, headers, answer.body]
        encoded = cbor.encode(parts, KeyOrder.BYTEWISE)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._forget_old()
            new = self._folder / f"{identity}.new"
            new.write_bytes(encoded)
            new.replace(self._folder / identity)
        except OSError as error:
            _log.warn("the answer to a push was not kept: {error}", error=error)

    def find(self, identity: str) -> Answer | None:
        """Return the answer to the same push, if it was accepted some minutes ago at the most."""
        file = self._folder / identity
        try:
            if file.stat().st_mtime < self._now() - KEPT_SECONDS:
                return None
            found = cbor.decode_first(file.read_bytes(), DIALECTS["0006"].cbor, Limits())
        except (OSError, CborError):
            return None
        # Written by us alone, in one step.
        status, reason, headers, body = cast("Any", found)
        return Answer(status, reason, [(name, value) for name, value in headers], body)

    def _forget_old(self) -> None:
        oldest = self._now() - KEPT_SECONDS
        files = sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime)
        for number, file in enumerate(files):
            if number < len(files) - MOST or file.stat().st_mtime < oldest:
                file.unlink()


class Push:
    """One push, from its first byte to its answer.

    Args:
        answers: The answers to earlier ones.
        what: What makes it the same as another one, besides its body.
    """

    def __init__(self, answers: PushAnswers, what: list[bytes]) -> None:
        self._answers = answers
        self._digest = sha256()
        for each in what:
            self._digest.update(b"%d:" % len(each) + each)
        self._identity: str | None = None
        self._waiting: list[Deferred[None]] = []
        """Fire when this push has its answer."""

    @property
    def is_whole(self) -> bool:
        """All of the body has arrived: Mercurial works on it, whether the client stays or not."""
        return self._identity is not None

    def receive_data(self, data: bytes) -> None:
        """Receive a piece of the body."""
        self._digest.update(data)

    def receive_end(self) -> None:
        """Note that the body is complete."""
        self._identity = self._digest.hexdigest()
        self._answers.running.setdefault(self._identity, self)

    async def settle(self, answer: Answer) -> Answer:
        """Return the answer for the client: Mercurial's own, or that to the same push before."""
        identity = self._identity
        if identity is None:
            return answer
        if answer.is_accepted:
            self._answers.keep(identity, answer)
        elif answer.is_race:
            first = self._answers.running.get(identity, self)
            if first is not self:
                # Its hooks may run after its transaction.
                await first.ended()
            known = self._answers.find(identity)
            if known is not None:
                _log.info("a push that came twice has the answer to the first one")
                return known
        return answer

    def ended(self) -> Deferred[None]:
        """Return what fires when this push has its answer, or will never have one."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def end(self) -> None:
        """Note that it has its answer, or will have none."""
        if self._identity is not None and self._answers.running.get(self._identity) is self:
            del self._answers.running[self._identity]
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
