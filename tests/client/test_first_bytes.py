"""What servers say who speak something else."""

from __future__ import annotations

import pytest

from wiredaemon.client.address import SCHEMES
from wiredaemon.client.first_bytes import instead_of_frames, instead_of_http, perhaps_other
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

HEADER = b"\x05\0\0\x01\0\x02\x01"


HTTP = "speaks HTTP: the URL must begin with "
FOREIGN = "speaks another dialect than "


@pytest.mark.parametrize(
    ("scheme", "dialect", "data", "text"),
    [
        ("hgrpc", "0006", b"HTTP/1.1 400 Bad Request\r\n", HTTP + "http://"),
        ("hgrpcs", "0006", b"HTTP/1.1 400 Bad", HTTP + "https://"),
        ("hgrpc", "0006", b"<!DOCTYPE HTML>\n<html", HTTP + "http://"),
        ("hgrpc", "0006", b"\x15\x03\x01\0\x02", "speaks TLS: the URL must begin with hgrpcs://"),
        ("hgrpc", "0006", b"SSH-2.0-a\r\nmore", "speaks another protocol: it said 'SSH-2.0-a'"),
        (
            "hgrpc",
            "0006",
            b"\x1b[1m\xc2\xa1a\n",
            r"speaks another protocol: it said '\x1b[1m\xc2\xa1a'",
        ),
        ("hgrpc", "0006", HEADER + b"\x90hello", ""),
        ("hgrpc", "0006", HEADER + b"\x50\xa2hel", ""),
        ("hgrpc", "0006", HEADER + b"\x50hello", "speaks another dialect than 0006"),
        ("hgrpc", "0003", HEADER + b"\x90hello", "speaks another dialect than 0003"),
        ("hgrpc", "0002", HEADER + b"\x50\xbfhel", "speaks another dialect than 0002"),
        ("hgrpc", "0002", HEADER + b"\x50hello", ""),
        ("hgrpc", "0006", b"HTT", ""),
    ],
)
def test_the_first_bytes_of_a_raw_connection_say_what_is_spoken(
    scheme: str, dialect: str, data: bytes, text: str
) -> None:
    assert instead_of_frames(data, SCHEMES[scheme], DIALECTS[dialect], Limits()) == text


@pytest.mark.parametrize(
    ("scheme", "data", "text"),
    [
        ("http", b"\x15\x03\x01", "it speaks TLS, so the URL must begin with https://"),
        ("http", HEADER + b"\x50", "it speaks frames, so the URL must begin with hgrpc://"),
        ("https", HEADER + b"\x50", "it speaks frames, so the URL must begin with hgrpcs://"),
        ("http", b"HTTP/1.1 200 OK", ""),
    ],
)
def test_the_first_bytes_over_http_say_what_is_spoken(scheme: str, data: bytes, text: str) -> None:
    assert instead_of_http(data, SCHEMES[scheme]) == text


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("http", ": if it speaks TLS, the URL must begin with https://"),
        (
            "hgrpc",
            ": if it speaks TLS, the URL must begin with hgrpcs://, if it speaks HTTP, with http://",
        ),
        ("hgrpcs", ""),
        ("unix", ""),
    ],
)
def test_who_says_nothing_may_speak_something_else(scheme: str, text: str) -> None:
    assert perhaps_other(SCHEMES[scheme]) == text
