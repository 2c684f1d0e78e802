"""What a cacheable command is answered, by a cache over a repository that the test answers for."""

from __future__ import annotations

import errno
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from support.caching import Kept
from support.responding import ensure_deferred, failures
from twisted.internet.defer import Deferred

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.cache import cache as cache_module
from wiredaemon.net.cache.cache import SUSPENDED_SECONDS
from wiredaemon.net.cache.reading import FileReader
from wiredaemon.net.cache.recording import Recording
from wiredaemon.wire.values import Encoded, Recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from twisted.logger import LogEvent

ENCODINGS = [b"identity", b"zlib", b"zstd-8mb", None]


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # not annotated
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    made = Kept(tmp_path)
    yield made
    await made.stop()


@ensure_deferred
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_the_second_time_no_worker_is_asked(kept: Kept, encoding: bytes | None) -> None:
    kept.handle.parts = [[bytes([number]) * 90_000] for number in range(10)]
    first = await kept.ask(encoding)
    assert first == kept.handle.content
    assert await kept.ask(encoding) == first
    assert len(kept.handle.asked) == 1
    assert (kept.cache.hits, kept.cache.misses, kept.cache.recorded) == (1, 1, 1)


@ensure_deferred
async def test_what_is_kept_comes_encoded_unless_it_is_identity(kept: Kept) -> None:
    kinds = {}
    for encoding in ENCODINGS:
        await kept.ask(encoding)
        async with aclosing(kept.stream(encoding)) as stream:
            kinds[encoding] = {type(part) async for part in stream}
    assert kinds == {
        b"identity": {Encoded},
        None: {Encoded},
        b"zlib": {Recorded},
        b"zstd-8mb": {Recorded},
    }
    assert len(kept.handle.asked) == 3


@ensure_deferred
async def test_large_answers_are_read_in_pieces(kept: Kept) -> None:
    kept.handle.parts = [[bytes(1 << 20)]]
    await kept.ask(b"identity")
    async with aclosing(kept.stream(b"identity")) as stream:
        sizes = [len(part.parts[0]) async for part in stream]
    assert sizes == [256 * 1024] * 4


@ensure_deferred
async def test_other_arguments_are_another_question(kept: Kept) -> None:
    await kept.ask(arguments={b"nodes": [b"one"]})
    kept.handle.parts = [[b"other"]]
    assert await kept.ask(arguments={b"nodes": [b"two"]}) == b"other"
    assert len(kept.handle.asked) == 2


@ensure_deferred
async def test_a_repository_that_has_changed_is_asked_again(kept: Kept) -> None:
    await kept.ask()
    kept.change()
    kept.handle.parts = [[b"changed"]]
    assert await kept.ask() == b"changed"
    assert await kept.ask() == b"changed"
    assert len(kept.handle.asked) == 2


@ensure_deferred
async def test_what_changes_while_it_is_answered_is_not_kept(kept: Kept) -> None:
    async with aclosing(kept.stream()) as stream:
        await anext(stream)
        kept.change()
        assert [part async for part in stream] == [Encoded([b"three"])]
    await kept.settled()
    assert kept.files == []
    await kept.ask()
    assert len(kept.handle.asked) == 2


@ensure_deferred
@pytest.mark.parametrize("is_begun_before", [True, False])
async def test_nothing_is_recorded_beside_a_transaction(
    kept: Kept, *, is_begun_before: bool
) -> None:
    if is_begun_before:
        kept.sign.write_bytes(b"")
    async with aclosing(kept.stream()) as stream:
        await anext(stream)
        kept.sign.write_bytes(b"")
        assert len([part async for part in stream]) == 1
    await kept.settled()
    assert kept.files == []
    kept.sign.unlink()
    await kept.ask()
    assert len(kept.files) == 1


@ensure_deferred
async def test_nothing_is_recorded_of_what_has_just_changed(kept: Kept) -> None:
    # Another change could look the same.
    kept.clock_is_ahead = 20_000_000
    await kept.ask()
    assert kept.files == []
    kept.clock_is_ahead += 1
    await kept.ask()
    assert len(kept.files) == 1


