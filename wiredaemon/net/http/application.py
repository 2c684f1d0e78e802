"""The application that all resources share, and waiting for a host's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.http.public_urls import PublicUrls
from wiredaemon.net.http.responses import unavailable
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.net.guard.guard import ConnectionGuard
    from wiredaemon.net.hosting.host import Host
    from wiredaemon.net.hosting.push_answers import PushAnswers
    from wiredaemon.net.http.identification import Identification
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.limits import Limits

_log: Final = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One API: its name in URLs and the framings it serves, the preferred one first."""

    name: bytes
    framings: Sequence[Dialect]

    def speaking(self, media_type: bytes | None) -> Dialect | None:
        """Return the framing of exactly that media type, or None."""
        # A handful at the most, and asked only where a head is new: a dict would be one more thing
        # to keep.
        for framing in self.framings:
            if framing.media_type == media_type:
                return framing
        return None


def apis_of(framings: Mapping[str, Sequence[str]]) -> list[Api]:
    """Return the APIs that a configuration names.

    Args:
        framings: The eras of each API, the preferred one first, by the API's name; an API without
            eras is left out.
    """
    return [
        Api(name=name.encode(), framings=[DIALECTS[era] for era in eras])
        for name, eras in framings.items()
        if eras
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The site's APIs, limits and reactor, which all resources share."""

    apis: Sequence[Api]
    limits: Limits
    reactor: Any
    guard: ConnectionGuard
    """Counts the connections, and ends those that wait too long."""
    identification: Identification | None = None
    """Finds out who sends a request; None where nobody can log in."""
    pushes: PushAnswers | None = None
    """The answers to pushes of the last minutes; None where nobody pushes."""
    read_static: Callable[[bytes], Awaitable[tuple[bytes, bytes] | None]] | None = None
    """Returns type and content of one of Mercurial's static files; None where there is none."""
    public_urls: PublicUrls = field(default_factory=PublicUrls)
    """The URLs by which clients know what is served."""
    keeps_log: bool = False
    """A line is logged for each request."""


def decide(
    request: StreamingRequest,
    host: Host,
    decide_with: Callable[[StreamingRequest, Settings], None],
) -> None:
    """Call ``decide_with`` with the host's settings; until they are known, no body is read."""
    settings = host.settings()
    # Not isinstance(..., Deferred): its metaclass runs Python code for each such test
    # (findings/isinstance-deferred-runs-python.sh).
    if isinstance(settings, Settings):
        decide_with(request, settings)
        return
    # The client waits for us from here on: it is not idle, and bytes that came would have to be
    # kept.
    request.body.pause()

    def on_settings(known: Settings) -> None:
        if not request.is_abandoned:
            decide_with(request, known)

    def on_failure(_: Failure) -> None:
        # `Host.settings` has logged why; the client gets no details of the configuration.
        request.answer(unavailable())

    settings.addCallbacks(on_settings, on_failure)
    end_with(request, settings)


def end_with(request: StreamingRequest, deciding: Deferred[Any]) -> None:
    """Close the connection of a request that a fault of ours left without an answer."""

    def on_bug(failure: Failure) -> None:
        _log.failure("a request could not be decided", failure)
        if not request.is_abandoned:
            request.response.break_off()

    deciding.addErrback(on_bug)
