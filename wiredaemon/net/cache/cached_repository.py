"""A repository for one request of a cacheable command: a kept answer goes before a worker's.

Each way to answer is one generator more than the worker's own at most: every object of an answer
passes through all of them.
"""

from __future__ import annotations

import os
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.keys import is_settled, keys_of
from wiredaemon.net.cache.recording import IDENTITY
from wiredaemon.wire.values import Encoded, Recorded, UnencodableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from twisted.internet.defer import Deferred

    from wiredaemon.commands import Followed, Redirect, Value
    from wiredaemon.commands.capabilities import RedirectTarget
    from wiredaemon.net.cache.cache import ResponseCache
    from wiredaemon.net.cache.keys import CachedAs, Keys
    from wiredaemon.net.cache.reading import FileReader
    from wiredaemon.net.cache.store import KeptResponse
    from wiredaemon.repository.stat_signatures import StatSignatures, WatchedFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheableRepository:
    """The facts about a repository that keeping its answers needs."""

    cache: ResponseCache
    path: bytes
    """The repository's working folder."""
    files: WatchedFiles
    """The files without whose change no read-only command answers differently. Where they are not
    known, nothing is kept."""
    journals: Sequence[bytes]
    """Files one of which exists while a transaction runs or was abandoned. Nothing is recorded
    then: the answer may be of before or of after."""
    may_redirect: bool = False
    """Everybody may read the repository, so that copies of its answers may lie elsewhere."""

    def is_in_transaction(self) -> bool:
        """Return whether a transaction runs, or was abandoned."""
        return any(map(os.path.exists, self.journals))

    @property
    def redirect_targets(self) -> Sequence[RedirectTarget]:
        """The targets that clients may be sent to."""
        redirects = self.cache.redirects
        return () if redirects is None or not self.may_redirect else redirects.described


class ObjectStream(Protocol):
    """The encoded objects of one answer of a worker."""

    async def read(self) -> list[bytes]:
        """Return the next objects; an empty list at the end."""

    def close(self) -> None:
        """Drop what was not read."""


class WorkerCaller(Protocol):
    """Runs commands on the repository in a worker."""

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command."""

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded, None]:
        """Run a stream command; its objects stay encoded."""

    async def open(self, command: bytes, arguments: Mapping[bytes, Value]) -> ObjectStream:
        """Run a stream command; the caller must close the stream."""


class Question(NamedTuple):
    """A request, and all that makes its answer the same as an earlier one."""

    command: bytes
    arguments: Mapping[bytes, Value]
    state: StatSignatures
    """The repository's files before anything was asked."""
    keys: Keys


