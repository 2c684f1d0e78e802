"""Side output: the payloads of text and progress frames, which are no content of a response.

Source: framing, sections 8 and 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.protocol.errors import LocalProtocolError
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.limits import SENT_PAYLOAD
from wiredaemon.wire.payloads import progress_map, text_atom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Progress, Value


def text_payload(
    dialect: Dialect, message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]
) -> bytes:
    """Return the payload of a ``text-output`` frame with one atom.

    Raises:
        LocalProtocolError: It does not fit a frame, or the dialect has no such frame in CBOR.
    """
    return _payload(dialect, FrameType.TEXT_OUTPUT, [text_atom(message, arguments, labels)])


def progress_payload(dialect: Dialect, progress: Progress) -> bytes:
    """Return the payload of a ``progress`` frame.

    Raises:
        LocalProtocolError: As `text_payload`.
    """
    return _payload(dialect, FrameType.PROGRESS, progress_map(progress))


def _payload(dialect: Dialect, kind: FrameType, content: Value) -> bytes:
    # 0002 has text output in a binary form, and no progress.
    if FrameType.PROGRESS not in dialect.frames:
        message = f"dialect {dialect.name} has no {kind.value} frame in CBOR"
        raise LocalProtocolError(message)
    payload = cbor.encode(content, dialect.cbor.key_order)
    if len(payload) > SENT_PAYLOAD:
        message = "cannot encode data in a single frame"
        raise LocalProtocolError(message)
    return payload
