"""A repository over HTTP: the handshake, and a POST for each call.

Source: http, sections 4 and 8.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote_from_bytes

from wiredaemon import __version__
from wiredaemon.client.call import Call
from wiredaemon.client.errors import CLOSED, BrokenProtocolError, ClientError, ConnectionLostError
from wiredaemon.client.fetching import fetch
from wiredaemon.client.handshake import HEADERS, LARGEST_ANSWER, Offer, choose, read_answer
from wiredaemon.client.http_pool import HttpPool
from wiredaemon.client.options import CLOSE_SECONDS
from wiredaemon.client.outgoing_data import checked_data
from wiredaemon.client.posting import Post
from wiredaemon.client.requests import Request, granted, moment_of, name_bytes, named_arguments
from wiredaemon.commands import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from wiredaemon.client.address import Address
    from wiredaemon.client.call import Observer
    from wiredaemon.client.description import Description
    from wiredaemon.client.http_messages import Head
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.client.runtime import Runtime, Tls
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_USER_AGENT: Final = f"wiredaemon/{__version__}".encode()
_CAPABILITIES: Final = b"/?cmd=capabilities"
_REDIRECTIONS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTIONS: Final = 5
_MOST_TARGETS: Final = 256
"""Paths of commands that are remembered, of some 100 bytes each."""


class HttpConnection:
    """A repository over HTTP: the server's offer, and the connections to it."""

    def __init__(self, runtime: Runtime, address: Address, options: ClientOptions) -> None:
        """Begin without a connection; `open` performs the handshake."""
        self.runtime = runtime
        self.options = options
        self.pool = HttpPool(runtime, address, options)
        self._address = address
        self._offer: Offer | None = None
        self._common = self._common_headers()
        self._targets: dict[tuple[bytes, Permission | None], bytes] = {}
        """The paths of commands that were called, by name and permission asked for."""

    def _common_headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"Host", self._address.host_header), (b"User-Agent", _USER_AGENT)]
        if self.options.credentials is not None:
            # With the first request, too: to be asked for it would cost another one.
            headers.append((b"Authorization", self.options.credentials.header()))
        return headers

    @property
    def dialect(self) -> Dialect:
        """The framing that was chosen."""
        return self._known_offer.dialect

    @property
    def _known_offer(self) -> Offer:
        if self._offer is None:
            raise ClientError("the server was not asked what it offers")
        return self._offer

    @property
    def tls(self) -> Tls | None:
        """The TLS of the connection that was made last; None without."""
        return self.pool.tls

    @property
    def has_session(self) -> bool:
        """HTTP has no sessions."""
        return False

    async def open(self) -> None:
        """Ask for the server's APIs and choose one, wherever it says that the repository is.

        Raises:
            ClientError: The server cannot be reached, or offers no known API.
        """
        try:
            head, content = await self._ask_for_apis()
            answer = read_answer(
                head.status,
                head.reason,
                head.header(b"content-type"),
                content[:LARGEST_ANSWER],
                self.options.limits,
            )
            self._offer = choose(answer, self.options.dialect)
        # Also when it is cancelled: the pool keeps the connection of the handshake otherwise.
        except BaseException:
            await self.close()
            raise

    async def _ask_for_apis(self) -> tuple[Head, bytes]:
        """Ask for the APIs, also at the places that redirections lead to.

        A repository that has moved is redirected at this request and at no other: what follows is
        asked at the new place.
        """
        for _ in range(_MOST_REDIRECTIONS):
            head, content = await fetch(
                self.runtime,
                self.pool,
                self._address.url_path + _CAPABILITIES,
                [*self._common, *HEADERS],
                seconds=self.options.connect_seconds,
                limit=LARGEST_ANSWER,
                server=str(self._address),
            )
            location = head.header(b"location")
            if head.status not in _REDIRECTIONS or not location:
                return head, content
            await self._move(location)
        raise BrokenProtocolError(f"more than {_MOST_REDIRECTIONS} redirections")

    async def _move(self, location: bytes) -> None:
        """Go on at another place.

        Raises:
            UrlError: Nobody should be sent there.
        """
        there = self._address.moved(location, _CAPABILITIES)
        if not there.is_same_server(self._address):
            # Passwords are for the server that they were given for.
            self.options = replace(self.options, credentials=None)
            await self.pool.close()
            self.pool = HttpPool(self.runtime, there, self.options)
        self._address = there
        self._common = self._common_headers()

    def post_headers(self, length: int | None) -> Sequence[tuple[bytes, bytes]]:
        """Return the headers of a call whose body has so many bytes; None is not known yet."""
        media_type = self.dialect.media_type
        size = (
            (b"Transfer-Encoding", b"chunked")
            if length is None
            else (b"Content-Length", b"%d" % length)
        )
        return [*self._common, (b"Accept", media_type), (b"Content-Type", media_type), size]

    def call(  # noqa: PLR0913 all that a call is made of
        self,
        command: bytes | str,
        arguments: Mapping[bytes, Value] | Mapping[str, Value] | None = None,
        *,
        data: Data | None = None,
        permission: Permission | Literal["ro", "rw"] | None = None,
        observer: Observer | None = None,
        timeout: float | None = None,
    ) -> Call:
        """Call a command; if it cannot be sent, the call fails."""
        call = Call(self.runtime, observer)
        seconds = self.options.timeout if timeout is None else timeout
        try:
            deadline = moment_of(seconds, self.runtime.now())
            if self.pool.is_closed:
                raise ConnectionLostError(CLOSED)
            name = name_bytes(command)
            sent = None if data is None else checked_data(data)
            request = Request(name, named_arguments(arguments), sent, None, deadline)
            Post(self, self._target(name, granted(permission)), call, request).send()
        except ClientError as error:
            call.fail(error)
        return call

    def _target(self, command: bytes, permission: Permission | None) -> bytes:
        """Return the path of a command's URL."""
        target = self._targets.get((command, permission))
        if target is None:
            needed = permission or self._permission_of(command)
            parts = [
                self._address.url_path,
                self._known_offer.base,
                needed.value.encode(),
                quote_from_bytes(command, safe="").encode(),
            ]
            target = b"/".join(parts)
            if len(self._targets) < _MOST_TARGETS:
                self._targets[command, permission] = target
        return target

    def _permission_of(self, command: bytes) -> Permission:
        description = self._known_offer.description
        described = description and description.commands.get(command)
        # The lesser right, where nobody says which: what needs more is refused by the server, and
        # nothing is done by mistake.
        return described.permission if described else Permission.RO

    def only_reads(self, command: bytes) -> bool:
        """Return whether the server has said that a command needs no right to write."""
        description = self._known_offer.description
        described = description and description.commands.get(command)
        return bool(described) and self._permission_of(command) is Permission.RO

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""
        return self._known_offer.description

    async def close(self) -> None:
        """Close the connections; calls without a complete response fail."""
        # Given up in silence: the caller is done, and the server's side of a TLS close is not its
        # business.
        late = self.runtime.call_later(CLOSE_SECONDS, self.pool.abort)
        try:
            await self.pool.close()
        finally:
            late.cancel()
