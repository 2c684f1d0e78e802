"""Redirects clients to copies of kept responses on other servers, and uploads such copies.

Uploads and checks happen in the background, one after the other. A failure is logged, and the work
is done again when a client asks later; meanwhile clients get their answer from here.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wiredaemon.commands.capabilities import REDIRECT_HASHES
from wiredaemon.net.cache.copied_content import ANSWERS, write_content
from wiredaemon.net.cache.uploaded_copies import UploadedCopies
from wiredaemon.net.cache.uploaders import HttpClient, UploadError, make_uploader
from wiredaemon.wire.values import Redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wiredaemon.commands import Followed
    from wiredaemon.commands.capabilities import RedirectTarget
    from wiredaemon.net.cache.copied_content import Content, CopyKind
    from wiredaemon.net.cache.store import KeptResponse
    from wiredaemon.net.cache.targets import Target
    from wiredaemon.net.cache.uploaded_copies import UploadedCopy
    from wiredaemon.net.cache.uploaders import Uploader
    from wiredaemon.wire.limits import Limits

FIRST_WAIT: Final = 10.0
"""Seconds for which a target that has failed is left alone; twice as many each further time."""
LONGEST_WAIT: Final = 600.0
"""Seconds for which it is left alone at most, so that one that works again is used again soon."""

# Without jitter, which keeps many clients of one server apart: a target has one of us.
_wait: Final = backoffPolicy(
    initialDelay=FIRST_WAIT, maxDelay=LONGEST_WAIT, factor=2.0, jitter=lambda: 0.0
)

_log: Final = Logger()


@dataclass(slots=True)
class _Place:
    """A redirect target and its recent failures."""

    target: Target
    uploader: Uploader
    prefix: str
    """The front of its copies' names: another address is another target."""
    failures: int = 0
    rests_until: float = 0.0


class _Work(NamedTuple):
    """An upload or a check that waits for its turn."""

    place: _Place
    key: str
    entry: KeptResponse | None
    """The content to upload; None to check whether the object is there."""
    encoding: bytes


