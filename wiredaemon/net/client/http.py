"""Calls over HTTP: a POST for each, over Twisted's own client.

Source: http, sections 4 and 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from twisted.internet.defer import Deferred, succeed
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IPolicyForHTTPS
from zope.interface import implementer

from wiredaemon import __version__
from wiredaemon.commands import Permission
from wiredaemon.net import tls
from wiredaemon.net.client.answers import Body, read_beginning
from wiredaemon.net.client.call import Call
from wiredaemon.net.client.early import EarlyPool
from wiredaemon.net.client.errors import (
    ClientError,
    ConnectionLostError,
    HttpAnswerError,
)
from wiredaemon.net.client.exchange import Exchange
from wiredaemon.net.client.failures import cause_of, describe, within
from wiredaemon.net.client.handshake import HEADERS, LARGEST_ANSWER, Offer, choose, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IConsumer, IOpenSSLClientConnectionCreator
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from wiredaemon.net.client.address import Address
    from wiredaemon.net.client.call import Observer
    from wiredaemon.net.client.data import Data
    from wiredaemon.net.client.description import Description
    from wiredaemon.net.client.options import ClientOptions
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.frames import EncodedFrame
    from wiredaemon.wire.values import Value

_USER_AGENT: Final = f"wiredaemon/{__version__}".encode()
_SHOWN: Final = 4096
"""Bytes of an answer without frames that an error keeps."""
_OK: Final = 200


@implementer(IPolicyForHTTPS)
class _Policy:
    """Trusts as the options say."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002 of the interface
        return tls.client_options(
            hostname.decode("ascii"),
            authorities=self._options.authorities,
            trusts_anybody=self._options.trusts_anybody,
        )


@implementer(IBodyProducer)
class _WholeProducer:
    """The body of a call without data."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all was written."""

    resumeProducing = stopProducing = pauseProducing


@implementer(IBodyProducer)
class _DataProducer:
    """The body of a call with data; Twisted sends it in HTTP chunks."""

    length = UNKNOWN_LENGTH

    def __init__(self, post: _Post, request_id: int, data: Data) -> None:
        self._post = post
        self._request_id = request_id
        self._data = data
        self._done: Deferred[None] = Deferred()
        self._is_stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self._post.send_to(consumer)
        sending = self._post.exchange.send_data(self._request_id, self._data)
        sending.addBoth(self._sent)
        return self._done

    def _sent(self, outcome: Failure | None) -> None:
        if not self._is_stopped and not self._done.called:
            # A Failure makes it fail.
            self._done.callback(outcome)

    def pauseProducing(self) -> None:
        self._post.exchange.gate.pauseProducing()

    def resumeProducing(self) -> None:
        self._post.exchange.gate.resumeProducing()

    def stop(self) -> None:
        """Be told that nobody is interested any more in how it ends."""
        self._is_stopped = True

    def stopProducing(self) -> None:
        # The connection was lost while we send; of an answer that had begun nobody else is told.
        self.stop()
        self._post.lost()


