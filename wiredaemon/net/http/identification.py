"""Finds out who sends a request, from its head, before its resource decides on it.

There are three ways: a password or a token in the header ``Authorization``, a TLS client
certificate, and the word of a trusted proxy. All three end at `Logins.log_in`.

Source: docs/users.md.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import CancelledError

from wiredaemon.accounts.credentials import Named
from wiredaemon.accounts.login import (
    LoginError,
    LoginFaultError,
    RetryLaterError,
    TooManyFailuresError,
)
from wiredaemon.commands import Peer
from wiredaemon.net.hosting.access import SECURE
from wiredaemon.net.http.application import end_with
from wiredaemon.net.http.authorization import UnreadableError, challenges, read_credentials
from wiredaemon.net.http.responses import TEXT_PLAIN, HttpResponse, failed, text
from wiredaemon.net.peer import show_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.python.failure import Failure

    from wiredaemon.accounts.credentials import Password, Token
    from wiredaemon.net.http.channel import KnownHeadChannel
    from wiredaemon.net.http.proxies import Proxies
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.logins import Logins, Moment

_FORBIDDEN: Final = 403
_IN_PLAIN_TEXT: Final = text(
    _FORBIDDEN, SECURE, b"passwords and tokens are accepted over TLS only\n"
)


class Client(NamedTuple):
    """The client of a connection, as far as it is the same for all requests."""

    peer: Peer
    is_proxy: bool
    """It is a trusted proxy: each request may be another client's."""
    certificate_user: str | None
    """The user that the client's certificate names."""


class KnownLogin(NamedTuple):
    """The last login of a connection, for its next request with the same head."""

    credentials: Password | Token
    peer: Peer
    """The client, logged in."""
    moment: Moment


