"""What a client makes of the answers of the data commands: it rebuilds and checks every text."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NULL: Final = bytes(20)


@dataclass(kw_only=True)
class Record:
    """One record and its text."""

    node: bytes
    parents: list[bytes]
    text: bytes
    base: bytes | None
    """The base of the delta that it was sent as."""
    raw: dict[bytes, Any] = field(repr=False)


def patch(base: bytes, delta: bytes) -> bytes:
    """Apply a delta (commands, section 4.6)."""
    made, position, at = [], 0, 0
    while at < len(delta):
        start, end, length = struct.unpack_from(">III", delta, at)
        at += 12
        assert position <= start <= end <= len(base)
        made += [base[position:start], delta[at : at + length]]
        position, at = end, at + length
    return b"".join(made) + base[position:]


def node_of(text: bytes, parents: Iterable[bytes]) -> bytes:
    return hashlib.sha1(b"".join(sorted(parents)) + text, usedforsecurity=False).digest()


def read_records(
    objects: Iterator[Any], count: int, known: dict[bytes, bytes], *, have_parents: bool
) -> list[Record]:
    """Read records with parents and texts.

    Args:
        objects: The objects received.
        count: The number of records.
        known: Texts that the client has; those read are added.
        have_parents: A base may be a parent, sent or not; else only what was sent just now.
    """
    found: list[Record] = []
    sent: set[bytes] = set()
    for _ in range(count):
        raw = next(objects)
        ((name, length),) = raw[b"fieldsfollowing"]
        data = next(objects)
        assert len(data) == length
        base = raw.get(b"deltabasenode")
        assert (name == b"delta") == (base is not None)
        if base is None:
            text = data
        else:
            assert base in sent or (have_parents and base in raw[b"parents"])
            text = patch(b"" if base == NULL else known[base], data)
        assert node_of(text, raw[b"parents"]) == raw[b"node"]
        known[raw[b"node"]] = text
        sent.add(raw[b"node"])
        found.append(
            Record(node=raw[b"node"], parents=raw[b"parents"], text=text, base=base, raw=raw)
        )
    return found


def read_all(objects: Iterable[Any], known: dict[bytes, bytes] | None = None) -> list[Record]:
    """Read a header and as many records as it says, and nothing more."""
    coming = iter(objects)
    header = next(coming)
    assert list(header) == [b"totalitems"]
    texts = {} if known is None else known
    found = read_records(coming, header[b"totalitems"], texts, have_parents=known is not None)
    assert list(coming) == []
    return found


def read_files(
    objects: Iterable[Any], known: dict[bytes, dict[bytes, bytes]] | None = None
) -> dict[bytes, list[Record]]:
    """Read what ``filesdata`` gives, by path; ``known`` as for `read_all`, by path too."""
    coming = iter(objects)
    header = next(coming)
    assert set(header) == {b"totalpaths", b"totalitems"}
    files: dict[bytes, list[Record]] = {}
    for _ in range(header[b"totalpaths"]):
        described = next(coming)
        path = described[b"path"]
        texts = {} if known is None else known.setdefault(path, {})
        files[path] = read_records(
            coming, described[b"totalitems"], texts, have_parents=known is not None
        )
    assert list(coming) == []
    assert list(files) == sorted(files)
    assert sum(map(len, files.values())) == header[b"totalitems"]
    assert all(files.values())
    return files