class _Post:
    """One call: its exchange, whose frames are the bodies of a request and of its answer."""

    def __init__(self, connection: HttpConnection, call: Call) -> None:
        self.exchange = Exchange(self, connection.dialect, connection.options, connection.reactor)
        self._connection = connection
        self._call = call
        self._held: list[EncodedFrame] = []
        self._consumer: IConsumer | None = None
        self._asking: Deferred[Any] | None = None
        self._producer: _DataProducer | None = None
        self._body: Body | None = None
        call.on_closed = self._closed

    def start(
        self,
        url: bytes,
        command: bytes,
        arguments: Mapping[bytes, Value],
        data: Data | None,
    ) -> None:
        """Send the request.

        Raises:
            ClientError: It cannot be sent.
        """
        has_data = data is not None
        request_id = self.exchange.start(
            self._call, command, arguments, has_data=has_data, extra={}
        )
        body: IBodyProducer
        if data is None:
            frames, self._held = self._held, []
            body = _WholeProducer(b"".join(part for frame in frames for part in frame))
        else:
            body = self._producer = _DataProducer(self, request_id, data)
        media_type = self._connection.dialect.media_type
        headers = {b"Accept": [media_type], b"Content-Type": [media_type]}
        self._asking = self._connection.ask(b"POST", url, headers, body)
        self._asking.addCallback(self._answered).addErrback(self._failed)

    def _answered(self, response: IResponse) -> Deferred[None] | None:
        content_type = response.headers.getRawHeaders(b"content-type", [b""])[0]
        if response.code == _OK and content_type == self._connection.dialect.media_type:
            self._body = Body(self.exchange.receive_data, self._ended)
            response.deliverBody(self._body)
            return None
        reading = read_beginning(response, _SHOWN, is_cut=True)
        return reading.addCallback(self._refused, response)

    def _refused(self, content: bytes, response: IResponse) -> None:
        self.exchange.fail(HttpAnswerError(response.code, response.phrase, content))

    def _failed(self, failure: Failure) -> None:
        if self._producer is not None:
            self._producer.stop()
        self.exchange.fail(self._connection.describe_failure(cause_of(failure)))

    def _ended(self, error: BaseException | None) -> None:
        if error is None:
            text = "the answer ended too early"
            self.exchange.receive_end(ConnectionLostError(text))
        else:
            self.exchange.receive_end(self._connection.describe_failure(error))

    def _closed(self) -> None:
        self.exchange.fail(ConnectionLostError("the call was closed"))

    # --- the body of the request -------------------------------------------------------------

    def send_to(self, consumer: IConsumer) -> None:
        """Send what was held, and all that follows, to Twisted's body."""
        self._consumer = consumer
        frames, self._held = self._held, []
        self.write_frames(frames)

    def lost(self) -> None:
        """Say that the connection is gone."""
        text = f"the connection to {self._connection.address} was lost"
        self.exchange.receive_end(ConnectionLostError(text))

    # --- the exchange's side -----------------------------------------------------------------

    def write_frames(self, frames: Sequence[EncodedFrame]) -> None:
        """Send frames, when there is where to."""
        if self._consumer is None:
            self._held += frames
        else:
            self._consumer.write(b"".join(part for frame in frames for part in frame))

    def pause_input(self) -> None:
        """Read no more of the answer."""
        if self._body is not None:
            self._body.transport.pauseProducing()

    def resume_input(self) -> None:
        """Read on."""
        if self._body is not None:
            self._body.transport.resumeProducing()

    def abort(self) -> None:
        """Close the connection, unless the answer is complete."""
        if self._body is not None:
            self._body.abort()
        elif self._asking is not None:
            self._asking.cancel()


class HttpConnection:
    """A repository over HTTP: its offer is known, its connections are Twisted's to keep."""

    def __init__(self, reactor: Any, address: Address, options: ClientOptions) -> None:  # noqa: ANN401 zope interfaces do not intersect
        """Begin without a connection and without the offer; `connect_http` gets it."""
        self.reactor = reactor
        self.address = address
        self.options = options
        self._offer: Offer | None = None
        self._pool = EarlyPool(reactor)
        self._agent = Agent(
            reactor,
            contextFactory=_Policy(options),
            connectTimeout=options.connect_seconds,
            pool=self._pool,
        )

    @property
    def dialect(self) -> Dialect:
        """The framing chosen."""
        return self._known_offer.dialect

    @property
    def _known_offer(self) -> Offer:
        if self._offer is None:
            raise ClientError("the server was not asked what it offers")
        return self._offer

    async def handshake(self) -> None:
        """Learn what the server offers.

        Raises:
            ClientError: It cannot be reached, or offers nothing of use.
        """
        url = self.address.url + b"/?cmd=capabilities"
        limits = (self.address, self.options.connect_seconds, self.reactor)
        try:
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
        """Send a request; fires with the response when its head is there."""
        given = Headers({**headers, b"User-Agent": [_USER_AGENT]})
        asking: Deferred[Any] = self._agent.request(method, url, given, body)
        return asking

    def describe_failure(self, error: BaseException) -> ClientError:
        """Give the error that says what went wrong."""
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
        """Call a command; what cannot be sent fails the call.

        Args:
            command: Its name.
            arguments: By name.
            data: Command data, if the command takes any.
            permission: That the URL asks for; by default what the server says the command needs.
            observer: Of text and progress.
        """
        call = Call(observer)
        offer = self._known_offer
        if permission is None:
            described = offer.description and offer.description.commands.get(command)
            permission = described.permission if described else Permission.RO
        parts = [offer.base, permission.value.encode(), quote_from_bytes(command, safe="").encode()]
        url = b"/".join([self.address.url, *parts])
        try:
            _Post(self, call).start(url, command, arguments or {}, data)
        except ClientError as error:
            call.fail(error)
        return call

    async def describe(self) -> Description | None:
        """Give what the server says about its commands; None where it does not say."""
        return self._known_offer.description

    async def close(self) -> None:
        """Close the connections that are kept; calls go on until their answers are complete."""
        await self._pool.closeCachedConnections()


async def connect_http(
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    address: Address,
    options: ClientOptions,
) -> HttpConnection:
    """Learn what a server offers.

    Raises:
        ClientError: It cannot be reached, or offers nothing of use.
    """
    connection = HttpConnection(reactor, address, options)
    try:
        await connection.handshake()
    except BaseException:
        await connection.close()
        raise
    return connection