class Identification:
    """Finds out who sends the requests of one site.

    Args:
        logins: Logs peers in.
        realm: The name of what logins are for.
        proxies: The proxies whose word counts; None for none.
    """

    def __init__(self, logins: Logins, *, realm: str, proxies: Proxies | None = None) -> None:
        self._logins = logins
        self._realm = realm
        self._proxies = proxies
        self.user_header = b"" if proxies is None else proxies.user_header.lower()
        """The header in which proxies name users, in lower case; empty if there is none."""

    @property
    def is_open(self) -> bool:
        """Somebody can log in."""
        return self._logins.is_open

    @property
    def accepts_tokens(self) -> bool:
        """A token can be right."""
        return self._logins.accepts_tokens

    def begin(self, request: StreamingRequest) -> None:
        """Find out who sends a request; then its resource decides, or it is refused."""
        # Once for each connection: address and security cannot change, and asking the socket takes
        # some 2 us.
        client = request.channel.client
        if client is None:
            client = request.channel.client = self._client_of(request.channel)
        peer, is_proxy, named = client
        if is_proxy and self._proxies is not None:
            peer, named = self._proxies.client(peer, request.requestHeaders)
            if named:
                # What it passes on besides was meant for the proxy itself.
                self._skip(request)
                self._log_in(request, peer, Named(named))
                return
        known = request.channel.login
        if (
            known is not None
            and known.credentials is request.credentials
            and self._logins.still_counts(known.moment)
        ):
            request.set_peer(known.peer)
            request.resource.headers_received(request)
            return
        request.set_peer(peer)
        try:
            credentials = request.credentials or self._read(request)
        except UnreadableError as error:
            request.answer(self._unauthorized(str(error), peer))
            return
        if credentials is None:
            if named:
                self._log_in(request, peer, Named(named))
            else:
                request.resource.headers_received(request)
        elif self._logins.may_send(peer):
            self._log_in(request, peer, credentials)
        else:
            request.answer(_IN_PLAIN_TEXT)

    def asked(self, request: StreamingRequest) -> tuple[bytes, Sequence[bytes]]:
        """Return what the client asked a trusted proxy for, as `Proxies.asked`; else nothing."""
        client = request.channel.client
        if self._proxies is None or client is None or not client.is_proxy:
            return b"", ()
        return self._proxies.asked(request.requestHeaders)

    def is_told(self, request: StreamingRequest) -> bool:
        """Return whether trusted proxies say who the client is, and of nobody behind it."""
        client = request.channel.client
        if self._proxies is None or client is None or not client.is_proxy:
            return False
        return self._proxies.are_all(request.requestHeaders)

    def _read(self, request: StreamingRequest) -> Password | Token | None:
        # A head that is known was read when it was new.
        if request.question is not None or not self._logins.is_open:
            return None
        request.credentials = read_credentials(request.requestHeaders)
        return request.credentials

    def _skip(self, request: StreamingRequest) -> None:
        """Let a head be forgotten whose credentials were not read: others may send the same."""
        if request.question is None and request.requestHeaders.hasHeader(b"Authorization"):
            request.forget_head()

    def _client_of(self, channel: KnownHeadChannel) -> Client:
        address = channel.getPeer()
        peer = Peer(address=show_address(address), is_secure=bool(channel.isSecure()))
        is_proxy = self._proxies is not None and self._proxies.trusts(address)
        # A proxy's own certificate is no client's.
        named = None if is_proxy else self._logins.certificate_user(channel.transport)
        return Client(peer, is_proxy, named)

    # --- asking ------------------------------------------------------------------------------

    def _log_in(
        self, request: StreamingRequest, peer: Peer, credentials: Password | Token | Named
    ) -> None:
        # Before it: a file that changes meanwhile counts for the next one.
        moment = self._logins.moment()
        try:
            asked = self._logins.log_in(credentials, peer)
        except LoginError as error:
            request.answer(self._refused(error, peer))
            return
        if isinstance(asked, Peer):
            # Not a proxy's: each of its requests may be another client's.
            if not isinstance(credentials, Named) and not request.channel.client.is_proxy:
                request.channel.login = KnownLogin(credentials, asked, moment)
            request.set_peer(asked)
            request.resource.headers_received(request)
            return
        # Nothing of the body is read meanwhile, and no client is told to send one.
        request.body.pause()

        def on_login(known: Peer) -> None:
            if not request.is_abandoned:
                request.set_peer(known)
                request.resource.headers_received(request)

        def on_failure(failure: Failure) -> Failure | None:
            if failure.check(CancelledError) and request.is_abandoned:
                return None
            if not isinstance(failure.value, LoginError):
                return failure
            request.answer(self._refused(failure.value, peer))
            return None

        # Who has left waits no longer for the check, nor in front of others.
        request.notifyFinish().addErrback(lambda _: asked.cancel())
        asked.addCallbacks(on_login, on_failure)
        end_with(request, asked)

    # --- answers -----------------------------------------------------------------------------

    def challenged(self, response: HttpResponse, peer: Peer) -> HttpResponse:
        """Return the response to what some users may do, so that it asks for a login.

        Where a password would be sent in plain text, it asks for TLS instead.
        """
        if peer.user or not self._logins.is_open:
            return response
        if not self._logins.may_send(peer):
            body = response.body.replace(response.reason, SECURE)
            return replace(response, status=_FORBIDDEN, reason=SECURE, body=body)
        asking = challenges(self._realm, bearer=self._logins.accepts_tokens)
        return replace(response, headers=(*response.headers, *asking))

    def _refused(self, error: LoginError, peer: Peer) -> HttpResponse:
        if isinstance(error, LoginFaultError):
            return failed(error.message.encode())
        if not isinstance(error, RetryLaterError):
            return self._unauthorized(error.message, peer)
        seconds = math.ceil(error.retry_after)
        # Mercurial's clients show the reason phrase alone.
        is_failures = isinstance(error, TooManyFailuresError)
        reason = b"too many failed logins" if is_failures else b"too many logins at once"
        return HttpResponse(
            status=429 if is_failures else 503,
            reason=b"%s: try again in %d seconds" % (reason, seconds),
            headers=(TEXT_PLAIN, (b"Retry-After", b"%d" % seconds)),
            body=error.message.encode() + b"\n",
        )

    def _unauthorized(self, message: str, peer: Peer) -> HttpResponse:
        answer = text(401, b"Unauthorized", message.encode() + b"\n")
        return self.challenged(answer, peer)
