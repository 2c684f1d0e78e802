"""A request of an ordinary Twisted site, as the resources of our own site see requests.

Owns the life of one request: it is counted by the guard like a connection of its own, and its
commands are cancelled when the client goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from wiredaemon.commands import Peer
from wiredaemon.net.guard.held_memory import RETRY
from wiredaemon.net.guard.waits import Held, Look, Wait
from wiredaemon.net.http.buffered_body import too_large
from wiredaemon.net.http.held_body import held_by
from wiredaemon.net.http.responses import busy
from wiredaemon.net.mounted.body import MountedBody
from wiredaemon.net.mounted.response import MountedResponse
from wiredaemon.net.peer import show_address
from wiredaemon.net.write_now import not_taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.web.http import Request
    from twisted.web.http_headers import Headers

    from wiredaemon.accounts.credentials import Password, Token
    from wiredaemon.net.guard.guard import ConnectionGuard, Refusal
    from wiredaemon.net.guard.waits import Expiry
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.identification import Client, KnownLogin
    from wiredaemon.net.http.request import HeadReceiver, StreamingRequest
    from wiredaemon.net.http.responses import HttpResponse

_FAILURES: Final = frozenset({400, 413})
"""Statuses of requests that were wrong in themselves, whoever sends them."""
_LIMITED: Final = frozenset({413, 429, 503})
"""Statuses of responses that may name a limit, at the end of their text."""


class _Site(NamedTuple):
    """What requests ask their own site for."""

    guard: ConnectionGuard


class MountedChannel:
    """The connection of one request, as far as it is ours: the guard looks at it.

    Args:
        http_request: The site's request.
        request: The request as our resources see it.
        guard: Counts it.
    """

    client: Client | None = None
    login: KnownLogin | None = None
    rest = b""

    def __init__(
        self, http_request: Request, request: MountedRequest, guard: ConnectionGuard
    ) -> None:
        self._http_request: Any = http_request  # Twisted annotates a part of it
        self.requests = [request]
        self.site = _Site(guard)
        # HTTP/2's streams have one of another kind.
        self.transport: Any = getattr(self._http_request.channel, "transport", None)

    def getPeer(self) -> Any:  # noqa: ANN401 any IAddress
        """Return the client's address."""
        return self._http_request.getClientAddress()

    def isSecure(self) -> bool:
        """Return whether the site's connection is encrypted."""
        return bool(self._http_request.isSecure())

    # --- called by the guard -----------------------------------------------------------------

    def look(self) -> Look:
        """Return what the connection waits for: the client, if it takes nothing of the answer."""
        (request,) = self.requests
        unsent = not_taken(self.transport)
        return Look(Wait.NOTHING, 0, False, 0, request.response.written, unsent, self._held())  # noqa: FBT003 a tuple's field

    def _held(self) -> Held:
        return held_by(cast("Any", self))

    def expire(self, expiry: Expiry) -> None:
        """End the request: it makes us hold too much."""
        (request,) = self.requests
        request.body.refuse(busy(f"the request is {expiry.shown}", RETRY))

    def abort(self) -> None:
        """Close the site's connection without a word."""
        channel = self._http_request.channel
        if channel is None:
            return
        if self.transport is not None and hasattr(self.transport, "abortConnection"):
            self.transport.abortConnection()
        else:
            channel.loseConnection()

    def drain(self, now: float) -> None:
        """Do nothing: the request ends by itself, and the connection is the site's."""


