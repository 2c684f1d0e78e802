"""Payloads that the protocol itself defines: CBOR maps as values, and the text atoms of 0002.

Source: framing, sections 5.2, 6.2, 6.3, 7 and 8.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wiredaemon.wire.values import Progress, Redirect, Value

# Encoded once: the same eleven bytes in both orders of keys, because there is one key.
OK_MAP: Final = b"\xa1FstatusBok"
"""The encoded ``{b'status': b'ok'}`` that leads every result from 0005 on."""

_ATOM_HEAD: Final = Struct("<HBB")
"""The head of an atom: size of the message, number of labels, number of arguments."""


class PayloadError(ValueError):
    """A payload is not in the form of its frame type."""


def error_map(message: bytes, arguments: Sequence[bytes]) -> Mapping[bytes, Value]:
    """Return the status map of a command that failed.

    Args:
        message: A printf-style format; ``%s`` stands for the next argument.
        arguments: The arguments of the format, left out of the map when empty.
    """
    error: dict[bytes, Value] = {b"message": message}
    if arguments:
        error[b"args"] = list(arguments)
    return {b"status": b"error", b"error": error}


def redirect_map(redirect: Redirect) -> Mapping[bytes, Value]:
    """Return the status map of a redirect, without the keys whose values are not known."""
    location: dict[bytes, Value] = {b"url": redirect.url, b"mediatype": redirect.media_type}
    if redirect.size is not None:
        location[b"size"] = redirect.size
    if redirect.full_hashes:
        location[b"fullhashes"] = [[name, digest] for name, digest in redirect.full_hashes]
    return {b"status": b"redirect", b"location": location}


def error_response(kind: bytes, text: bytes) -> Mapping[bytes, Value]:
    """Return the map of an ``error-response`` frame, with one atom.

    Args:
        kind: ``protocol``, ``server`` or ``command``.
        text: A text for people; ``%`` needs no escape, because there are no arguments.
    """
    return {b"type": kind, b"message": [{b"msg": text}]}


def text_atom(
    message: bytes, arguments: Sequence[bytes], labels: Sequence[bytes]
) -> Mapping[bytes, Value]:
    """Return one atom of a ``text-output`` frame (framing, section 8).

    Args:
        message: A printf-style format in ASCII.
        arguments: The arguments of the format in UTF-8, left out when empty.
        labels: Names of kinds of output in ASCII, left out when empty.
    """
    atom: dict[bytes, Value] = {b"msg": message}
    if arguments:
        atom[b"args"] = list(arguments)
    if labels:
        atom[b"labels"] = list(labels)
    return atom


def read_text_atoms(payload: bytes) -> Iterator[Mapping[bytes, object]]:
    """Yield the atoms of a ``text-output`` frame of 0002, in the form that `text_atom` returns.

    On the wire an atom is a 16-bit little-endian size of the message, 8-bit numbers of labels and
    of arguments, an 8-bit size of each label, a 16-bit little-endian size of each argument, and
    then message, labels and arguments (framing, section 8).

    Raises:
        PayloadError: The payload ends inside an atom; those before it were yielded.
    """
    position = 0
    while position < len(payload):
        heads = position + _ATOM_HEAD.size
        if heads > len(payload):
            raise PayloadError(_CUT_ATOM)
        message_size, labels, arguments = _ATOM_HEAD.unpack_from(payload, position)
        position = heads + labels + 2 * arguments
        if position > len(payload):
            raise PayloadError(_CUT_ATOM)
        sizes = (message_size, *unpack_from(f"<{labels}B{arguments}H", payload, heads))
        if position + sum(sizes) > len(payload):
            raise PayloadError(_CUT_ATOM)
        parts = []
        for size in sizes:
            parts.append(payload[position : position + size])
            position += size
        message, *strings = parts
        yield text_atom(message, strings[labels:], strings[:labels])


_CUT_ATOM: Final = "text-output frame ends inside an atom"


def progress_map(progress: Progress) -> Mapping[bytes, Value]:
    """Return the map of a ``progress`` frame, without the keys whose values are not known."""
    optional = {b"total": progress.total, b"label": progress.label, b"item": progress.item}
    known: dict[bytes, Value] = {key: value for key, value in optional.items() if value is not None}
    return {b"topic": progress.topic, b"pos": progress.position, **known}


def format_message(message: bytes, arguments: Sequence[bytes]) -> bytes:
    """Fill in ``%s`` and ``%%``; any other ``%`` is literal (framing, section 8)."""
    # Not Python's own ``%``: it raises for a format that does not fit its arguments, and a peer's
    # text is shown as far as it can be.
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


def format_atom(atom: object) -> bytes:
    """Return the text of one atom (framing, section 8); empty for a value that is no atom."""
    match atom:
        case {b"msg": bytes() as message, **rest}:
            given = rest.get(b"args")
            arguments = given if isinstance(given, list) else []
            return format_message(message, [part for part in arguments if isinstance(part, bytes)])
        case _:
            return b""


def request_map(
    name: bytes, arguments: Mapping[bytes, Value], extra: Mapping[bytes, Value]
) -> Mapping[bytes, Value]:
    """Return the map of a command request; ``args`` is left out when empty."""
    request: dict[bytes, Value] = {b"name": name, **extra}
    if arguments:
        request[b"args"] = arguments
    return request
