"""The CBOR maps that the protocol itself puts into payloads, as values.

Source: framing, sections 5.2, 6.2, 6.3 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.wire.values import Value

OK_MAP: Final = b"\xa1FstatusBok"
"""The encoded ``{b'status': b'ok'}`` that leads every result from 0005 on."""


def error_map(message: bytes, arguments: Sequence[bytes]) -> Mapping[bytes, Value]:
    """Give the status map of a command that failed.

    Args:
        message: printf-style format; ``%s`` stands for the next argument.
        arguments: Left out of the map when empty.
    """
    error: dict[bytes, Value] = {b"message": message}
    if arguments:
        error[b"args"] = list(arguments)
    return {b"status": b"error", b"error": error}


def error_response(kind: bytes, text: bytes) -> Mapping[bytes, Value]:
    """Give the map of an ``error-response`` frame, with one atom.

    Args:
        kind: ``protocol``, ``server`` or ``command``.
        text: Shown to people; ``%`` needs no escape, there are no arguments.
    """
    return {b"type": kind, b"message": [{b"msg": text}]}


def text_atom(
    message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]
) -> Mapping[bytes, Value]:
    """Give one atom of a ``text-output`` frame (framing, section 8).

    Args:
        message: printf-style format in ASCII.
        arguments: UTF-8; left out when empty.
        labels: ASCII; left out when empty.
    """
    atom: dict[bytes, Value] = {b"msg": message}
    if arguments:
        atom[b"args"] = list(arguments)
    if labels:
        atom[b"labels"] = list(labels)
    return atom


def progress(
    topic: bytes, position: int, total: int | None, label: bytes | None, item: bytes | None
) -> Mapping[bytes, Value]:
    """Give the map of a ``progress`` frame (framing, section 9).

    Args:
        topic: What is being counted.
        position: How far it is; -1 ends the topic.
        total: How far it goes; left out, as the others are, where it is not known.
        label: What one step is called.
        item: What is being worked on.
    """
    optional = {b"total": total, b"label": label, b"item": item}
    given: dict[bytes, Value] = {key: value for key, value in optional.items() if value is not None}
    return {b"topic": topic, b"pos": position, **given}


def format_message(message: bytes, arguments: Sequence[bytes]) -> bytes:
    """Fill in ``%s`` and ``%%``; any other ``%`` is literal (framing, section 8)."""
    remaining = iter(arguments)
    parts = message.split(b"%")
    shown = [parts[0]]
    literal = False
    for part in parts[1:]:
        if literal:
            shown.append(b"%" + part)
            literal = False
        elif part.startswith(b"s"):
            shown.append(next(remaining, b"%s") + part[1:])
        elif not part:
            literal = True
        else:
            shown.append(b"%" + part)
    if literal:
        shown.append(b"%")
    return b"".join(shown)


def request_map(
    name: bytes, arguments: Mapping[bytes, Value], extra: Mapping[bytes, Value]
) -> Mapping[bytes, Value]:
    """Give the map of a command request; ``args`` is left out when empty."""
    request: dict[bytes, Value] = {b"name": name, **extra}
    if arguments:
        request[b"args"] = arguments
    return request
