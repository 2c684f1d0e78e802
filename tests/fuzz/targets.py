"""The targets: each takes any bytes, and fails by an exception where the code breaks a promise.

A peer's mistake is no failure. Failures are exceptions that no docstring names, more memory than a
limit allows, and results that depend on how the bytes were cut.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from support.feeding import ALL, joined, server
from support.json_calls import EVENTS, JSON, LINES, answer_of, get, json_web, post
from support.logs import observed, texts_of
from support.peers import frame
from support.web import API, Web
from twisted.logger import LogLevel

from fuzz.cuts import Input, pieces
from wiredaemon.commands import Argument, ArgumentType, Command, Permission
from wiredaemon.commands.argument_types import CONTAINERS
from wiredaemon.protocol import ClientConnection, ConnectionFailed, RequestReceived
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.encodings import DECODED_STEP, DECODERS, ContentError
from wiredaemon.wire.frames import FrameError, FrameReader
from wiredaemon.wire.json_values import JsonError, jsonable, parse_json, value_of, write_json
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wiredaemon.protocol import Event, ServerConnection
    from wiredaemon.wire.cbor_heads import CborRules
    from wiredaemon.wire.frames import Frame

# Small enough that short inputs reach them.
LIMITS: Final = Limits(
    frame_payload=512,
    request_size=1024,
    request_frames=8,
    settings_size=256,
    decoded_size=4096,
    half_open_requests=3,
    concurrent_requests=5,
    cbor_depth=8,
    cbor_elements=64,
    json_request=1024,
    json_elements=64,
    command_data=2048,
    undeclared_data=256,
)
_DECODED_STEPS: Final = 64
"""Steps of a decoder that one input may ask for: content that goes on for ever is no failure."""


def frames(data: bytes) -> None:
    """`FrameReader` finds the same frames and the same error, however the bytes are cut."""
    given = Input(data)
    size = given.number()
    stream = given.rest()
    whole = _read_frames([stream])
    assert _read_frames(pieces(stream, size)) == whole
    assert sum(8 + len(found.payload) for found in whole[0]) <= len(stream)


def _read_frames(parts: Iterable[bytes]) -> tuple[list[Frame], str | None]:
    reader = FrameReader(payload_limit=LIMITS.frame_payload)
    found: list[Frame] = []
    try:
        for part in parts:
            found += reader.frames(part)
        reader.receive_end()
    except FrameError as error:
        return found, str(error)
    return found, None


def requests(data: bytes) -> None:
    """A server's connection of any dialect: the same events and frames, however it is cut."""
    given = Input(data)
    dialect = given.choose(ALL)
    half_duplex = given.choose([True, False])
    size = given.number()
    _compare_servers(dialect, given.rest(), size, half_duplex=half_duplex)


def settings(data: bytes) -> None:
    """Sender settings of dialect 0006, in one frame or several, and a request behind them."""
    given = Input(data)
    size = given.number()
    parts = list(pieces(given.rest(), max(size, 16)))
    sent = [
        frame(
            8,
            1 if number < len(parts) - 1 else 2,
            part,
            stream_flags=1 if number == 0 else 0,
        )
        for number, part in enumerate(parts)
    ]
    request = frame(1, 1, b"\xa1DnameEheads", stream_flags=0)
    _compare_servers("0006", b"".join([*sent, request]), 1 + size, half_duplex=True)


def _compare_servers(dialect: str, data: bytes, size: int, *, half_duplex: bool) -> None:
    whole, cut = (server(dialect, half_duplex=half_duplex, limits=LIMITS) for _ in range(2))
    events = _serve(whole, [data])
    assert _serve(cut, pieces(data, size)) == events
    assert joined(whole.data_to_send()) == joined(cut.data_to_send())
    held = sum(len(getattr(event, "data", b"")) for event in events)
    assert held <= len(data)


def _serve(connection: ServerConnection, parts: Iterable[bytes]) -> list[Event]:
    """Feed parts, refusing each request once all input is in: answers would depend on the cut."""
    events: list[Event] = []
    for part in parts:
        events += connection.receive_data(part)
    events += connection.receive_end()
    failed = any(isinstance(event, ConnectionFailed) for event in events)
    for event in events:
        if isinstance(event, RequestReceived) and not failed and not connection.failed:
            connection.send_error(event.request_id, b"no", [])
    return events


def client(data: bytes) -> None:
    """A client's connection of any dialect, with two requests: the same events, however cut."""
    given = Input(data)
    dialect = DIALECTS[given.choose(ALL)]
    size = given.number()
    stream = given.rest()
    events = [_answered(dialect.name, parts) for parts in ([stream], pieces(stream, size))]
    # Content is handed on as it comes, so that its pieces differ; all else must not.
    assert events[0] == events[1]


