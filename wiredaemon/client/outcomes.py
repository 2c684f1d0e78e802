"""Outcomes of a call: the errors that error frames and status maps stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import BrokenProtocolError, NotOfferedError
from wiredaemon.commands import CommandError, ServerError

if TYPE_CHECKING:
    from wiredaemon.protocol import RequestFailed
    from wiredaemon.protocol.objects import ObjectReader


_LATE: Final = re.compile(r"the deadline of \d+ ms has passed")


def failure_of(event: RequestFailed) -> Exception:
    """Return the error that an error frame stands for."""
    match event.kind:
        # What Mercurial sends for all failures (framing, section 7).
        case b"server":
            return ServerError(event.message)
        case b"protocol":
            text = event.message.decode("utf-8", "replace")
            return BrokenProtocolError(f"the server refused what was sent: {text}")
        case _:
            # Its text is formatted already.
            return CommandError(event.message.replace(b"%", b"%%"))


def is_late(error: BaseException | None) -> bool:
    """Return whether a server has stopped a command at its deadline.

    Its clock may be a little ahead of ours, so that its answer comes before we give up.

    Source: sessions, section 3.
    """
    return isinstance(error, CommandError) and _LATE.fullmatch(str(error)) is not None


def outcome_of(reader: ObjectReader) -> Exception | None:
    """Return the error that a complete response stands for; None for a result."""
    if reader.error is not None:
        return CommandError(reader.error.message, reader.error.arguments)
    if reader.location is not None:
        return NotOfferedError("the server redirects elsewhere, which this client does not follow")
    return None