@ensure_deferred
async def test_who_leaves_before_the_end_leaves_nothing(kept: Kept) -> None:
    stream = kept.stream()
    assert await anext(stream) == Encoded([b"one", b"two"])
    assert len(kept.files) == 1
    await stream.aclose()
    assert (kept.files, kept.handle.closed) == ([], 1)
    await kept.ask()
    assert len(kept.files) == 1


@ensure_deferred
async def test_who_leaves_while_the_worker_is_waited_for_leaves_nothing(kept: Kept) -> None:
    kept.handle.gate = Deferred()
    stream = kept.stream()
    await anext(stream)

    async def go_on() -> None:
        await anext(stream)

    waiting = Deferred.fromCoroutine(go_on())
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    await waiting
    await stream.aclose()
    assert (kept.files, kept.handle.closed) == ([], 1)


@ensure_deferred
async def test_who_leaves_a_kept_answer_closes_its_file(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[FileReader] = []
    close = FileReader.close

    def note(reader: FileReader) -> None:
        closed.append(reader)
        close(reader)

    monkeypatch.setattr(FileReader, "close", note)
    kept.handle.parts = [[bytes(1 << 20)]]
    await kept.ask(b"identity")
    stream = kept.stream(b"identity")
    await anext(stream)
    closed.clear()
    await stream.aclose()
    (reader,) = closed
    assert reader.read() == b""


@ensure_deferred
async def test_failures_reach_the_peer_and_are_not_kept(kept: Kept) -> None:
    for error in (ServerError("broken"), CommandError("refused")):
        kept.handle.error = error
        with pytest.raises(type(error)):
            await kept.ask()
        assert kept.files == []
    kept.handle.error = None
    assert await kept.ask() == kept.handle.content


@ensure_deferred
async def test_two_who_ask_at_once_are_recorded_once(kept: Kept) -> None:
    async with aclosing(kept.stream()) as first, aclosing(kept.stream()) as second:
        await anext(first)
        await anext(second)
        assert len(kept.files) == 1
        assert [part async for part in second] == [Encoded([b"three"])]
        assert [part async for part in first] == [Encoded([b"three"])]
    await kept.settled()
    assert kept.cache.recorded == 1


@ensure_deferred
async def test_only_so_many_are_recorded_at_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path, cache_recordings=1)
    stream = kept.stream(arguments={})
    await anext(stream)
    await kept.ask()
    assert kept.cache.recorded == 0
    await stream.aclose()
    await kept.ask()
    assert kept.cache.recorded == 1
    await kept.stop()


@ensure_deferred
@pytest.mark.parametrize("more", [{"command": b"other"}, {"arguments": {b"nodes": [1.5]}}])
async def test_what_has_no_key_is_asked_every_time(kept: Kept, more: Any) -> None:
    for _ in range(2):
        assert await kept.ask(**more) == kept.handle.content
    assert len(kept.handle.asked) == 2


@ensure_deferred
async def test_a_cache_of_no_size_keeps_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path, cache_size=0)
    for _ in range(2):
        assert await kept.ask() == kept.handle.content
    assert len(kept.handle.asked) == 2
    assert not (tmp_path / "cache").exists()
    await kept.stop()


@ensure_deferred
async def test_a_second_daemon_on_the_same_folder_does_without(
    kept: Kept, logged: list[LogEvent]
) -> None:
    other = Kept(kept.folder)
    (event,) = failures(logged)
    assert "another process uses" in event["reason"]
    for _ in range(2):
        assert await other.ask() == other.handle.content
    assert len(other.handle.asked) == 2
    await other.stop()
    await kept.ask()
    assert kept.cache.recorded == 1


