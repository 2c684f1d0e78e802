"""The interfaces between a connection's transport, its input, its requests and their admission."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wiredaemon.commands import Command
    from wiredaemon.net.guard.command_threads import CommandThreads
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.responding.command_data import IncomingData, NoData
    from wiredaemon.net.responding.context import Origin
    from wiredaemon.net.responding.deadlines import Deadlines
    from wiredaemon.net.responding.running_request import RunningRequest
    from wiredaemon.protocol import (
        RemoteProtocolError,
        RequestAborted,
        RequestReceived,
        ServerConnection,
    )
    from wiredaemon.wire.dialects import Dialect


class ResponseTransport(Protocol):
    """Sends the output of a Responder; it has one method for each way that an exchange can end."""

    def send_output(self, connection: ServerConnection) -> None:
        """Send the pending output of a connection, if any.

        The transport reads frames or flat bytes from the connection, as it needs them. The
        Responder is the push producer that is paused where they pile up.
        """

    def share_output(self) -> None:
        """Keep little output on its way, from now on: several requests are answered at once."""

    def request_failed(self, message: str) -> None:
        """Count the limit that the error of one request names, if it names one."""

    def command_crashed(self, failure: Failure, command: str) -> None:
        """Log the exception of a command whose text is not for the peer."""

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """Answer broken input; nothing follows."""

    def refused(self, response: Any) -> None:  # noqa: ANN401 the transport's own kind of response
        """Answer a refused admission with its `ExchangeRefusedError.response`; nothing follows."""

    def responses_finished(self, connection: ServerConnection) -> None:
        """Send the last output of a connection, if any, and end the exchange.

        All input was received and all of it is answered. HTTP puts the end of its response into
        the same write, which saves a system call.
        """


class InputTransport(Protocol):
    """Feeds a `ConnectionInput`, and can be paused."""

    def pause_input(self) -> None:
        """Stop feeding it, as far as possible: TLS may deliver a few more records."""

    def resume_input(self) -> None:
        """Go on feeding it."""


class ExchangeRefusedError(Exception):
    """The refusal of a request that ends the whole exchange with a response of its transport."""

    def __init__(self, response: Any) -> None:  # noqa: ANN401 the transport knows it
        super().__init__()
        self.response = response


class Admitted(NamedTuple):
    """The command that a request may run, with the facts that it shares with other requests."""

    command: Command
    origin: Origin


class Admission(Protocol):
    """Decides which commands a connection may run."""

    def begin_read(self) -> None:
        """Note that new input follows: settings found before this may have changed."""

    def expects_data(self, event: RequestReceived) -> bool:
        """Return whether the request is for a command that may run while its data arrives."""

    def admit(self, event: RequestReceived) -> Admitted | Deferred[Admitted]:
        """Return the command to run, or a Deferred while the host's settings are being read.

        Raises, or fails with:
            CommandError, ServerError: The request is refused; this error is its answer.
            ExchangeRefusedError: The whole exchange ends.
        """


class Source(Protocol):
    """Where the requests of a connection come from."""

    def proceed(self) -> None:
        """Go on with input: a request has ended, or the peer accepts answers."""

    def forget(self, request_id: int) -> None:
        """Drop what waits of a request whose deadline has passed."""


class _NoSource:
    """Gives nothing: the input is not made yet, or over."""

    def proceed(self) -> None:
        """Do nothing."""

    def forget(self, request_id: int) -> None:
        """Do nothing."""


NO_SOURCE: Final = _NoSource()


class Load(IntEnum):
    """The state of all requests of a connection together, as far as its input must know."""

    ANSWERING = auto()
    """Requests are answered as they arrive."""
    NEEDING_DATA = auto()
    """Every running command waits for request data."""
    BLOCKED = auto()
    """The peer accepts no answers, and requests wait until it does."""


class Requests(Protocol):
    """The requests of a connection, as its input sees them; `Responder` implements it."""

    is_over: bool
    """The exchange has ended: no input counts any more."""
    output_paused: bool
    """The peer takes no answers for now."""

    @property
    def running(self) -> Mapping[int, object]:
        """The requests whose command was called and that are not answered, by id."""

    def accept(
        self, event: RequestReceived, admitted: Admitted, data: IncomingData | NoData
    ) -> None:
        """Accept a request that may run; it starts when no request is in front of it."""

    def refuse(self, event: RequestReceived, error: BaseException | None) -> None:
        """Answer a request that may not run, or end the whole exchange."""

    def hold(self, event: RequestReceived) -> None:
        """Note that a request waits to be accepted: its deadline begins."""

    def cancel(self, request_id: int) -> None:
        """Stop a request whose client wants no answer; nothing if it was answered before."""

    def settle(self) -> None:
        """Start the requests that may start, flush output, and end if all is answered."""

    def load(self) -> Load:
        """Return the state of all requests together."""

    def fail(self, error: RemoteProtocolError) -> None:
        """End the connection for a mistake of the peer, with an error frame if one may be sent."""

    def abandon(self, error: RemoteProtocolError) -> None:
        """End an exchange without a complete request: the transport itself answers the error."""

    def on_bug(self, failure: Failure) -> None:
        """Log what must not happen, and give up the connection."""

    def receive_end(self, aborted: Sequence[RequestAborted]) -> None:
        """Note that no request follows; ``aborted`` are those that ended half way."""


class Owner(Protocol):
    """The interface of the Responder to the requests that it runs."""

    connection: ServerConnection
    deadlines: Deadlines
    dialect: Dialect
    is_full_duplex: bool
    """Requests may be answered side by side."""
    is_text: bool
    """The dialect has values in the text form of version 1 (0002)."""
    room: OutputRoom
    running: dict[int, RunningRequest]
    """The requests that are not answered, by id; a request removes itself at its end."""
    transport: ResponseTransport
    threads: CommandThreads
    turns: Turns

    def has_room(self, request: RunningRequest) -> bool:
        """Return whether the output has room for more objects of a request."""

    def flush(self) -> None:
        """Hand pending output to the transport."""

    def progress(self) -> None:
        """Start requests, flush output and resume input, as far as an event allows it."""

    def on_failed(self, request: RunningRequest, failure: Failure) -> None:
        """Answer a request whose command failed."""

    def on_bug(self, failure: Failure) -> None:
        """Log what must not happen, and give up the connection."""
