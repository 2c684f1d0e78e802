from __future__ import annotations

import pytest

from wiredaemon.net.http.ranges import Part, Wanted, wanted_part

ETAG = b'"a"'


def wanted(size: int = 1000, **headers: str) -> Part | Wanted:
    named = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    return wanted_part(lambda name: named.get(name.decode()), ETAG, size)


@pytest.mark.parametrize(
    ("header", "start", "size"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 10),
        ("bytes=990-", 990, 10),
        ("bytes=990-5000", 990, 10),
        ("bytes=-10", 990, 10),
        ("bytes=-5000", 0, 1000),
        ("bytes= 0 - 9 ", 0, 10),
    ],
)
def test_a_range_is_a_part(header: str, start: int, size: int) -> None:
    assert wanted(Range=header) == Part(start, size, is_whole=False)


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes=", "bytes=-", "bytes=9-1", "bytes=0-1,5-6", "bytes=x-", "lines=0-1"),
        "bytes=0x1-2",
        "bytes=" + "1" * 5000 + "-",
    ],
)
def test_a_range_that_is_not_understood_and_several_are_the_file(header: str) -> None:
    assert wanted(Range=header) == Part(0, 1000, is_whole=True)


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    assert wanted(Range=header) is Wanted.BEYOND


def test_of_an_empty_file_there_is_no_part() -> None:
    assert wanted(0, Range="bytes=0-") is Wanted.BEYOND
    assert wanted(0, Range="bytes=-1") is Wanted.BEYOND
    assert wanted(0) == Part(0, 0, is_whole=True)


def test_a_range_of_another_version_is_the_file() -> None:
    assert wanted(Range="bytes=0-9", If_Range=ETAG.decode()) == Part(0, 10, is_whole=False)
    everything = Part(0, 1000, is_whole=True)
    assert wanted(Range="bytes=0-9", If_Range='"b"') == everything
    # A date, which no file of ours has, and a weak name, which says too little.
    assert wanted(Range="bytes=0-9", If_Range="Sun, 29 Nov 2026 10:00:00 GMT") == everything
    assert wanted(Range="bytes=0-9", If_Range='W/"a"') == everything


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"b", "a"', "*"])
def test_a_client_that_has_the_file_gets_nothing(header: str) -> None:
    assert wanted(If_None_Match=header, Range="bytes=0-1") is Wanted.NOTHING


def test_a_client_that_has_another_file_gets_this_one() -> None:
    assert wanted(If_None_Match='"b", "c"') == Part(0, 1000, is_whole=True)
