"""A body of frames and its response: the transport and the admission of one HTTP exchange.

Source: http, sections 6.1 to 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.api.rules import MULTIREQUEST, Accepted, insufficient_permissions
from wiredaemon.net.guard.held_memory import STEP
from wiredaemon.net.http.exchange import HttpExchange
from wiredaemon.net.http.held_body import tell_held
from wiredaemon.net.http.responses import HttpResponse, bad_request, protocol_error, text
from wiredaemon.net.responding.exchange import begin_exchange
from wiredaemon.net.responding.held_input import held_by, holds_much
from wiredaemon.net.responding.interfaces import Admitted, ExchangeRefusedError

if TYPE_CHECKING:
    from wiredaemon.commands import Command
    from wiredaemon.net.guard.call_counts import CallCount
    from wiredaemon.net.guard.command_threads import CommandThreads
    from wiredaemon.net.guard.output_room import OutputRoom
    from wiredaemon.net.guard.turns import Turns
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.net.responding.context import Origin
    from wiredaemon.protocol import RemoteProtocolError, RequestReceived, ServerConnection
    from wiredaemon.wire.limits import Limits


class UrlAdmission:
    """Decides which commands one URL may run.

    Source: http, section 6.2.
    """

    def __init__(self, accepted: Accepted, origin: Origin, calls: CallCount) -> None:
        """Admit the URL's command, or any command for a multirequest."""
        self._accepted = accepted
        self._origin = origin
        self._calls = calls
        self._registry = origin.host.registry
        self._ran = False

    def begin_read(self) -> None:
        """Do nothing: the settings are those of the request's head, for the whole body."""

    def expects_data(self, event: RequestReceived) -> bool:
        """Return whether the request would be admitted, for a command that declares data.

        A request that would be refused waits until it is complete: its refusal is due then.
        """
        command = self._find(event.command)
        if command is None or not command.has_data:
            return False
        if self._accepted.command == MULTIREQUEST:
            return command.exposed and self._accepted.permission.covers(command.permission)
        return not self._ran and event.command == self._accepted.command

    def admit(self, event: RequestReceived) -> Admitted:
        """Return the command of a request, or refuse the exchange."""
        name, accepted = event.command, self._accepted
        if accepted.command == MULTIREQUEST:
            # By the exact type: other names may be unhashable, or equal to a name in bytes.
            known = accepted.commands.get(name) if type(name) is bytes else None
            command = known or self._admit_any(name)
            self._calls.begun += 1
            return Admitted(command, self._origin)
        if self._ran:
            raise ExchangeRefusedError(_ok(b"multiple commands cannot be issued to this URL"))
        # The URL's command was found when the head was decided.
        if name != accepted.command or accepted.declaration is None:
            raise ExchangeRefusedError(_ok(b"command in frame must match command in URL"))
        self._ran = True
        self._calls.begun += 1
        return Admitted(accepted.declaration, self._origin)

    def _admit_any(self, name: object) -> Command:
        command = self._registry.find_exposed(name, self._accepted.dialect)
        if command is None:
            raise ExchangeRefusedError(_unavailable(name, self._accepted))
        if not self._accepted.permission.covers(command.permission):
            raise ExchangeRefusedError(insufficient_permissions(command.name.encode()))
        return command

    def _find(self, name: object) -> Command | None:
        if not isinstance(name, bytes):
            return None
        return self._registry.find(name, self._accepted.dialect)


def _ok(body: bytes) -> HttpResponse:
    return text(200, b"OK", body)


def _unavailable(name: object, accepted: Accepted) -> HttpResponse:
    """Return the response to a name that is no command of a multirequest."""
    # The three forms of Mercurial's own text; in place of its HTTP 500 a 400 that names the fault
    # (http, section 6.2).
    if isinstance(name, bytes):
        shown = name
    elif accepted.dialect.strict_arguments or isinstance(name, list | dict | set | frozenset):
        return bad_request("the name of a command must be a byte string")
    else:
        shown = str(name).encode()
    return _ok(b"wire protocol command not available: %s" % shown)


class FramedExchange(HttpExchange):
    """The transport of one exchange in half duplex: a body of frames, and its response."""

    def __init__(  # noqa: PLR0913 all that an exchange needs
        self,
        request: StreamingRequest,
        accepted: Accepted,
        origin: Origin,
        *,
        threads: CommandThreads,
        limits: Limits,
        turns: Turns,
        room: OutputRoom,
        calls: CallCount,
    ) -> None:
        """Process the body of ``request``, whose head was accepted."""
        self._request = request
        self._dialect = accepted.dialect
        self._address = origin.peer.address
        self._begun = False
        self._input, self._responder = begin_exchange(
            self,
            UrlAdmission(accepted, origin, calls),
            accepted.dialect,
            half_duplex=True,
            threads=threads,
            limits=limits,
            turns=turns,
            room=room,
        )

    # --- the body ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of the body."""
        if self._input is None:
            return
        self._input.receive_data(data)
        responder = self._responder
        # Twisted takes the channel from a request that is answered.
        channel = getattr(self._request, "channel", None)
        if channel is None or responder is None:
            return
        memory = channel.site.guard.memory
        is_large = len(data) > STEP or responder.connection.is_receiving
        if (is_large and holds_much(responder)) or channel in memory:
            tell_held(channel)

    def receive_end(self) -> None:
        """Note that the body is complete."""
        if self._input is not None:
            self._input.receive_end()
        elif self._begun:
            self._request.finish()

    def held(self) -> tuple[int, int]:
        """Return the bytes that are held, and those of them in requests that have not ended."""
        if self._responder is None or self._input is None:
            return 0, 0
        return held_by(self._responder, self._input, 0, is_known=False)

    def refuse(self, response: HttpResponse) -> None:
        """Cancel the commands, and answer."""
        self._stop()
        self.refused(response)

    # --- called by the input and the Responder -----------------------------------------------

    def send_output(self, connection: ServerConnection) -> None:
        """Send the frames that the connection has, each in an HTTP chunk of its own."""
        frames = connection.data_to_send()
        if not frames:
            return
        response = self._request.response
        if self._begun:
            response.write_frames(frames)
        elif self._responder is not None:
            self._begun = True
            response.begin_frames(self._dialect.media_type, self._responder, frames)

    def connection_failed(self, error: RemoteProtocolError) -> None:
        """Answer broken input with a text; frames that were queued are dropped."""
        self.request_failed(error.message)
        # Malformed input is what Mercurial met with an HTTP 500; errors that it words itself keep
        # their status 200 (docs/decisions.md).
        answer = bad_request if error.malformed else protocol_error
        self.refused(answer(error.message))

    def refused(self, response: HttpResponse) -> None:
        """Answer with a text, or break the response off if frames were sent already."""
        self._end()
        if self._begun:
            # An error frame is the last one; the rest of the request's body is not read.
            self._request.response.break_off()
        else:
            self._request.answer(response)

    def responses_finished(self, connection: ServerConnection) -> None:
        """Send the last frames with the end of the response, or a text if nothing was answered."""
        # Held, so that the last frames and the end of the response leave in one write.
        self._request.response.hold()
        self.send_output(connection)
        self._end()
        if self._begun:
            self._request.finish()
        else:
            self._request.answer(bad_request("the request body holds no complete command request"))