def _answered(dialect: str, parts: Iterable[bytes]) -> list[object]:
    connection = ClientConnection(DIALECTS[dialect], limits=LIMITS)
    for name in (b"one", b"two"):
        connection.send_command(name, {})
    connection.data_to_send()
    events: list[object] = []
    decoded = 0
    for part in parts:
        events += connection.receive_data(part)
        while connection.pending and decoded < _DECODED_STEPS:
            decoded += 1
            events += connection.receive_data(b"")
        if connection.pending:
            return []
    events += connection.receive_end()
    return events


def cbor_items(data: bytes) -> None:
    """CBOR by both rules: only `CborError`; the same by pieces; encoded again, the same value."""
    given = Input(data)
    rules = DIALECTS[given.choose(["0003", "0006"])].cbor
    size = given.number()
    items = given.rest()
    found = _decode(items, rules)
    assert repr(_decode_pieces(items, rules, size)) == repr(found)
    for value in found or ():
        try:
            again = cbor.encode(value, rules.key_order)  # type: ignore[arg-type]
        except UnencodableError:
            continue
        assert _decode(again, rules) == [value]


def _decode(items: bytes, rules: CborRules) -> list[object] | None:
    try:
        return cbor.decode_all(items, rules, LIMITS)
    except CborError:
        return None


def _decode_pieces(items: bytes, rules: CborRules, size: int) -> list[object] | None:
    reader = cbor.ItemReader(rules, LIMITS)
    found: list[object] = []
    try:
        for part in pieces(items, size):
            found += reader.receive_data(part)
    except CborError:
        return None
    return None if reader.held else found


def decoders(data: bytes) -> None:
    """Content decoders: only `ContentError`, and never more at once than a step."""
    given = Input(data)
    decoder = DECODERS[given.choose(sorted(DECODERS))]()
    size = given.number()
    steps = 0
    try:
        for part in pieces(given.rest(), size):
            decoder.feed(part)
            while decoder.pending and steps < _DECODED_STEPS:
                steps += 1
                assert len(decoder.read()) <= DECODED_STEP
    except ContentError:
        return


def http(data: bytes) -> None:
    """The site of all APIs, from the first byte of a connection: no error is logged."""
    given = Input(data)
    size = given.number()
    with observed() as events:
        web = Web(*API, limits=LIMITS)
        connection = web.connect()
        for part in pieces(given.rest(), size):
            if connection.is_closed:
                break
            connection.send(part)
        answer = connection.take()
        web.clock.advance(3600)
    assert not answer or answer.startswith(b"HTTP/1.1 "), answer[:40]
    failures = [event for event in events if event["log_level"] >= LogLevel.error]
    assert not failures, texts_of(failures)


def json_calls(data: bytes) -> None:
    """A call with JSON is answered with JSON, and values are read as they were written."""
    given = Input(data)
    form = given.choose([{}, LINES, EVENTS])
    in_query = given.choose([False, True])
    said = given.rest()
    query = quote_from_bytes(said, safe="&=+%")
    with observed() as events:
        web = json_web(_COMMANDS, limits=LIMITS)
        asked = get(f"/scalars?{query}", form) if in_query else post("/all", said, {**JSON, **form})
        answer = answer_of(web.connect().exchange(asked))
    failures = [event for event in events if event["log_level"] >= LogLevel.error]
    assert not failures, texts_of(failures)
    assert answer.status in _STATUSES, answer
    if answer.status != _OK:
        assert answer.problem[1]
    elif form is LINES:
        assert [*json.loads(answer.body.splitlines()[-1])] == ["end"]
    elif not form:
        assert isinstance(answer.said, str)
    try:
        value = value_of(parse_json(said))
    except JsonError:
        return
    assert value_of(parse_json(write_json(jsonable(value)))) == value


def _echo(context: Any, **given: object) -> str:  # noqa: ARG001 every command is given its context
    return repr(given)


def _taking(name: str, kinds: Iterable[ArgumentType]) -> Command:
    arguments = {kind.value: Argument(type=kind, default=None) for kind in kinds}
    return Command(name=name, permission=Permission.RO, function=_echo, arguments=arguments)


_COMMANDS: Final = [
    _taking("all", ArgumentType),
    _taking("scalars", set(ArgumentType) - CONTAINERS),
]
_OK: Final = 200
_STATUSES: Final = frozenset({_OK, 400, 406, 413, 431})


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "frames": frames,
    "requests": requests,
    "settings": settings,
    "client": client,
    "cbor": cbor_items,
    "decoders": decoders,
    "http": http,
    "json": json_calls,
}
"""Each target by the name of its corpus."""