class Redirects:
    """The targets, and the copies that are there."""

    def __init__(  # noqa: PLR0913 where to, what, and with what
        self,
        targets: Sequence[Target],
        folder: Path,
        limits: Limits,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        clock: Callable[[], float],
        *,
        kind: CopyKind = ANSWERS,
    ) -> None:
        """Begin without knowledge of copies; `start` reads it.

        Args:
            targets: In the order of preference.
            folder: The cache's folder.
            limits: ``cache_entries`` and ``cache_uploads``.
            reactor: The reactor, for connections, threads and timing.
            clock: Seconds since 1970.
            kind: What is copied.
        """
        self._kind = kind
        self._reactor = reactor
        self._clock = clock
        self._limits = limits
        self._http = HttpClient(reactor)
        self._places = [
            _Place(
                target,
                make_uploader(target, self._http, reactor, kind.media_type),
                _prefix_of(target),
            )
            for target in targets
        ]
        self._folder = folder
        self._markers = UploadedCopies(folder / "redirects", limits.cache_entries)
        self._open: Callable[[KeptResponse], IO[bytes] | None] | None = None
        self._queue: deque[_Work] = deque()
        self._pending: set[str] = set()
        """Names of markers that something is done about."""
        self._working: Deferred[None] | None = None
        self.uploads = 0
        self.redirects = 0

    @property
    def described(self) -> Sequence[RedirectTarget]:
        """The targets, as capability descriptors list them."""
        return [place.target.described for place in self._places]

    def start(self, open_content: Callable[[KeptResponse], IO[bytes] | None]) -> None:
        """Read which copies were uploaded before.

        Args:
            open_content: Gives the file of a kept response.
        """
        try:
            self._markers.open()
        except OSError as error:
            _log.error("nobody is redirected: {reason}", reason=str(error))
            return
        self._open = open_content

    def stop(self) -> Deferred[None]:
        """End what is going on; it is to be done again after the next start."""
        self._open = None
        self._queue.clear()
        working = self._working
        done: Deferred[None] = Deferred()
        if working is None:
            done.callback(None)
        else:
            working.addBoth(lambda _: done.callback(None))
            working.cancel()
        return done

    # --- answers -----------------------------------------------------------------------------

    def find(self, key: str, followed: Followed) -> Redirect | None:
        """Return the redirect to a copy, if there is one that the client may be sent to.

        Args:
            key: The key of the content.
            followed: The redirects that the client follows.
        """
        for place in self._places:
            if place.target.name.encode() in followed.targets:
                marker = self._fresh(place, key)
                if marker is not None:
                    self.redirects += 1
                    return _redirect(place.target.url + key, marker, followed)
        return None

    def places_of(self, key: str) -> Sequence[Target]:
        """Return the targets where a copy is, whoever asks; it is at their ``url`` and its key."""
        return [place.target for place in self._places if self._fresh(place, key) is not None]

    def _fresh(self, place: _Place, key: str) -> UploadedCopy | None:
        """Return a copy that was seen not long ago; one that may be gone is looked for anew."""
        marker = None if self._open is None else self._markers.find(place.prefix + key)
        if marker is None:
            return None
        # A time in the future: the clock was set back since.
        if 0 <= self._clock() - marker.seen <= place.target.fresh_seconds:
            return marker
        self._add(_Work(place, key, None, b""))
        return None

    def offer(
        self, key: str, entry: KeptResponse, encoding: bytes, followed: Followed | None = None
    ) -> None:
        """Have a kept response uploaded where it is not.

        Args:
            key: The content's key.
            entry: The response.
            encoding: That it is in.
            followed: The redirects that its client follows; None for everybody.
        """
        for place in self._places:
            target = place.target
            is_wanted = followed is None or target.name.encode() in followed.targets
            if not is_wanted or entry.content_size < target.min_size:
                continue
            if self._markers.find(place.prefix + key) is None:
                self._add(_Work(place, key, entry, encoding))

    # --- the background ----------------------------------------------------------------------

    def _add(self, work: _Work) -> None:
        name = work.place.prefix + work.key
        if (
            self._open is None
            or name in self._pending
            or len(self._queue) >= self._limits.cache_uploads
            or self._reactor.seconds() < work.place.rests_until
        ):
            return
        self._pending.add(name)
        self._queue.append(work)
        if self._working is None:
            working = self._working = Deferred.fromCoroutine(self._run())
            working.addErrback(lambda failure: failure.trap(CancelledError) and None)
            working.addErrback(lambda failure: _log.failure("uploads have stopped", failure))
            if self._working is working and working.called:
                self._working = None

    async def _run(self) -> None:
        try:
            while self._queue:
                work = self._queue.popleft()
                try:
                    await self._do(work)
                finally:
                    self._pending.discard(work.place.prefix + work.key)
        finally:
            self._working = None

    async def _do(self, work: _Work) -> None:
        place = work.place
        if self._reactor.seconds() < place.rests_until:
            return
        try:
            if work.entry is None:
                await self._check(place, work.key)
            else:
                await self._upload(place, work.key, work.entry, work.encoding)
        except CancelledError:
            if self._open is None:
                raise
            self._fail(place, "it took too long")
        except Exception as error:  # noqa: BLE001 of a library, perhaps
            self._fail(place, str(error) or type(error).__name__)
        else:
            place.failures = 0

    def _fail(self, place: _Place, reason: str) -> None:
        wait = _wait(place.failures)
        place.failures += 1
        place.rests_until = self._reactor.seconds() + wait
        _log.error(
            "redirect target {target} fails and is left alone for {seconds:g} s: {reason}",
            target=place.target.name,
            seconds=wait,
            reason=reason,
        )

    async def _check(self, place: _Place, key: str) -> None:
        """Ask a target whether an object is still there."""
        name = place.prefix + key
        marker = self._markers.find(name)
        if marker is None:
            return
        if await self._http.size_of(place.target.url + key) == marker.size:
            self._markers.set(name, replace(marker, seen=int(self._clock())))
        else:
            self._markers.remove(name)

    async def _upload(self, place: _Place, key: str, entry: KeptResponse, encoding: bytes) -> None:
        file = None if self._open is None else self._open(entry)
        if file is None:
            return
        content = await self._content_of(file, encoding)
        size = content.marker.size
        await place.uploader.put(key, content.file, size)
        # Clients fetch it by another address than it was put to.
        seen = await self._http.size_of(place.target.url + key)
        if seen != size:
            raise UploadError(f"what was uploaded is not to be seen at {place.target.url}")
        self._markers.set(place.prefix + key, content.marker)
        self.uploads += 1
        _log.info(
            "{kind} of {size} bytes was uploaded to redirect target {target}",
            kind=self._kind.shown,
            size=size,
            target=place.target.name,
        )

    def _content_of(self, file: IO[bytes], encoding: bytes) -> Deferred[Content]:
        """Have a thread read a file; whoever waits no more gets no open file."""
        given: Deferred[Content] = Deferred()

        def give(content: Content) -> None:
            if given.called:
                content.file.close()
            else:
                given.callback(content)

        pool, now = self._reactor.getThreadPool(), int(self._clock())
        pieces = self._kind.pieces(file, encoding)
        deferToThreadPool(
            self._reactor, pool, write_content, file, pieces, self._folder, now
        ).addCallbacks(give, given.errback)
        return given


def _prefix_of(target: Target) -> str:
    address = f"{target.name}\0{target.url}"
    return hashlib.sha256(address.encode()).hexdigest()[:8] + "-"


def _redirect(url: str, marker: UploadedCopy, followed: Followed) -> Redirect:
    digests = {b"sha256": marker.sha256, b"sha1": marker.sha1}
    known = [name for name in REDIRECT_HASHES if name in followed.hashes]
    return Redirect(
        url=url.encode(),
        size=marker.size,
        full_hashes=[(name, digests[name]) for name in known],
    )