class CachedRepository:
    """Answers one request; implements `wiredaemon.commands.Repository`.

    Args:
        handle: The handle that runs commands in workers.
        repository: The facts about the repository.
        cached_as: The form of the response.
        followed: The redirects that the client follows.
    """

    def __init__(
        self,
        handle: WorkerCaller,
        repository: CacheableRepository,
        cached_as: CachedAs,
        followed: Followed | None,
    ) -> None:
        self._handle = handle
        self._repository = repository
        self._cache = repository.cache
        self._as = cached_as
        self._followed = followed

    def call(self, command: bytes, arguments: Mapping[bytes, Value]) -> Deferred[object]:
        """Run a value command in a worker; its result is not kept."""
        return self._handle.call(command, arguments)

    def stream(
        self, command: bytes, arguments: Mapping[bytes, Value]
    ) -> AsyncGenerator[Encoded | Recorded | Redirect, None]:
        """Return the address of the answer, or the kept answer, or a worker's."""
        question = self._question(command, arguments)
        if question is None:
            return self._handle.stream(command, arguments)
        # Before the kept answer: a redirect costs this server nothing, and is counted by the
        # target.
        redirect = self._redirect(question.keys)
        if redirect is not None:
            return _alone(redirect)
        entry = self._cache.find(question.keys)
        return self._answer(question) if entry is None else self._kept(question, entry)

    def _question(self, command: bytes, arguments: Mapping[bytes, Value]) -> Question | None:
        """Return the question that a request asks; None if its answer cannot be kept."""
        repository = self._repository
        # A command may ask for another one's stream: the key knows only its own.
        if not self._cache.is_on or not repository.files.knows_state or command != self._as.command:
            return None
        # Before the command runs: what changes meanwhile makes the state another one, and the
        # answer is not kept.
        state = repository.files.stat_state()
        try:
            keys = keys_of(self._as, repository.path, arguments, state)
        except UnencodableError:
            return None
        return Question(command, arguments, state, keys)

    # --- answers that were kept --------------------------------------------------------------

    def _redirect(self, keys: Keys) -> Redirect | None:
        redirects = self._cache.redirects
        if redirects is None or self._followed is None or not self._repository.may_redirect:
            return None
        return redirects.find(keys.content, self._followed)

    def _offer(self, keys: Keys, entry: KeptResponse) -> None:
        """Have a copy uploaded to a target where the client would have looked for it."""
        redirects = self._cache.redirects
        if redirects is not None and self._followed is not None and self._repository.may_redirect:
            redirects.offer(keys.content, entry, self._as.profile, self._followed)

    async def _kept(
        self, question: Question, entry: KeptResponse
    ) -> AsyncGenerator[Encoded | Recorded, None]:
        reader = await self._cache.open(entry)
        if reader is None:  # damaged, and removed by now
            async with aclosing(self._answer(question)) as parts:
                async for part in parts:
                    yield part
            return
        try:
            self._offer(question.keys, entry)
            # Counted, because the response's size was promised by the entry: an early end must not
            # look like a whole answer.
            left = entry.size
            while left:
                piece = await self._read(entry, reader)
                left -= len(piece)
                if self._as.profile == IDENTITY:
                    yield Encoded([piece])
                else:
                    yield Recorded(self._as.profile, [piece])
        finally:
            reader.close()

    async def _read(self, entry: KeptResponse, reader: FileReader) -> bytes:
        reason = "its file has changed"
        try:
            piece = await self._cache.read(reader)
        except OSError as error:
            piece, reason = b"", str(error)
        if not piece:
            self._cache.report_damage(entry, reason)
            raise ServerError("the answer broke off; asking again helps")
        return piece

    # --- answers of a worker -----------------------------------------------------------------

    def _answer(self, question: Question) -> AsyncGenerator[Encoded, None]:
        may_record = (
            self._cache.may_record(question.keys)
            # Only for recording: to find an answer, the state needs to be right, not settled.
            and is_settled(question.state, self._cache.clock())
            and not self._repository.is_in_transaction()
        )
        if may_record:
            return self._recorded(question)
        return self._handle.stream(question.command, question.arguments)

    async def _recorded(self, question: Question) -> AsyncGenerator[Encoded, None]:
        cache, profile = self._cache, self._as.profile
        recording = cache.record(question.keys, profile)
        try:
            stream = await self._handle.open(question.command, question.arguments)
            with closing(stream):
                while parts := await stream.read():
                    if recording is not None:
                        cache.write(recording, parts)
                    yield Encoded(parts)
        except BaseException:
            if recording is not None:
                cache.drop(recording)
            raise
        if recording is None:
            return
        # A change meanwhile: the worker may have answered as of before it, or as of after it.
        if self._repository.is_in_transaction() or self._has_changed(question):
            cache.drop(recording)
        else:
            may_redirect = self._repository.may_redirect
            cache.keep(recording, question.keys, profile, may_redirect=may_redirect)

    def _has_changed(self, question: Question) -> bool:
        return self._repository.files.stat_state_anew() != question.state


async def _alone(redirect: Redirect) -> AsyncGenerator[Redirect, None]:
    yield redirect
