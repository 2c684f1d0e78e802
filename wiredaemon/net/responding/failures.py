"""Failures of commands: which words of them a peer may read, and how they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.protocol.responses import MisplacedError
from wiredaemon.wire.cbor import UnencodableError
from wiredaemon.wire.dialects import ResponseForm
from wiredaemon.wire.payloads import format_message

if TYPE_CHECKING:
    from wiredaemon.commands import TextForm
    from wiredaemon.protocol import ServerConnection

_CRASHED: Final = b"the command failed; the server's log says why"
_UNSENDABLE: Final = b"the result of the command cannot be sent; the server's log says why"


def is_expected(error: BaseException | None) -> bool:
    """Say whether an exception is an answer, and no fault that the log has to show."""
    return isinstance(error, CommandError | ServerError | MisplacedError)


def shown_failure(error: BaseException | None) -> CommandError | ServerError:
    """Return what the peer is told of an exception: itself, if it was raised for that."""
    if isinstance(error, CommandError | ServerError):
        return error
    if isinstance(error, MisplacedError):
        return ServerError(str(error))
    return ServerError(_UNSENDABLE if isinstance(error, UnencodableError) else _CRASHED)


def send_failure(
    connection: ServerConnection,
    request_id: int,
    error: CommandError | ServerError,
    text: TextForm | None = None,
) -> None:
    """Send a failure in the dialect's form.

    Args:
        connection: Where the request was made.
        request_id: Its number.
        error: What the peer is told.
        text: The command's text form, which may have one for failures (0002).
    """
    if connection.output_ended:
        return  # the input behind the request was broken: nothing more is answered
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
