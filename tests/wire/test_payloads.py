from __future__ import annotations

import pytest

from wiredaemon.wire.cbor import encode
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.payloads import (
    OK_MAP,
    PayloadError,
    error_map,
    error_response,
    format_atom,
    format_message,
    read_text_atoms,
    request_map,
    text_atom,
)


def test_the_ok_map_is_eleven_bytes() -> None:
    # framing 6.2
    assert OK_MAP == b"\xa1FstatusBok"
    assert encode({b"status": b"ok"}, KeyOrder.BYTEWISE) == OK_MAP
    assert len(OK_MAP) == 11


def test_an_error_map_has_its_message_and_arguments() -> None:
    # framing 6.3
    assert error_map(b"no %s here", [b"node"]) == {
        b"status": b"error",
        b"error": {b"message": b"no %s here", b"args": [b"node"]},
    }


def test_an_error_map_without_arguments_leaves_them_out() -> None:
    assert error_map(b"no", []) == {b"status": b"error", b"error": {b"message": b"no"}}


def test_an_error_response_has_one_atom() -> None:
    # framing 7, both wire examples
    value = error_response(b"server", b"boom")
    assert encode(value, KeyOrder.BYTEWISE) == b"\xa2Gmessage\x81\xa1CmsgDboomDtypeFserver"
    assert encode(value, KeyOrder.CANONICAL) == b"\xa2DtypeFserverGmessage\x81\xa1CmsgDboom"


def test_a_request_map_leaves_empty_arguments_out() -> None:
    # framing 5.2
    assert request_map(b"heads", {}, {}) == {b"name": b"heads"}
    assert request_map(b"heads", {b"a": 1}, {b"redirect": None}) == {
        b"name": b"heads",
        b"args": {b"a": 1},
        b"redirect": None,
    }


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        (b"", [], b""),
        (b"plain", [], b"plain"),
        (b"%s", [b"a"], b"a"),
        (b"%s and %s", [b"a", b"b"], b"a and b"),
        (b"%s%s", [b"a", b"b"], b"ab"),
        (b"%%", [], b"%"),
        (b"100%% of %s", [b"it"], b"100% of it"),
        (b"%%s", [b"a"], b"%s"),
        (b"%%%s", [b"a"], b"%a"),
        (b"%%%%", [], b"%%"),
        (b"%d", [b"a"], b"%d"),
        (b"%d%s%%", [b"a"], b"%da%"),
        (b"100%", [], b"100%"),
        (b"%s", [b"%s"], b"%s"),
        (b"%s %s", [b"%s", b"x"], b"%s x"),
        (b"%s %s", [b"a"], b"a %s"),
        (b"%s", [b"a", b"unused"], b"a"),
    ],
)
def test_messages_know_two_formats_and_leave_the_rest(
    message: bytes, arguments: list[bytes], shown: bytes
) -> None:
    # framing 8: "only %s (next argument) and %%; any other %x is literal"
    assert format_message(message, arguments) == shown


# --- text atoms --------------------------------------------------------------------------------

ATOM = b"\x06\x00\x01\x02" + b"\x07" + b"\x01\x00\x00\x00" + b"%s and" + b"ui.note" + b"a"
"""Size of the message, one label and two arguments; their sizes; then they (framing 8)."""


def test_the_atoms_of_0002_are_those_of_later_dialects() -> None:
    assert list(read_text_atoms(ATOM)) == [text_atom(b"%s and", [b"a", b""], [b"ui.note"])]
    plain = b"\x01\x00\x00\x00\n"
    empty = b"\x00\x00\x00\x00"
    assert list(read_text_atoms(ATOM + empty + plain)) == [
        text_atom(b"%s and", [b"a", b""], [b"ui.note"]),
        text_atom(b"", [], []),
        text_atom(b"\n", [], []),
    ]
    assert list(read_text_atoms(b"")) == []


def test_the_largest_atom_of_0002_is_read() -> None:
    # framing 8, "Limits"
    labels, arguments = [bytes(255)] * 255, [bytes(65535)] * 255
    sizes = b"\xff\xff\xff\xff" + b"\xff" * 255 + b"\xff\xff" * 255
    payload = sizes + bytes(65535) + b"".join(labels) + b"".join(arguments)
    assert list(read_text_atoms(payload)) == [text_atom(bytes(65535), arguments, labels)]


def test_an_atom_that_is_cut_is_refused_wherever_it_is() -> None:
    for place in range(1, len(ATOM)):
        atoms = read_text_atoms(ATOM + ATOM[:place])
        assert next(atoms) == text_atom(b"%s and", [b"a", b""], [b"ui.note"])
        with pytest.raises(PayloadError, match="text-output frame ends inside an atom"):
            next(atoms)


@pytest.mark.parametrize(
    ("atom", "text"),
    [
        (text_atom(b"%s of %s%%", [b"1", b"2"], [b"l"]), b"1 of 2%"),
        ({b"msg": b"%s%s", b"args": [1, b"a"]}, b"a%s"),
        ({b"msg": b"%s", b"args": b"a"}, b"%s"),
        ({b"msg": 1}, b""),
        ({}, b""),
        (b"text", b""),
        (None, b""),
    ],
)
def test_the_text_of_an_atom_is_formatted(atom: object, text: bytes) -> None:
    assert format_atom(atom) == text
