"""Failures of commands: the part of them that a peer may read, and how it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol.errors import MisplacedError
from wiredaemon.wire.dialects import ResponseForm
from wiredaemon.wire.payloads import format_message
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from wiredaemon.commands import Command, TextForm
    from wiredaemon.net.responding.interfaces import ResponseTransport
    from wiredaemon.protocol import ServerConnection

_CRASHED: Final = b"the command failed; the server's log says why"
_UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"


def is_expected(error: BaseException | None) -> bool:
    """Return whether an exception is meant for the peer, and so needs no traceback in the log."""
    return isinstance(error, CommandError | ServerError | MisplacedError)


def shown_failure(error: BaseException | None) -> CommandError | ServerError:
    """Return the error to send for an exception: the exception itself, if it is meant for the peer.

    The text of any other exception never travels, because it may show paths or contents
    (docs/decisions.md).
    """
    if isinstance(error, CommandError | ServerError):
        return error
    # Before `UnencodableError`, which it is, too.
    if isinstance(error, MisplacedError):
        return ServerError(str(error))
    return ServerError(_UNSENDABLE if isinstance(error, UnencodableError) else _CRASHED)


def _literal_of(error: CommandError | ServerError) -> str:
    """Return the text of an error without what its arguments say, which may be a peer's words."""
    literal = error.message if isinstance(error, CommandError) else error.text
    return literal.decode("utf-8", "replace")


def answer_failure(
    connection: ServerConnection,
    transport: ResponseTransport,
    request_id: int,
    command: Command,
    failure: Failure,
) -> None:
    """Answer a request whose command failed, and log what is not meant for the peer."""
    if not is_expected(failure.value):
        transport.command_crashed(failure, command.name)
    send_failure(connection, transport, request_id, shown_failure(failure.value), command.text)


def send_failure(
    connection: ServerConnection,
    transport: ResponseTransport,
    request_id: int,
    error: CommandError | ServerError,
    text: TextForm | None = None,
) -> None:
    """Send a failure in the dialect's form.

    Args:
        connection: The connection that the request came by.
        transport: Counts the limit that the failure names.
        request_id: The request's id.
        error: The error as the peer may read it.
        text: The command's text form, which may have one for failures (0002).
    """
    if connection.output_ended:
        return  # an error frame ends the output, and no frame may follow it
    transport.request_failed(_literal_of(error))
    is_text = connection.dialect.response is ResponseForm.TEXT
    if is_text and text is not None and text.failure is not None:
        connection.send_result(request_id, text.failure(_text_of(error)))
    elif isinstance(error, CommandError):
        connection.send_error(request_id, error.message, error.arguments)
    else:
        connection.send_server_error(request_id, error.text)


def _text_of(error: CommandError | ServerError) -> bytes:
    if isinstance(error, CommandError):
        return format_message(error.message, error.arguments)
    return error.text
