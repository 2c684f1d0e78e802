from __future__ import annotations

from typing import Final

import pytest

from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.dialects import DIALECTS

CUTS: Final = {"continuation": 1, "eos": 2}
REQUEST: Final = {"new": 1, "continuation": 2, "more": 4, "have-data": 8}
TEXT_ERROR: Final = {"protocol": 1, "application": 2}

FORMS: Final = {
    # framing 4, both tables: name -> (number, flags)
    "0002": {
        "command-name": (1, {"eos": 1, "have-args": 2, "have-data": 4}),
        "command-argument": (2, {"continuation": 1, "eoa": 2}),
        "command-data": (3, CUTS),
        "bytes-response": (4, CUTS),
        "error-response": (5, TEXT_ERROR),
        "text-output": (6, {}),
        "stream-settings": (8, {}),
    },
    "0003": {
        "command-request": (1, REQUEST),
        "command-data": (3, CUTS),
        "bytes-response": (4, {**CUTS, "cbor": 4}),
        "error-response": (5, TEXT_ERROR),
        "text-output": (6, {}),
        "progress": (7, {}),
        "stream-settings": (8, {}),
    },
    "0004": {
        "command-request": (1, REQUEST),
        "command-data": (3, CUTS),
        "bytes-response": (4, CUTS),
        "error-response": (5, TEXT_ERROR),
        "text-output": (6, {}),
        "progress": (7, {}),
        "stream-settings": (8, {}),
    },
    "0005": {
        "command-request": (1, REQUEST),
        "command-data": (2, CUTS),
        "command-response": (3, CUTS),
        "error-response": (5, {}),
        "text-output": (6, {}),
        "progress": (7, {}),
        "stream-settings": (8, {}),
    },
    "0006": {
        "command-request": (1, REQUEST),
        "command-data": (2, CUTS),
        "command-response": (3, CUTS),
        "error-response": (5, {}),
        "text-output": (6, {}),
        "progress": (7, {}),
        "sender-protocol-settings": (8, CUTS),
        "stream-settings": (9, CUTS),
        "session": (13, {}),  # sessions 2
    },
}


def test_there_are_five_dialects() -> None:
    assert list(DIALECTS) == list(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_each_dialect_has_the_frame_types_and_flags_of_the_specification(name: str) -> None:
    forms = DIALECTS[name].frames
    assert {kind.value: (form.number, form.flags) for kind, form in forms.items()} == FORMS[name]


@pytest.mark.parametrize("name", FORMS)
def test_frame_types_are_found_by_number(name: str) -> None:
    dialect = DIALECTS[name]
    by_number = {number: kind for kind, (number, _) in FORMS[name].items()}
    assert {number: kind.value for number, kind in dialect.types.items()} == by_number
    for kind, form in dialect.frames.items():
        assert dialect.numbers[kind] == form.number


@pytest.mark.parametrize("name", FORMS)
def test_each_dialect_is_named_by_its_media_type(name: str) -> None:
    # framing 1
    assert DIALECTS[name].media_type == b"application/mercurial-exp-framing-" + name.encode()


@pytest.mark.parametrize(
    ("name", "strict", "order"),
    [
        ("0003", False, KeyOrder.CANONICAL),
        ("0004", False, KeyOrder.CANONICAL),
        ("0005", False, KeyOrder.CANONICAL),
        ("0006", True, KeyOrder.BYTEWISE),
    ],
)
def test_only_0006_is_strict_and_bytewise(name: str, strict: bool, order: KeyOrder) -> None:  # noqa: FBT001 a column of the table
    # framing 5.4
    rules = DIALECTS[name].cbor
    assert (rules.strict, rules.key_order) == (strict, order)


def test_only_0002_restarts_its_stream() -> None:
    # framing 13
    assert [name for name, dialect in DIALECTS.items() if dialect.restarts_streams] == ["0002"]


@pytest.mark.parametrize(
    "column", ["sender_settings", "runs_at_end", "whole_request", "strict_arguments"]
)
def test_what_is_new_in_0006_is_nowhere_else(column: str) -> None:
    assert [name for name, dialect in DIALECTS.items() if getattr(dialect, column)] == ["0006"]
