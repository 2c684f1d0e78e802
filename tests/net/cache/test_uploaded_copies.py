from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.descriptors import no_descriptors

from wiredaemon.net.cache.uploaded_copies import UploadedCopies, UploadedCopy

if TYPE_CHECKING:
    from pathlib import Path

MARKER = UploadedCopy(size=7, sha1=b"1" * 20, sha256=b"2" * 32, seen=1_700_000_000)


def opened(folder: Path, most: int = 10) -> UploadedCopies:
    markers = UploadedCopies(folder / "redirects", most)
    markers.open()
    return markers


def name_of(number: int) -> str:
    return f"{number:08x}-{number:040x}"


def test_a_marker_is_found_also_after_a_restart(tmp_path: Path) -> None:
    markers = opened(tmp_path)
    assert markers.find(name_of(1)) is None
    markers.set(name_of(1), MARKER)
    assert markers.find(name_of(1)) == MARKER
    assert opened(tmp_path).find(name_of(1)) == MARKER
    assert [file.name for file in (tmp_path / "redirects").iterdir()] == [name_of(1)]


def test_a_marker_that_was_removed_is_gone(tmp_path: Path) -> None:
    markers = opened(tmp_path)
    markers.set(name_of(1), MARKER)
    markers.remove(name_of(1))
    markers.remove(name_of(1))
    assert markers.find(name_of(1)) is None
    assert opened(tmp_path).find(name_of(1)) is None


def test_those_used_last_are_kept(tmp_path: Path) -> None:
    markers = opened(tmp_path, most=2)
    for number in (1, 2):
        markers.set(name_of(number), MARKER)
    assert markers.find(name_of(1)) == MARKER
    markers.set(name_of(3), MARKER)
    found = [markers.find(name_of(number)) for number in (1, 2, 3)]
    assert found == [MARKER, None, MARKER]
    os.utime(tmp_path / "redirects" / name_of(1), (1, 1))
    assert opened(tmp_path, most=1).find(name_of(1)) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\xa0", MARKER.encode()[:-1], b"\xff", b"\x80", MARKER.encode() + b"\x00"],
)
def test_a_damaged_marker_is_none_and_goes(tmp_path: Path, content: bytes) -> None:
    opened(tmp_path).set(name_of(1), MARKER)
    (tmp_path / "redirects" / name_of(1)).write_bytes(content)
    markers = opened(tmp_path)
    assert markers.find(name_of(1)) is None
    assert list((tmp_path / "redirects").iterdir()) == []


def test_a_marker_that_cannot_be_read_for_now_stays(tmp_path: Path) -> None:
    opened(tmp_path).set(name_of(1), MARKER)
    copies = opened(tmp_path)
    with no_descriptors():
        assert copies.find(name_of(1)) is None
    assert copies.find(name_of(1)) == MARKER


def test_what_a_crash_has_left_is_no_obstacle(tmp_path: Path) -> None:
    markers = opened(tmp_path)
    (tmp_path / "redirects" / "marking").write_bytes(b"half")
    markers.set(name_of(1), MARKER)
    assert opened(tmp_path).find(name_of(1)) == MARKER
