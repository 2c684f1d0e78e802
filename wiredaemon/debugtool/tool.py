"""Runs of the debug client tool: each block of a script in turn.

Source: client-tool, sections 1 to 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from wiredaemon.debugtool.address import parse_url
from wiredaemon.debugtool.errors import ScriptError, ToolError
from wiredaemon.debugtool.frame_strings import parse_frame_string
from wiredaemon.debugtool.http import Request
from wiredaemon.debugtool.literals import literal, unescape
from wiredaemon.debugtool.script import parse_script
from wiredaemon.debugtool.server import ACCEPT, CBOR, Server
from wiredaemon.debugtool.transcript import Detail, Transcript
from wiredaemon.debugtool.values import in_one_line, over_lines
from wiredaemon.debugtool.version1 import Version1Peer
from wiredaemon.debugtool.version2 import Version2Peer
from wiredaemon.debugtool.wire import LARGEST_BODY, Wire
from wiredaemon.wire.cbor import decode_all
from wiredaemon.wire.cbor_heads import CborError
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.debugtool.eras import Era
    from wiredaemon.debugtool.script import Block
    from wiredaemon.wire.values import Value

RAW: Final = "raw"
HTTP1: Final = "http1"
HTTP2: Final = "http2"

_HEADER: Final = re.compile(rb"([A-Za-z0-9_-]+): (.*)")
_EVAL: Final = b"eval:"
_PUSH_FILE: Final = b"PUSHFILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run talks to its server."""

    url: str
    peer: str = HTTP1
    """`RAW`, `HTTP1` or `HTTP2`."""
    era: Era
    detail: Detail = Detail.RESULTS
    shows_handshake: bool = True
    encodings: Sequence[bytes]
    """Content encodings that the version 2 peer offers, best first."""
    seconds: float
    """How long the server may be silent."""


def run(script: bytes, output: BinaryIO, options: Options) -> None:
    """Run a script.

    Args:
        script: Its text.
        output: Receives the transcript.
        options: How to talk to the server.

    Raises:
        ToolError: The run has failed; what happened before stands in the transcript.
    """
    address = parse_url(options.url)
    blocks = parse_script(script)
    transcript = Transcript(output, options.era, options.detail)
    wire = Wire(
        address.host,
        address.port,
        transcript,
        seconds=options.seconds,
        shows_option=options.era.shows_setsockopt,
    )
    server = Server(
        url=options.url, address=address, wire=wire, transcript=transcript, era=options.era
    )
    try:
        tool = _Run(server, options)
        for block in blocks:
            tool.act(block)
        tool.end()
    finally:
        wire.close()