@ensure_deferred
async def test_a_file_that_was_damaged_meanwhile_is_a_miss_and_is_said_once(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    kept = Kept(tmp_path)
    await kept.ask()
    await kept.stop()
    (name,) = kept.files
    file = tmp_path / "cache" / "responses" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    kept.cache.start()
    assert await kept.ask() == kept.handle.content
    (event,) = failures(logged)
    assert "checksum" in event["reason"]
    assert len(kept.handle.asked) == 2
    assert await kept.ask() == kept.handle.content
    assert len(kept.handle.asked) == 2
    assert (kept.cache.hits, kept.cache.misses, kept.cache.unusable) == (2, 1, 1)
    await kept.stop()


@ensure_deferred
async def test_a_restart_finds_what_was_kept_and_checks_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    content = await kept.ask()
    await kept.stop()
    kept.cache.start()
    assert await kept.ask() == content
    assert len(kept.handle.asked) == 1
    await kept.stop()


@ensure_deferred
@pytest.mark.parametrize("is_missing", [True, False])
async def test_a_file_that_somebody_removes_or_cuts_is_a_miss(
    kept: Kept, logged: list[LogEvent], *, is_missing: bool
) -> None:
    await kept.ask()
    (name,) = kept.files
    file = kept.folder / "cache" / "responses" / name
    if is_missing:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    assert await kept.ask() == kept.handle.content
    assert len(kept.handle.asked) == 2
    assert len(failures(logged)) == 1


@ensure_deferred
async def test_a_file_that_is_cut_while_it_is_sent_breaks_the_answer(
    kept: Kept, logged: list[LogEvent]
) -> None:
    kept.handle.parts = [[bytes(1 << 20)]]
    await kept.ask(b"identity")
    (name,) = kept.files
    async with aclosing(kept.stream(b"identity")) as stream:
        await anext(stream)
        (kept.folder / "cache" / "responses" / name).write_bytes(bytes(300_000))
        with pytest.raises(ServerError, match="broke off"):
            _ = [part async for part in stream]
    assert len(failures(logged)) == 1
    assert await kept.ask(b"identity") == kept.handle.content


@ensure_deferred
async def test_a_full_disk_stops_recording_for_a_while(
    kept: Kept, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "Recording", refuse)
        assert await kept.ask() == kept.handle.content
    assert await kept.ask() == kept.handle.content
    assert (kept.cache.recorded, len(failures(logged))) == (0, 1)
    kept.reactor.now += SUSPENDED_SECONDS
    await kept.ask()
    assert kept.cache.recorded == 1


@ensure_deferred
async def test_a_full_disk_in_the_middle_does_not_disturb_the_answer(
    kept: Kept, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Recording, "write", refuse)
    assert await kept.ask() == kept.handle.content
    assert (kept.cache.recorded, len(failures(logged))) == (0, 1)


@ensure_deferred
async def test_a_failure_while_it_is_encoded_leaves_nothing(
    kept: Kept, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Recording, "finish", refuse)
    assert await kept.ask() == kept.handle.content
    assert kept.files == []
    assert len(failures(logged)) == 1


@ensure_deferred
async def test_an_end_in_the_middle_of_encoding_leaves_nothing_half_done(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    async with aclosing(kept.stream()) as stream:
        assert len([part async for part in stream]) == 2
    await kept.stop()
    assert len(kept.files) <= 1
    assert not any(name.startswith("recording") for name in kept.files)
    assert not kept.cache.is_on


@ensure_deferred
async def test_the_size_is_bounded(tmp_path: Path) -> None:
    kept = Kept(tmp_path, cache_size=1000, cache_entry=900)
    kept.handle.parts = [[bytes(400)]]
    for number in range(5):
        await kept.ask(b"identity", arguments={b"nodes": [number]})
    assert (kept.cache.size, len(kept.cache), len(kept.files)) == (800, 2, 2)
    kept.handle.parts = [[bytes(901)]]
    await kept.ask(b"identity", arguments={b"nodes": [9]})
    assert len(kept.cache) == 2
    await kept.stop()
