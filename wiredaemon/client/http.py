"""A repository over HTTP, by Twisted's own client: the handshake, and a POST for each call.

Source: http, sections 4 and 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from wiredaemon import __version__
from wiredaemon.client.bodies import read_beginning
from wiredaemon.client.call import Call
from wiredaemon.client.errors import ClientError
from wiredaemon.client.failures import describe, within
from wiredaemon.client.handshake import HEADERS, LARGEST_ANSWER, Offer, choose, read_answer
from wiredaemon.client.http_pool import HttpPool
from wiredaemon.client.options import CLOSE_SECONDS
from wiredaemon.client.posting import Post
from wiredaemon.commands import Permission
from wiredaemon.net import tls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from twisted.web.iweb import IBodyProducer

    from wiredaemon.client.address import Address
    from wiredaemon.client.call import Observer
    from wiredaemon.client.description import Description
    from wiredaemon.client.options import ClientOptions
    from wiredaemon.client.outgoing_data import Data
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

_USER_AGENT: Final = f"wiredaemon/{__version__}".encode()


@implementer(IPolicyForHTTPS)
class _Policy:
    """The TLS policy of Twisted's agent, with the trust of the options."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002 of the interface
        return tls.client_options(
            hostname.decode("ascii"),
            authorities=self._options.authorities,
            trusts_anybody=self._options.trusts_anybody,
            certificate=self._options.certificate,
            private_key=self._options.private_key,
        )


class HttpConnection:
    """A repository over HTTP: the server's offer, and Twisted's pool of connections."""

    def __init__(self, reactor: Any, address: Address, options: ClientOptions) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Begin without a connection; `connect_http` performs the handshake."""
        self.reactor = reactor
        self.address = address
        self.options = options
        self._offer: Offer | None = None
        self._pool = HttpPool(reactor)
        self._agent = Agent(
            reactor,
            contextFactory=_Policy(options),
            connectTimeout=options.connect_seconds,
            pool=self._pool,
        )

    @property
    def dialect(self) -> Dialect:
        """The framing that was chosen."""
        return self._known_offer.dialect

    @property
    def _known_offer(self) -> Offer:
        if self._offer is None:
            raise ClientError("the server was not asked what it offers")
        return self._offer

    async def handshake(self) -> None:
        """Ask for the server's APIs and choose one.

        Raises:
            ClientError: The server cannot be reached, or offers no known API.
        """
        url = self.address.url + b"/?cmd=capabilities"
        limits = (self.address, self.options.connect_seconds, self.reactor)
        try:
            # A time for each of the two: a server may send a head at once and its body never.
            response = await within(self.ask(b"GET", url, HEADERS, None), *limits)
            reading = read_beginning(response, LARGEST_ANSWER, is_cut=False)
            content = await within(reading, *limits)
        except Exception as error:
            raise self.describe_failure(error) from error
        content_type = response.headers.getRawHeaders(b"content-type", [b""])[0]
        answer = read_answer(
            response.code,
            response.phrase,
            content_type,
            content[:LARGEST_ANSWER],
            self.options.limits,
        )
        self._offer = choose(answer, self.options.dialect)

    def ask(
        self,
        method: bytes,
        url: bytes,
        headers: Mapping[bytes, Sequence[bytes]],
        body: IBodyProducer | None,
    ) -> Deferred[Any]:
        """Send a request; the Deferred fires with the response when its head has arrived."""
        given = Headers({**headers, b"User-Agent": [_USER_AGENT]})
        credentials = self.options.credentials
        if credentials is not None:
            # With the first request, too: to be asked for it would cost another one.
            given.setRawHeaders(b"Authorization", [credentials.header()])
        asking: Deferred[Any] = self._agent.request(method, url, given, body)
        return asking

    def describe_failure(self, error: BaseException) -> ClientError:
        """Return the client's error for a failure."""
        return describe(error, self.address)

    def call(
        self,
        command: bytes,
        arguments: Mapping[bytes, Value] | None = None,
        *,
        data: Data | None = None,
        permission: Permission | None = None,
        observer: Observer | None = None,
    ) -> Call:
        """Call a command; if it cannot be sent, the call fails.

        Args:
            command: The name of the command.
            arguments: Its arguments by name.
            data: Command data, if the command takes any.
            permission: The permission in the URL; by default the one that the server says the
                command needs.
            observer: Receives text and progress.
        """
        call = Call(observer)
        offer = self._known_offer
        if permission is None:
            described = offer.description and offer.description.commands.get(command)
            # The lesser right, where nobody says which: what needs more is refused by the server,
            # and nothing is done by mistake.
            permission = described.permission if described else Permission.RO
        parts = [offer.base, permission.value.encode(), quote_from_bytes(command, safe="").encode()]
        url = b"/".join([self.address.url, *parts])
        try:
            Post(self, call).start(url, command, arguments or {}, data)
        except ClientError as error:
            call.fail(error)
        return call

    async def describe(self) -> Description | None:
        """Return the server's description of its commands; None if it gives none."""
        return self._known_offer.description

    async def close(self) -> None:
        """Close the connections; those in use close when their responses are complete."""
        closed = self._pool.close()
        # Given up in silence: the caller is done, and the server's side of a TLS close is not its
        # business.
        await closed.addTimeout(CLOSE_SECONDS, self.reactor, onTimeoutCancel=lambda *_: None)


async def connect_http(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    address: Address,
    options: ClientOptions,
) -> HttpConnection:
    """Connect to a repository by the handshake.

    Raises:
        ClientError: The server cannot be reached, or offers no known API.
    """
    connection = HttpConnection(reactor, address, options)
    try:
        await connection.handshake()
    # Also when it is cancelled: the pool keeps the connection of the handshake, and its timer,
    # otherwise.
    except BaseException:
        await connection.close()
        raise
    return connection
