"""The only module that uses private names of Twisted.

A release of Twisted may rename any of them without notice. So no other module names a private
attribute of Twisted's classes, and `tests/net/test_twisted_internals.py` checks each of them: where
a release has changed one, that test names it, and the function here that depends on it.

Each part says why the public names do not suffice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet import tcp

# service_identity's error, which Twisted raises without a public name for it.
from twisted.internet._sslverify import VerificationError  # type: ignore[attr-defined]  # imported there, not exported
from twisted.internet.abstract import FileDescriptor
from twisted.logger import Logger, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.logfile import BaseLogFile
from twisted.web.http import _IdentityTransferDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IPushProducer
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure
    from twisted.web.http import HTTPChannel

__all__ = ["VerificationError"]

# --- twisted.web.http.HTTPChannel: requests whose heads are known --------------------------------


class ParsedHead(Protocol):
    """The parsed head of an earlier request, which is used again."""

    @property
    def method(self) -> bytes:
        """The request's method."""

    @property
    def uri(self) -> bytes:
        """The request's target."""

    @property
    def length(self) -> int:
        """Bytes of the body; more than 0."""


def request_line(channel: HTTPChannel) -> tuple[bytes, bytes, bytes]:
    """Return method, target and version of the request whose head is complete.

    The request itself gets them when the body is complete as well, too late to refuse it.
    """
    return channel._command, channel._path, channel._version


def target_of(channel: HTTPChannel) -> bytes:
    """Return the target of the request whose head is being read; empty before its first line."""
    return getattr(channel, "_path", b"")


def version_of(channel: HTTPChannel) -> bytes:
    """Return the version of the request whose head is being read; empty before its first line."""
    return getattr(channel, "_version", b"")


def head_so_far(channel: HTTPChannel) -> tuple[int, int]:
    """Return the bytes and the header fields of the head that is being read, as counted so far."""
    return channel._receivedHeaderSize, channel._receivedHeaderCount


def unfinished_line(channel: HTTPChannel) -> bytes:
    """Return the beginning of the line that is being read; empty outside of a head."""
    transport: Any = channel.transport
    if channel._busyReceiving or not channel.line_mode or transport.disconnecting:
        return b""
    return bytes(channel._buffer)


def replace_network_producer(channel: Any, producer: IPushProducer) -> None:  # noqa: ANN401 not annotated
    """Let a channel, which pauses its input itself, do so by ``producer``, not its transport."""
    channel._networkProducer = producer


def is_receiving(channel: Any) -> bool:  # noqa: ANN401 what it has of a base class is not annotated
    """Return whether the channel works off bytes: it keeps those that come meanwhile."""
    return bool(channel._busyReceiving)


def is_between_requests(channel: Any) -> bool:  # noqa: ANN401 what it has of a base class is not annotated
    """Return whether the next byte begins a request, and no earlier request is unfinished."""
    return bool(
        not channel.requests
        and channel.line_mode
        and not channel._buffer
        and not channel._busyReceiving
        and channel.persistent
        and not channel.transport.disconnecting
        and channel._HTTPChannel__first_line == 1
    )


def receive_parsed_request(
    channel: Any,  # noqa: ANN401 the same
    head: ParsedHead,
    body: bytes,
) -> bytes:
    """Process a request as `HTTPChannel` does, without parsing its head.

    The request's ``begin`` is called with the head where Twisted would have called ``gotLength``.
    The channel must be between requests; ``body`` are the bytes after the head, be they less or
    more than the body. Those after it are returned if the channel is between requests again;
    otherwise the channel keeps them.
    """
    # Bytes that are left over go into the channel's buffer and back to the caller's loop: otherwise
    # each of many pipelined requests would be answered inside of the one before it.
    channel._busyReceiving = True
    try:
        request = channel.requestFactory(channel)
        channel.requests.append(request)
        if len(body) < head.length:
            _receive_part(channel, request, head, body)
        else:
            _receive_whole(channel, request, head, body)
    finally:
        channel._busyReceiving = False
    rest, channel._buffer = channel._buffer, b""
    return bytes(rest)


def _receive_part(channel: Any, request: Any, head: ParsedHead, body: bytes) -> None:  # noqa: ANN401 the same
    """Begin a request, and leave the rest of its body to Twisted."""
    # What `lineReceived` does with the request line, and `headerReceived` with Content-Length.
    channel._HTTPChannel__first_line = 0
    channel._command, channel._path, channel._version = head.method, head.uri, b"HTTP/1.1"
    channel.length = head.length
    decoder = _IdentityTransferDecoder(
        head.length, request.handleContentChunk, channel._finishRequestBody
    )
    channel._transferDecoder = decoder
    channel.setRawMode()
    request.begin(head)
    if body:
        decoder.dataReceived(body)


