from __future__ import annotations

import os
import stat
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from support.descriptors import no_descriptors

from wiredaemon.net.cache.store import (
    DamagedError,
    KeptResponse,
    ResponseStore,
    StoreError,
    new_file,
)
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OPENED: Final[list[ResponseStore]] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(folder: Path, *, size: int = 1000, entries: int = 100) -> ResponseStore:
    store = ResponseStore(folder / "cache", Limits(cache_size=size, cache_entries=entries))
    OPENED.append(store)
    store.open()
    return store


def entry_of(number: int, content: bytes) -> KeptResponse:
    return KeptResponse(
        key=f"{number:040x}", content_size=7, size=len(content), checksum=zlib.crc32(content)
    )


def keep(store: ResponseStore, number: int, content: bytes) -> KeptResponse:
    entry = entry_of(number, content)
    path = store.temporary()
    with new_file(path) as file:
        file.write(content)
    store.commit(path, entry)
    return entry


def read(store: ResponseStore, entry: KeptResponse) -> bytes:
    with store.open_entry(entry) as file:
        return file.read()


def files(folder: Path) -> set[str]:
    return {file.name for file in (folder / "cache").iterdir()} - {"lock"}


def test_what_was_kept_is_found_and_read(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    assert store.find(entry.key) == replace(entry, is_trusted=True)
    assert read(store, entry) == b"content"
    assert store.find(f"{2:040x}") is None
    assert (len(store), store.size) == (1, 7)
    assert files(tmp_path) == {entry.name}


def test_nobody_else_may_look(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "cache" / entry.name).stat().st_mode) == 0o600


def test_the_name_of_a_file_says_what_it_holds() -> None:
    entry = KeptResponse(key="a" * 40, content_size=255, size=16, checksum=1)
    assert entry.name == "a" * 40 + "-ff-10-00000001"
    assert KeptResponse.parse(entry.name) == entry
    for name in ("", "lock", entry.name + "0", entry.name[1:], "recording-1-1"):
        assert KeptResponse.parse(name) is None


def test_those_used_last_stay_within_the_size(tmp_path: Path) -> None:
    store = opened(tmp_path, size=30)
    first, second, third = (keep(store, number, bytes(10)) for number in (1, 2, 3))
    assert store.find(first.key) is not None
    fourth = keep(store, 4, bytes(15))
    assert [each.key for each in store] == [first.key, fourth.key]
    assert files(tmp_path) == {first.name, fourth.name}
    assert store.size == 25
    assert store.find(second.key) is None
    assert store.find(third.key) is None


def test_those_used_last_stay_within_the_number(tmp_path: Path) -> None:
    store = opened(tmp_path, entries=2)
    made = [keep(store, number, b"x") for number in (1, 2, 3)]
    assert files(tmp_path) == {made[1].name, made[2].name}


def test_one_that_is_too_large_alone_is_not_kept(tmp_path: Path) -> None:
    store = opened(tmp_path, size=10)
    keep(store, 1, bytes(11))
    assert (len(store), store.size, files(tmp_path)) == (0, 0, set())


def test_another_answer_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    store = opened(tmp_path)
    keep(store, 1, b"before")
    after = keep(store, 1, b"behind it")
    assert files(tmp_path) == {after.name}
    assert store.size == 9
    keep(store, 1, b"behind it")
    assert (files(tmp_path), store.size) == ({after.name}, 9)


def test_an_open_file_is_read_to_its_end_though_its_entry_goes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    with store.open_entry(entry) as file:
        store.remove(entry)
        assert files(tmp_path) == set()
        assert file.read() == b"content"


@pytest.mark.parametrize("content", [b"", b"conten", b"contents"])
def test_a_file_of_another_size_is_damaged(tmp_path: Path, content: bytes) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    (tmp_path / "cache" / entry.name).write_bytes(content)
    with pytest.raises(DamagedError, match=f"has {len(content)} bytes"):
        store.open_entry(entry)


def test_a_missing_file_is_damaged(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    (tmp_path / "cache" / entry.name).unlink()
    with pytest.raises(DamagedError):
        store.open_entry(entry)
    store.remove(entry)
    assert (len(store), store.size) == (0, 0)


def test_a_file_that_cannot_be_opened_for_now_is_not_damaged(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        store.open_entry(entry)
    assert read(store, entry) == b"content"


def test_a_restart_finds_them_in_the_order_of_their_use_and_trusts_none(tmp_path: Path) -> None:
    store = opened(tmp_path)
    made = [keep(store, number, bytes(10)) for number in (1, 2, 3)]
    for number, entry in enumerate(made):
        os.utime(tmp_path / "cache" / entry.name, (number, number))
    read(store, made[0])
    store.close()
    again = opened(tmp_path, size=20)
    assert list(again) == [made[2], made[0]]
    assert files(tmp_path) == {made[2].name, made[0].name}
    again.trust(made[0])
    assert again.find(made[0].key) == replace(made[0], is_trusted=True)


def test_what_a_crash_has_left_half_written_is_removed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = keep(store, 1, b"content")
    new_file(store.temporary()).close()
    older = entry_of(1, b"older")
    (tmp_path / "cache" / older.name).write_bytes(b"older")
    os.utime(tmp_path / "cache" / older.name, (1, 1))
    (tmp_path / "cache" / "README").write_bytes(b"somebody's own")
    store.close()
    again = opened(tmp_path)
    assert list(again) == [entry]
    assert files(tmp_path) == {entry.name, "README"}


def test_two_processes_do_not_use_one_folder(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(StoreError, match="another process uses"):
        opened(tmp_path)
    store.close()
    assert not store.is_open
    assert opened(tmp_path).is_open


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        opened(tmp_path / "file")


def test_removing_an_older_answer_leaves_the_newer_one(tmp_path: Path) -> None:
    store = opened(tmp_path)
    before = keep(store, 1, b"before")
    after = keep(store, 1, b"after")
    store.remove(before)
    assert files(tmp_path) == {after.name}
    assert len(store) == 1
