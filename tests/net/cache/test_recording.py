from __future__ import annotations

import errno
import zlib
from typing import IO, TYPE_CHECKING, Any

import pytest
from support.peers import item

from wiredaemon.net.cache import recording as module
from wiredaemon.net.cache.recording import Recording
from wiredaemon.net.cache.store import KeptResponse
from wiredaemon.wire.encodings import DECODERS, ENCODERS

if TYPE_CHECKING:
    from pathlib import Path

OK = b"\xa1FstatusBok"
KEY = "a" * 40


def begun(folder: Path, encoding: bytes = b"identity", limit: int = 1 << 20) -> Recording:
    return Recording(KEY, encoding, (folder / "content", folder / "encoded"), limit)


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def decoded(encoding: bytes, data: bytes) -> bytes:
    decoder = DECODERS[encoding]()
    decoder.feed(data)
    content = b""
    while decoder.pending:
        content += decoder.read()
    return content


def test_identity_is_the_objects_without_the_ok_map(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    recording.write([b"one", b"two"])
    recording.write([b"three"])
    content = b"onetwothree"
    path, entry = recording.finish() or (None, None)
    assert path is not None
    assert path.read_bytes() == content
    assert entry == KeptResponse(key=KEY, content_size=11, size=11, checksum=zlib.crc32(content))
    recording.clean()
    assert left(tmp_path) == []


@pytest.mark.parametrize("encoding", [b"zlib", b"zstd-8mb"])
def test_other_encodings_are_a_whole_fresh_response(tmp_path: Path, encoding: bytes) -> None:
    content = item([b"text" * 1000, 1] * 200, canonical=False)
    recording = begun(tmp_path, encoding)
    recording.write([content[:100_000], content[100_000:]])
    path, entry = recording.finish() or (None, None)
    assert path is not None
    assert entry is not None
    data = path.read_bytes()
    assert decoded(encoding, data) == OK + content
    assert (entry.content_size, entry.size) == (len(content), len(data))
    assert entry.checksum == zlib.crc32(data)
    assert len(data) < len(content) / 10
    fresh = ENCODERS[encoding]()
    fresh.encode(OK + content)
    assert data.endswith(fresh.flush()[-4:])


def test_what_exceeds_the_limit_is_dropped_at_once(tmp_path: Path) -> None:
    recording = begun(tmp_path, limit=10)
    recording.write([bytes(10)])
    assert left(tmp_path) == ["content"]
    recording.write([b"x"])
    assert not recording.is_going_on
    assert left(tmp_path) == []
    recording.write([b"x"])
    assert recording.finish() is None


def test_what_grows_beyond_the_limit_by_its_encoding_is_not_kept(tmp_path: Path) -> None:
    recording = begun(tmp_path, b"zlib", limit=10)
    recording.write([bytes(range(10))])
    assert recording.finish() is None
    recording.clean()
    assert left(tmp_path) == []


def test_a_recording_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    recording = begun(tmp_path)
    recording.write([b"x"])
    recording.drop()
    recording.drop()
    assert left(tmp_path) == []
    assert not recording.is_going_on


def test_a_full_disk_drops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self.close = file.close

        def writelines(self, _parts: Any) -> None:
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(module, "new_file", lambda path: Full(path.open("xb")))
    recording = begun(tmp_path)
    with pytest.raises(OSError, match="no space"):
        recording.write([b"x"])
    assert not recording.is_going_on
    assert left(tmp_path) == []