class MountedRequest:
    """One request, with those attributes of `StreamingRequest` that our resources use.

    Args:
        http_request: The site's request, whose body has arrived.
        application: What all resources share.
    """

    question: object = None
    credentials: Password | Token | None = None
    shows: Callable[[HttpResponse], HttpResponse] | None = None
    repository = None
    may_be_remembered = False
    resource: HeadReceiver
    _peer: Peer | None = None

    def __init__(self, http_request: Request, application: Application) -> None:
        guard = application.guard
        self._http_request: Any = http_request
        self._application = application
        self.method: bytes = self._http_request.method
        self.uri: bytes = self._http_request.uri
        self.requestHeaders: Headers = http_request.requestHeaders
        self.limits = application.limits
        self.identification = application.identification
        self.is_abandoned = False
        self._is_finished = False
        content: Any = self._http_request.content  # there is one after the end of the body
        self.body = MountedBody(content, guard.turns)
        self.response = MountedResponse(http_request)
        self.channel: MountedChannel = MountedChannel(http_request, self, guard)
        self.site = self.channel.site

    def begin(self, resource: HeadReceiver) -> None:
        """Let a resource answer the request, unless there are too many, or it is too large."""
        guard, limits = self.site.guard, self.limits
        self.resource = resource
        self._http_request.notifyFinish().addErrback(lambda _: self._lost())
        refusal = guard.open(self.channel, self.channel.getPeer())
        if refusal is not None:
            self.answer(_refused(refusal))
        elif self.body.declared > limits.command_data + limits.request_size:
            self.answer(too_large("command_data", limits.command_data))
        elif self.identification is None:
            resource.headers_received(self.as_streaming())
        else:
            self.identification.begin(self.as_streaming())

    def as_streaming(self) -> StreamingRequest:
        """Return it under the type that resources of our own site declare."""
        return cast("StreamingRequest", self)

    # --- the head ----------------------------------------------------------------------------

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, without white space around it."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[0].strip() if values else None

    def peer(self) -> Peer:
        """Return the client."""
        if self._peer is None:
            channel = self.channel
            self._peer = Peer(address=show_address(channel.getPeer()), is_secure=channel.isSecure())
        return self._peer

    def set_peer(self, peer: Peer) -> None:
        """Learn who sends this request."""
        self._peer = peer

    def forget_head(self) -> None:
        """Do nothing: no head is remembered."""

    def remember(self, question: object, resource: HeadReceiver) -> None:
        """Do nothing: an ordinary site parses each head anew."""

    def notifyFinish(self) -> Deferred[None]:
        """Return a Deferred that fails when the client goes before the response has ended."""
        finished: Deferred[None] = self._http_request.notifyFinish()
        return finished

    # --- the end -----------------------------------------------------------------------------

    def answer(self, response: HttpResponse) -> None:
        """Write a fixed response; of several the first counts."""
        if self.is_abandoned or self.response.is_begun:
            return
        if response.login_helps and self.identification is not None:
            response = self.identification.challenged(response, self.peer())
        if response.status in _LIMITED:
            shown = response.body.decode("ascii", "replace").strip()
            self.site.guard.hits.hit_in(shown, self.limits, self.peer().address)
        if response.status in _FAILURES:
            # Too many of them, and the guard refuses the next request of the address.
            self.site.guard.failed(self.channel)
        if self.shows is not None:
            response = self.shows(response)
        self.response.write_fixed(response)
        self.finish()

    def finish(self) -> None:
        """End the response, which has begun."""
        if self.is_abandoned or self._is_finished:
            return
        self._end()
        self.response.finish()

    end_stream = finish
    """The body has arrived: nothing of it is left to be read."""

    def _lost(self) -> None:
        """Cancel the commands: the client has gone."""
        self.is_abandoned = True
        self.site.guard.failed(self.channel)
        body = self.body
        self._end()
        body.connection_lost()

    def _end(self) -> None:
        self._is_finished = True
        self.site.guard.close(self.channel)
        if not self.is_abandoned:
            self.body.stop()


def _refused(refusal: Refusal) -> HttpResponse:
    """Return the response to a request that the guard refuses."""
    answer = busy(refusal.shown, refusal.retry)
    if refusal.name != "failed_requests":
        return answer
    return replace(answer, status=429, reason=b"Too Many Requests")
