"""The peer of protocol version 1: commands in the query, arguments in numbered headers.

Source: client-tool, section 2; http, section 4; commands, section 2.
"""

from __future__ import annotations

import re
from binascii import hexlify, unhexlify
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, unquote_to_bytes

from wiredaemon.debugtool.errors import ScriptError, ToolError
from wiredaemon.debugtool.http import Request
from wiredaemon.debugtool.server import ACCEPT
from wiredaemon.debugtool.values import escape, over_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.debugtool.server import Server
    from wiredaemon.wire.values import Value

_PROTOCOL: Final = b"0.1 0.2 comp=zstd,zlib,none,bzip2 partial-pull"
"""What Mercurial's clients say that they read; the answers here are all of version 0.1."""
_HEADER_NAME: Final = 15
"""Bytes that the name of a numbered header is counted with (extensions, section 1)."""
_SMALLEST_HEADER: Final = 64
_ESCAPES: Final = {b":": b":c", b",": b":o", b";": b":s", b"=": b":e"}
"""Those of texts in a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """A command whose result has a form of its own."""

    arguments: frozenset[bytes] = frozenset()
    decode: Callable[[bytes], object]
    writes: bool = False
    announced: tuple[bytes, ...] = ()
    """The arguments that ``--debug`` names in front of the call."""


class Version1Peer:
    """Sends commands of version 1."""

    def __init__(self, server: Server) -> None:
        """Perform the handshake, which asks for the capabilities.

        Raises:
            ToolError: There is no connection, or no repository.
        """
        self._server = server
        server.transcript.debug(f"using {server.url}")
        server.transcript.debug("sending capabilities command")
        target = server.address.path + b"?cmd=capabilities"
        _, content = server.ask_version1(Request(method=b"GET", target=target, accept=ACCEPT))
        self._capabilities = frozenset(content.split())

    def call(self, name: bytes, arguments: Mapping[bytes, Value], pushed: bytes | None) -> None:
        """Call a command and show its result.

        Args:
            name: The command.
            arguments: Byte strings, and lists of nodes, by name.
            pushed: The content of a file to push; None pushes nothing.

        Raises:
            ToolError: The call failed.
        """
        shown = name.decode("utf-8", "backslashreplace")
        if pushed is not None:
            content = self._ask(name, _encoded(arguments), pushed)
            self._server.transcript.say(f"response: {over_lines(content)}")
            return
        command = _COMMANDS.get(name)
        if command is None and name != b"capabilities":
            raise ScriptError(
                f"cannot call command {shown}: method of same name not available on peer",
                f"httprequest GET ?cmd={shown} sends it and shows its answer",
            )
        if command is None:
            result: object = set(self._capabilities)
        else:
            if arguments.keys() != command.arguments:
                wanted = b" ".join(sorted(command.arguments)).decode() or "none"
                raise ScriptError(f"wire protocol command {shown} takes these arguments: {wanted}")
            result = self._result(name, command, _encoded(arguments))
        self._server.transcript.say(f"response: {over_lines(result)}")

    def _result(self, name: bytes, command: _Command, arguments: Mapping[bytes, bytes]) -> object:
        transcript = self._server.transcript
        shown = b":".join(arguments[one] for one in command.announced)
        subject = shown.decode("utf-8", "backslashreplace")
        if command.announced:
            transcript.debug(f'preparing {name.decode()} for "{subject}"')
        content = self._ask(name, arguments, b"" if command.writes else None)
        if command.announced and not command.writes:
            transcript.debug(f'received listkey for "{subject}": {len(content)} bytes')
        return _decoded(name, command, content)

    def batch(self, calls: Sequence[tuple[bytes, Mapping[bytes, Value]]]) -> None:
        """Call commands in one request, and show their results as they are.

        Raises:
            ToolError: The call failed.
        """
        transcript = self._server.transcript
        transcript.say(f"sending batch with {len(calls)} sub-commands")
        parts = [
            name + b" " + b",".join(b"%b=%b" % item for item in _escaped(arguments).items())
            for name, arguments in calls
        ]
        content = self._ask(b"batch", {b"cmds": b";".join(parts)}, None)
        for number, result in enumerate(content.split(b";")):
            transcript.say(f"response #{number}: {escape(_unescaped(result))}")

    def _ask(self, name: bytes, arguments: Mapping[bytes, bytes], body: bytes | None) -> bytes:
        self._server.transcript.debug(f"sending {name.decode('utf-8', 'backslashreplace')} command")
        if body is not None:
            self._server.transcript.debug(f"sending {len(body)} bytes")
        target = self._server.address.path + b"?cmd=" + quote_plus(name).encode()
        text = b"&".join(
            b"%b=%b" % (quote_plus(key).encode(), quote_plus(value).encode())
            for key, value in sorted(arguments.items())
        )
        headers: dict[bytes, bytes] = {}
        size = self._header_size()
        if size:
            values = [text[start : start + size] for start in range(0, len(text), size)]
            headers = {b"X-HgArg-%d" % number: value for number, value in enumerate(values, 1)}
        elif text:
            target += b"&" + text
        if any(one.startswith(b"httpmediatype=") for one in self._capabilities):
            headers[b"X-HgProto-1"] = _PROTOCOL
        sent = {key.lower(): value for key, value in headers.items()}
        if headers:
            sent[b"vary"] = b",".join(headers)
        if body is not None:
            sent[b"content-type"] = b"application/mercurial-0.1"
        request = Request(
            method=b"GET" if body is None else b"POST",
            target=target,
            headers=sent,
            body=body,
            accept=ACCEPT,
        )
        return self._server.ask_version1(request)[1]

    def _header_size(self) -> int:
        """Return how many bytes of arguments one header holds; 0 is none, the query has them."""
        for one in self._capabilities:
            found = re.fullmatch(rb"httpheader=([0-9]{1,6})(,.*)?", one)
            if found is not None and int(found[1]) >= _SMALLEST_HEADER:
                return int(found[1]) - _HEADER_NAME
        return 0


def _encoded(arguments: Mapping[bytes, Value]) -> dict[bytes, bytes]:
    """Return arguments as version 1 has them: nodes in hexadecimal, everything else as it is."""
    encoded: dict[bytes, bytes] = {}
    for name, value in arguments.items():
        if isinstance(value, list):
            nodes = [one for one in value if isinstance(one, bytes)]
            if len(nodes) == len(value):
                encoded[name] = b" ".join(map(hexlify, nodes))
                continue
        if not isinstance(value, bytes):
            shown = name.decode("utf-8", "backslashreplace")
            raise ScriptError(f"argument {shown} of version 1 must be bytes or a list of nodes")
        encoded[name] = value
    return encoded


def _escaped(arguments: Mapping[bytes, Value]) -> dict[bytes, bytes]:
    def escaped(text: bytes) -> bytes:
        return re.sub(rb"[:,;=]", lambda found: _ESCAPES[found[0]], text)

    return {escaped(key): escaped(value) for key, value in _encoded(arguments).items()}


def _unescaped(text: bytes) -> bytes:
    letters = {after: before for before, after in _ESCAPES.items()}
    return re.sub(rb":[cose]", lambda found: letters[found[0]], text)


# --- results ---------------------------------------------------------------------------------


def _decoded(name: bytes, command: _Command, content: bytes) -> object:
    try:
        return command.decode(content)
    except (ValueError, IndexError):
        shown = content[:200].decode("utf-8", "backslashreplace")
        raise ToolError(f"unexpected response to {name.decode()}: {shown}") from None


def _nodes(content: bytes) -> list[bytes]:
    return [unhexlify(one) for one in content.split()]


def _found(content: bytes) -> bytes:
    success, _, rest = content.removesuffix(b"\n").partition(b" ")
    if success != b"1":
        raise ToolError(rest.decode("utf-8", "backslashreplace"))
    return unhexlify(rest)


def _branches(content: bytes) -> dict[bytes, list[bytes]]:
    lines = [line.split(b" ") for line in content.splitlines()]
    return {
        unquote_to_bytes(name): [unhexlify(one) for one in heads] for name, *heads in lines if heads
    }


def _keys(content: bytes) -> dict[bytes, bytes]:
    pairs = [line.split(b"\t", 1) for line in content.splitlines()]
    return {pair[0]: pair[1] for pair in pairs}


_COMMANDS: Final[Mapping[bytes, _Command]] = {
    b"branchmap": _Command(decode=_branches),
    b"heads": _Command(decode=_nodes),
    b"known": _Command(
        arguments=frozenset({b"nodes"}), decode=lambda content: [one == ord("1") for one in content]
    ),
    b"listkeys": _Command(
        arguments=frozenset({b"namespace"}), decode=_keys, announced=(b"namespace",)
    ),
    b"lookup": _Command(arguments=frozenset({b"key"}), decode=_found),
    b"pushkey": _Command(
        arguments=frozenset({b"namespace", b"key", b"old", b"new"}),
        decode=lambda content: bool(int(content.split(b"\n")[0])),
        writes=True,
        announced=(b"namespace", b"key"),
    ),
}
"""The commands whose results Mercurial's tool shows as values, `capabilities` besides."""