def _receive_whole(channel: Any, request: Any, head: ParsedHead, body: bytes) -> None:  # noqa: ANN401 the same
    """Process a request whose whole body has arrived, as Twisted's ``allContentReceived``."""
    # Until the request is done, bytes that arrive are kept for later (`rawDataReceived`).
    channel._handlingRequest = True
    channel.line_mode = 0
    if len(body) > head.length:
        channel._dataBuffer.append(body[head.length :])
        body = body[: head.length]
    request.begin(head)
    request.receive_whole(body)


# --- twisted.internet.abstract.FileDescriptor: writing at once -----------------------------------


def is_waiting(transport: FileDescriptor) -> bool:
    """Return whether earlier output waits in the transport, or it accepts no more output.

    Twisted has no public name for that, because its own writes always wait for the reactor's next
    turn.
    """
    return bool(
        transport._tempDataBuffer
        or transport.dataBuffer
        or not transport.connected
        or transport.disconnecting
        or transport._writeDisconnecting
        or transport._writeDisconnected
    )


def unsent_output(transport: Any) -> int:  # noqa: ANN401 wrappers, TLS and sockets have no common base
    """Return the bytes written to a transport that wait in this process.

    Through TLS they are counted partly before and partly after encryption.
    """
    size = 0
    while transport is not None:
        size += sum(map(len, getattr(transport, "_appSendBuffer", ())))
        if isinstance(transport, FileDescriptor):
            return size + len(transport.dataBuffer) - transport.offset + transport._tempDataLen
        transport = getattr(transport, "transport", None)
    return size


# --- twisted.internet.tcp.Port: connections that cannot be accepted ------------------------------


def observe_accepts(port: Any, observer: Callable[[LogEvent], None]) -> None:  # noqa: ANN401 no interface names a logger
    """Let an observer of ours have all that a port logs, in place of the log.

    A port logs three lines for each connection that it must close for want of a descriptor, and
    says nothing about it in any other way. A port of some other kind, of a plugin, is left as it
    is.
    """
    logger = getattr(port, "_logger", None)
    if isinstance(logger, Logger):
        port._logger = _logger(logger.namespace, observer)
    # The loss of the reserve is logged with a traceback; `has_reserved_descriptor` says it, too.
    reserve: Any = tcp._reservedFD
    reserve._log = _logger(__name__, lambda _event: None)


def _logger(namespace: str, observer: Any) -> Logger:  # noqa: ANN401 a function is an ILogObserver, which no checker knows
    return Logger(namespace=namespace, observer=observer)


def has_reserved_descriptor() -> bool:
    """Return whether Twisted still has the descriptor by which it accepts and closes connections.

    Without it a port that has no other is ready to read for ever, and the reactor never rests.
    """
    return bool(tcp._reservedFD.available())


def reserve_descriptor() -> None:
    """Let Twisted take such a descriptor again, if there is one."""
    tcp._reservedFD.reserve()


# --- twisted.protocols.tls: ends in the middle of an answer --------------------------------------


class ServerTls(TLSMemoryBIOProtocol):
    """TLS on one connection of a listener.

    It leaves out Twisted's gathering of small writes, which costs a turn of the reactor: our
    responses are gathered already.
    """

    def flush_encrypted(self, connection: Any) -> None:  # noqa: ANN401 pyOpenSSL's Connection
        """Send what a connection has encrypted so far."""
        raise NotImplementedError

    def _flushSendBIO(self) -> None:
        self.flush_encrypted(self._tlsConnection)

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """End the connection, also in the middle of a response.

        Twisted waits for the producer of the response, whose writes it drops from now on
        (docs/decisions.md).
        """
        producer = self._producer
        super()._tlsShutdownFinished(reason)
        if producer is not None:
            # What is written from now on is dropped. The socket may stay open for long, where the
            # peer does not read what was written before: the commands need not run until then.
            producer.stopProducing()
        consumer: Any = self.transport
        consumer.unregisterProducer()


# --- twisted.logger: the files that twistd logs to, whose observer it keeps to itself -------------


def log_files() -> list[BaseLogFile]:
    """Return the log files of the process."""
    files = [getattr(each, "_outFile", None) for each in globalLogPublisher._observers]
    return [each for each in files if isinstance(each, BaseLogFile)]


def replace_poller(reactor: Any, replace: Callable[[Any], Any]) -> bool:  # noqa: ANN401 of many kinds
    """Let a reactor wait by what ``replace`` makes of its poller; return whether it has one."""
    poller = getattr(reactor, "_poller", None)
    if poller is not None:
        reactor._poller = replace(poller)
    return poller is not None
