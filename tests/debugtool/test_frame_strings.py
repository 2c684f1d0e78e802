"""Frame strings, those of the seeds among them."""

from __future__ import annotations

import pytest

from wiredaemon.debugtool.errors import ScriptError
from wiredaemon.debugtool.frame_strings import parse_frame_string
from wiredaemon.wire.dialects import DIALECTS


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (
            "0002",
            rb"1 1 0 command-argument eoa \x04\x00\x03\x00bar1val",
            b'\x0b\x00\x00\x01\x00\x01\x00"\x04\x00\x03\x00bar1val',
        ),
        (
            "0003",
            b"1 1 stream-begin command-request new cbor:{b'name': b'customreadonly'}",
            b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly",
        ),
        (
            "0003",
            rb"3 1 0 command-request new|more \xa2Dargs\xa1Inamespace",
            b"\x11\x00\x00\x03\x00\x01\x00\x15\xa2Dargs\xa1Inamespace",
        ),
        ("0006", b"65535 255 255 9 15 a b", b"\x03\x00\x00\xff\xff\xff\xff\x9fa b"),
        ("0006", b"1 1 0 1 0 cbor:{b'bb': 1, b'a': 2}", b"\x08\0\0\1\0\1\0\x10\xa2Aa\x02Bbb\x01"),
    ],
)
def test_a_string_is_a_frame(dialect: str, text: bytes, expected: bytes) -> None:
    assert parse_frame_string(text, DIALECTS[dialect]) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1 1 0 command-request 0", "a frame has 6 parts"),
        (b"1 1 0 command-name 0 a", "unknown frame type: command-name"),
        (b"1 1 0 session 0 a", "unknown frame type: session"),
        (b"1 1 0 14 0 a", "dialect 0006 has no frame type 14"),
        (b"1 1 foo 1 0 a", "unknown stream flag: foo"),
        (b"1 1 0 1 eos a", "unknown flag of command-request: eos"),
        (b"-1 1 0 1 0 a", "unknown request id: -1"),
        (b"9999999 1 0 1 0 a", "9999999 1 0 1 0 a"),
        (b"1 1 0 1 16 a", "1 1 0 1 16 a"),
        (b"%b 1 0 1 0 a" % (b"9" * 9999), "too large a number"),
        (b"1 1 0 1 0 cbor:1.5", "float"),
        (b"1 1 0 1 0 cbor:f()", "not a Python literal"),
    ],
)
def test_what_is_no_frame_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        parse_frame_string(text, DIALECTS["0006"])
