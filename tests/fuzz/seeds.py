"""The first inputs of each corpus, from the independent peer: ``python -m fuzz.seeds``.

Each is a small input that is right, because a fuzzer finds what lies behind the first checks sooner
from there. What a run has found worth keeping is put beside them by hand.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import cbor2
from support.feeding import ALL
from support.peers import frame, item, request_frames, settings_frames
from support.web import API, ask, posted, requests

from fuzz.__main__ import CORPORA
from wiredaemon.wire.encodings import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESPONSES: Final = {"0002": 4, "0003": 4, "0004": 4, "0005": 3, "0006": 3}
"""Numbers of response frames (framing 4)."""


def inputs() -> Iterator[tuple[str, str, bytes]]:
    """Yield a target, a name and an input each."""
    one = request_frames("0006", 1, b"heads")[0]
    yield "frames", "request", b"\x07" + one + one
    for number, dialect in enumerate(ALL):
        sent = b"".join(
            [
                *request_frames(dialect, 1, b"heads"),
                *request_frames(dialect, 3, b"known", {b"nodes": b"12"}, data=b"some data"),
            ]
        )
        for duplex in (0, 1):
            yield "requests", f"{dialect}-{duplex}", bytes([number, duplex, 5]) + sent
        yield "client", dialect, bytes([number, 9]) + _answers(dialect)
    with_settings = b"".join([*settings_frames(b"zlib"), one])
    yield "requests", "0006-settings", bytes([4, 1, 30]) + with_settings
    offered = item({b"contentencodings": [b"zstd-8mb", b"zlib"]}, canonical=False)
    yield "settings", "encodings", b"\x20" + offered
    yield (
        "cbor",
        "map",
        b"\x01\x03" + item({b"a": [1, True, b"x"], b"b": {b"c": None}}, canonical=False),
    )
    yield "cbor", "set", b"\x01\x03" + cbor2.dumps({b"a", b"b"}, canonical=True)
    yield "cbor", "lenient", b"\x00\x02" + cbor2.dumps(["text", 1.5, -3, 2**70])
    for number, name in enumerate(sorted(ENCODERS)):
        encoder = ENCODERS[name]()
        yield (
            "decoders",
            name.decode(),
            bytes([number, 11]) + encoder.encode(b"text " * 50) + encoder.flush(),
        )
    yield "decoders", "zlib-end", bytes([1, 200]) + zlib.compress(b"end")
    for era in API:
        yield "http", era, b"\xff" + posted(era, "customreadonly", requests(era, b"customreadonly"))
    yield "http", "pipelined", b"\x40" + 2 * ask("GET", "/api/") + ask("GET", "/?cmd=capabilities")
    everything = (
        b'{"bytes": {"hex": "00ff"}, "int": -3, "list": ["a", [1.0, null]], "dict": {"hex:ff": {}},'
        b' "set": ["a", 1], "bool": true, "float": 0.5, "text": "\\u00e9"}'
    )
    yield "json", "object", b"\0\0" + everything
    yield "json", "lines", b"\1\0" + everything
    yield "json", "query", b"\2\1" + b"bytes=%00%ff&int=-3&bool=true&float=1.5e3&text=a+b"
    yield (
        "json",
        "twice",
        b"\0\0" + b'{"int": 1, "int": NaN, "list": [1e999, 99999999999999999999]}',
    )
    chunked = {"Transfer-Encoding": "chunked"}
    yield (
        "http",
        "chunked",
        b"\x40" + ask("POST", "/api/x/ro/heads", chunked) + b"3\r\nabc\r\n0\r\n\r\n",
    )


def _answers(dialect: str) -> bytes:
    number = _RESPONSES[dialect]
    content = b"\xa1FstatusBok" if dialect in {"0005", "0006"} else b""
    settings = [frame(9, 2, b"Hidentity", stream_id=2)] if dialect == "0006" else []
    return b"".join(
        [
            *settings,
            frame(number, 1, content + b"Aa", stream_id=2, stream_flags=0 if settings else 1),
            frame(number, 2, b"Bbc", stream_id=2, stream_flags=0),
            frame(
                5,
                0,
                item({b"type": b"server", b"message": [{b"msg": b"no"}]}, canonical=False),
                request_id=3,
                stream_id=2,
                stream_flags=2,
            ),
        ]
    )


def main() -> None:
    """Write the inputs."""
    for target, name, data in inputs():
        folder = CORPORA / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