class _Run:
    """The state between the blocks of a script."""

    def __init__(self, server: Server, options: Options) -> None:
        self._server = server
        self._era = options.era
        self._batch: list[tuple[bytes, Mapping[bytes, Value]]] | None = None
        self._version1: Version1Peer | None = None
        self._version2: Version2Peer | None = None
        transcript = server.transcript
        if options.peer == RAW:
            transcript.say("using raw connection to peer")
        elif options.peer == HTTP2:
            transcript.say("creating http peer for wire protocol version 2")
            with transcript.silence(if_=not options.shows_handshake):
                self._version2 = Version2Peer(server, options.encodings)
        else:
            self._version1 = Version1Peer(server)

    @property
    def _has_peer(self) -> bool:
        return self._version1 is not None or self._version2 is not None

    def act(self, block: Block) -> None:
        """Do what a block asks for."""
        word, separator, rest = block.action.partition(b" ")
        words = _ACTIONS_WITH_WORDS if separator else _ACTIONS
        action = words.get(word)
        if action is None:
            raise ToolError(f"unknown action: {block.shown}")
        action(self, rest, block.lines)

    def end(self) -> None:
        """Note that the script has ended."""
        if self._batch is not None:
            raise ToolError('unclosed "batchbegin" request')
        self._show_sums()

    def _show_sums(self) -> None:
        wire = self._server.wire
        if self._has_peer and self._era.ends_with_sums:
            self._server.transcript.verbose(
                f"(sent {wire.requests} HTTP requests and {wire.sent} bytes; "
                f"received {wire.received} bytes in responses)"
            )

    # --- actions -----------------------------------------------------------------------------

    def command(self, name: bytes, lines: Sequence[bytes]) -> None:
        """Call a command through the peer, or keep it for a batch."""
        if not self._has_peer:
            raise ToolError("cannot send commands unless peer instance is available")
        arguments, file = _arguments(lines)
        if self._batch is not None:
            self._batch.append((name, arguments))
            return
        self._server.transcript.say(f"sending {name.decode('utf-8', 'backslashreplace')} command")
        if self._version1 is not None:
            self._version1.call(name, arguments, None if file is None else _content(file))
        elif self._version2 is not None:
            if file is not None:
                raise ScriptError("PUSHFILE is for version 1 of the protocol")
            self._version2.call(name, arguments)

    def begin_batch(self, _rest: bytes, _lines: Sequence[bytes]) -> None:
        """Keep the commands that follow."""
        if self._batch is not None:
            raise ToolError("nested batchbegin not allowed")
        self._batch = []

    def submit_batch(self, _rest: bytes, _lines: Sequence[bytes]) -> None:
        """Send the commands that were kept."""
        calls, self._batch = self._batch, None
        if calls is None:
            raise ScriptError("batchsubmit without batchbegin")
        if self._version1 is None:
            raise ScriptError("batches are for version 1 of the protocol")
        self._version1.batch(calls)

    def close(self, _rest: bytes, _lines: Sequence[bytes]) -> None:
        """Close the connection; a request after it makes a new one."""
        if not self._has_peer:
            raise ScriptError("there is no peer to close")
        self._show_sums()
        self._server.wire.close()

    def request(self, rest: bytes, lines: Sequence[bytes]) -> None:
        """Send an HTTP request as it is written, and show its response."""
        method, separator, path = rest.partition(b" ")
        if not separator:
            raise ToolError('invalid httprequest: expected format is "httprequest <method> <path>')
        headers, body = self._request_lines(lines)
        address = self._server.address
        response = self._server.ask(
            Request(
                method=method,
                # As they are written: the URL ends with a slash, and the path begins without.
                target=address.path + path,
                headers=headers,
                body=body,
                accept=ACCEPT if self._has_peer else None,
            )
        )
        content = self._server.finish(response)
        if response.content_type == CBOR:
            self._show_cbor(content)

    def _request_lines(self, lines: Sequence[bytes]) -> tuple[dict[bytes, bytes], bytes | None]:
        headers: dict[bytes, bytes] = {}
        body: bytes | None = None
        frames: list[bytes] = []
        for line in lines:
            header = _HEADER.fullmatch(line)
            if header is not None:
                headers[header[1].lower()] = header[2]
            elif line.startswith(b"BODYFILE "):
                body = _content(line.removeprefix(b"BODYFILE "))
            elif line.startswith(b"frame "):
                text = line.removeprefix(b"frame ")
                frames.append(parse_frame_string(text, self._era.dialect))
            else:
                shown = line.decode("utf-8", "backslashreplace")
                raise ToolError(f"unknown argument to httprequest: {shown}")
        return headers, b"".join(frames) if frames else body

    def _show_cbor(self, content: bytes) -> None:
        try:
            objects = decode_all(content, self._era.dialect.cbor, Limits())
        except CborError as error:
            raise ToolError(f"error decoding CBOR from response: {error}") from None
        if self._era.decodes:
            self._server.transcript.say(f"cbor> {over_lines(objects)}")
        else:
            self._server.transcript.say(f"cbor> {in_one_line(objects[0] if objects else None)}")


def _refuse(text: str) -> Callable[[_Run, bytes, Sequence[bytes]], None]:
    """Return the action for what only connections of SSH have."""

    def refuse(_run: _Run, _rest: bytes, _lines: Sequence[bytes]) -> None:
        raise ToolError(text)

    return refuse


_ACTIONS: Final[Mapping[bytes, Callable[[_Run, bytes, Sequence[bytes]], None]]] = {
    b"batchbegin": _Run.begin_batch,
    b"batchsubmit": _Run.submit_batch,
    b"close": _Run.close,
    b"flush": _refuse("cannot call flush on this peer"),
    b"raw": _refuse("cannot call raw/raw+ on this peer"),
    b"raw+": _refuse("cannot call raw/raw+ on this peer"),
    **{
        name: _refuse(f"{name.decode()} not available on this peer")
        for name in (b"readavailable", b"readline", b"ereadline")
    },
}
_ACTIONS_WITH_WORDS: Final[Mapping[bytes, Callable[[_Run, bytes, Sequence[bytes]], None]]] = {
    b"command": _Run.command,
    b"httprequest": _Run.request,
    b"read": _refuse("read not available on this peer"),
    b"eread": _refuse("eread not available on this peer"),
}


def _arguments(lines: Sequence[bytes]) -> tuple[dict[bytes, Value], bytes | None]:
    """Return the arguments of a command, and the name of a file to push."""
    arguments: dict[bytes, Value] = {}
    file: bytes | None = None
    for line in lines:
        key, _, text = line.partition(b" ")
        if key == _PUSH_FILE:
            file = text
        elif text.startswith(_EVAL):
            arguments[key] = literal(text.removeprefix(_EVAL))
        else:
            arguments[key] = unescape(text)
    return arguments, file


def _content(file: bytes) -> bytes:
    path = Path(file.decode("utf-8", "surrogateescape"))
    try:
        if path.stat().st_size > LARGEST_BODY:
            raise ToolError(f"{path} has more than {LARGEST_BODY} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror or error}") from None
