"""The transcripts the project was asked for, as values: which hgrc, which request, which response.

Owns the grammar of the two files in `transcripts/`: lines of a Mercurial test (`$` commands, `>`
continuations, output, sentences in between) around the `s>` lines of the debug client tool. Leaves
sockets and daemons to `support.daemon`.

Nothing is skipped silently. A command that is not known, a line that does not fit its place, a
request that its own script would not have sent, a body shorter or longer than announced: each is a
`TranscriptError` that names the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FOLDER: Final = Path(__file__).parent / "transcripts"

AUTHORITY: Final = b"$LOCALIP:$HGPORT"
"""What stands in the `host` header of a recorded request for the server's address."""

STAMPED_HEADERS: Final = (b"Server", b"Date")
"""The headers every response begins with, whose values no transcript can know."""

ENABLE_HTTP_V2: Final = "[experimental]\nweb.api.http-v2 = true\n"
"""What the first seed's `enablehttpv2` appends to an hgrc."""

HEADER_LINE: Final = re.compile(r"([A-Za-z0-9_-]+): (.*)")
SCRIPT_END: Final = "EOF"
SERVER_HGRC: Final = "cat > server/.hg/hgrc << EOF"

WITHOUT_EFFECT: Final = re.compile(
    r"""
    \.\ \$TESTDIR/wireprotohelpers\.sh      # defines the tools this module knows by name
    | enabledummycommands                   # conf/examples/dummycommands.py, for both seeds
    | cat\ >\ dummycommands\.py\ <<\ EOF
    | cat\ >>\ \$HGRCPATH\ <<\ EOF
    | send\(\)\ \{
    | hg\ init\ server                      # every daemon of these tests has its own repository
    | killdaemons\.py
    | cat\ hg\.pid\ >\ \$DAEMON_PIDS
    | cat\ error\.log
    """,
    re.VERBOSE,
)
"""Commands that change neither the server's hgrc nor what is on the wire."""


class TranscriptError(ValueError):
    """A transcript does not read as it should; the text begins with the line number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the server answered, `Server` and `Date` left out."""

    status_line: bytes
    """The whole line, without its line end: `HTTP/1.1 403 ssl required`."""

    headers: tuple[tuple[bytes, bytes], ...]
    """Names as spelled and values, in the order sent."""

    chunks: tuple[bytes, ...] | None
    """The data of each HTTP chunk but the empty last one; `None` for a body of fixed length."""

    body: bytes
    """The body of fixed length, or the chunks joined."""

    @property
    def wire(self) -> bytes:
        """All of it as it was on the wire, to the last byte."""
        head = [self.status_line, *(b"%b: %b" % header for header in self.headers), b"", b""]
        if self.chunks is None:
            return b"\r\n".join(head) + self.body
        chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in self.chunks]
        return b"\r\n".join(head) + b"".join(chunks) + b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The server was started, for the first time or again."""

    hgrc: str
    """What the repository's hgrc held at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its response."""

    sentences: tuple[str, ...]
    """What the seed says just before; of an exchange without words, what it said last."""

    variant: str
    """Empty, or what tells this exchange from the one before it with the same sentences."""

    hgrc: str
    """What the repository's hgrc held when the server was started last."""

    recorded_request: bytes
    """The request, with `AUTHORITY` in its `host` header."""

    response: Response

    script: str
    """What the tool was given on its standard input, variables filled in."""

    shown: tuple[str, ...]
    """All that the tool has printed, line by line as it stands, wildcards included."""

    is_raw: bool
    """Sent without a peer, not through one of version 2."""

    line: int
    """The number of the line that runs the tool."""

    @property
    def slug(self) -> str:
        """The seed's words in lower case with dashes, fit for the name of a test."""
        words = re.findall(r"[a-z0-9]+", " ".join((*self.sentences, self.variant)).lower())
        return "-".join(words)

    def request(self, authority: str) -> bytes:
        """The request as it is sent to one server.

        Args:
            authority: Address and port, as in `127.0.0.1:8000`.
        """
        return self.recorded_request.replace(AUTHORITY, authority.encode("ascii"), 1)


Step: TypeAlias = Restart | Exchange


def load(dialect: str) -> tuple[Step, ...]:
    """The steps of the seed in one dialect, `0002` or `0003`."""
    text = (FOLDER / f"{dialect}.txt").read_bytes().decode("ascii")
    # The first seed has these from a helper script, the second one sets them itself.
    variables = {
        "HTTPV2": "exp-http-v2-0001",
        "MEDIATYPE": f"application/mercurial-exp-framing-{dialect}",
    }
    return parse(text, variables)


def exchanges(steps: Sequence[Step]) -> tuple[Exchange, ...]:
    """The exchanges among the steps of a seed, in their order."""
    return tuple(step for step in steps if isinstance(step, Exchange))


def parse(text: str, variables: Mapping[str, str] | None = None) -> tuple[Step, ...]:
    """What a transcript says happened.

    Args:
        text: The transcript; its lines end in a line feed alone, and white space at the end of a
            line counts.
        variables: Shell variables known before the first line.

    Raises:
        TranscriptError: A line does not read as it should.
    """
    return _Session(text, variables or {}).steps()


def unescape(shown: str) -> bytes:
    r"""The bytes behind the text of an `s>` line.

    Serves both ways of escaping: the first seed shows TAB and `'` as `\t` and `\'`, the second
    one shows both as they are. Source: client-tool, section 3.2.

    Raises:
        ValueError: An escape is not one of the tool's.
    """
    return re.sub(r"\\(x[0-9a-f]{2}|.?)", _unescaped, shown, flags=re.DOTALL).encode("latin-1")


_ESCAPES: Final = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t", "'": "'"}


def _unescaped(escape: re.Match[str]) -> str:
    letter = escape[1]
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.startswith("x") and len(letter) == len("x00"):
        return chr(int(letter[1:], 16))
    raise ValueError(f"unknown escape {escape[0]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of output."""

    number: int
    text: str

    def fault(self, what: str) -> TranscriptError:
        return TranscriptError(f"line {self.number}: {what}: {self.text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """One `s>` line of data."""

    line: _Line
    data: bytes
    """What was sent or received; of a line with a wildcard, the pattern."""

    wildcard: bool
    """Whether the data is a pattern whose `*` stands for anything."""


class _Session:
    """Reads a transcript once, from its first line to its last."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._lines = [
            _Line(number=number, text=line) for number, line in enumerate(text.split("\n"), 1)
        ]
        self._next = 0
        self._variables = dict(variables)
        self._sentences: list[str] = []
        self._said_last: tuple[str, ...] = ()
        self._hgrc = ""
        self._served = ""
        self._steps: list[Step] = []

    def steps(self) -> tuple[Step, ...]:
        while self._next < len(self._lines):
            line = self._take()
            if line.text.startswith("  $ "):
                self._run(line)
            elif line.text.startswith("  "):
                raise line.fault("output of no command")
            elif line.text:
                self._sentences.append(line.text)
        return tuple(self._steps)

    def _take(self) -> _Line:
        line = self._lines[self._next]
        self._next += 1
        return line

    def _take_while(self, fits: Callable[[str], bool]) -> list[_Line]:
        taken = []
        while self._next < len(self._lines) and fits(self._lines[self._next].text):
            taken.append(self._take())
        return taken

    def _run(self, line: _Line) -> None:
        command = line.text.removeprefix("  $ ")
        script = [
            continuation.text.removeprefix("  > ")
            for continuation in self._take_while(lambda text: text.startswith("  > "))
        ]
        output = self._take_while(lambda text: text.startswith("  ") and text[2:4] != "$ ")
        if command.endswith("<< EOF") and SCRIPT_END not in script[-1:]:
            raise line.fault(f"no {SCRIPT_END} ends the script")
        if command in {"send << EOF", "sendhttpraw << EOF"}:
            self._exchange(line, script[:-1], output, raw=True)
        elif command == "sendhttpv2peer << EOF":
            self._exchange(line, script[:-1], output, raw=False)
        elif output:
            raise output[0].fault("output of a command that has none")
        else:
            self._change(line, command, script[:-1])
            self._sentences.clear()

    def _change(self, line: _Line, command: str, script: Sequence[str]) -> None:
        assignment = re.fullmatch(r"([A-Z0-9_]+)=(\S+)", command)
        if assignment is not None:
            self._variables[assignment[1]] = assignment[2]
        elif command == SERVER_HGRC:
            self._hgrc = "".join(f"{text}\n" for text in script)
        elif command == "enablehttpv2 server":
            self._hgrc += ENABLE_HTTP_V2
        elif command.startswith("hg -R server serve "):
            self._served = self._hgrc
            self._steps.append(Restart(hgrc=self._served))
        elif not WITHOUT_EFFECT.fullmatch(command):
            raise line.fault("unknown command")

    def _exchange(
        self, command: _Line, script: Sequence[str], output: Sequence[_Line], *, raw: bool
    ) -> None:
        variant = ""
        if self._sentences:
            self._said_last = tuple(self._sentences)
            self._sentences.clear()
        else:
            variant = f"line {command.number}" if raw else "through a version 2 peer"
        sent, received = _halves(command, output)
        substituted = [self._substitute(text) for text in script]
        planned = _planned_head(substituted) if raw else None
        self._steps.append(
            Exchange(
                sentences=self._said_last,
                variant=variant,
                hgrc=self._served,
                recorded_request=_request(sent, planned),
                response=_response(received),
                script="".join(f"{text}\n" for text in substituted),
                shown=tuple(line.text.removeprefix("  ") for line in output),
                is_raw=raw,
                line=command.number,
            )
        )

    def _substitute(self, text: str) -> str:
        return re.sub(r"\$([A-Z0-9_]+)", lambda name: self._variables.get(name[1], name[0]), text)


def _halves(command: _Line, output: Sequence[_Line]) -> tuple[list[_Data], list[_Data]]:
    """The data before and after the tool turned from sending to receiving."""
    sent: list[_Data] = []
    received: list[_Data] = []
    turned = False
    for line in output:
        text = line.text.removeprefix("  ")
        if text == "s> makefile('rb', None)" and not turned:
            turned = True
        elif text.startswith("s>     "):
            (received if turned else sent).append(_data(line, text.removeprefix("s>     ")))
        elif not re.match(
            r"using raw connection to peer$|creating http peer for wire protocol version 2$"
            r"|sending \w+ command$|received frame\(.*\)$|response: ",
            text,
        ):
            raise line.fault("not a line of the debug client tool")
    if not turned:
        raise command.fault("no response is read")
    return sent, received


def _data(line: _Line, shown: str) -> _Data:
    pattern = shown.removesuffix(" (glob)")
    try:
        data = unescape(pattern)
    except ValueError as error:
        raise line.fault(str(error)) from None
    # The host line is marked too, but what stands in it are variables and not a wildcard.
    return _Data(line=line, data=data, wildcard=pattern != shown and "*" in pattern)


def _planned_head(script: Sequence[str]) -> list[bytes]:
    """The head that a script makes the tool send in raw mode, `content-length` without its value.

    Source: client-tool, sections 2.1 and 3.4.
    """
    action, *arguments = script
    _, method, path = action.split(" ")
    headers: dict[str, str] = {}
    frames = 0
    for argument in arguments:
        header = HEADER_LINE.fullmatch(argument.strip())
        if header is not None:
            headers[header[1].lower()] = header[2]
        elif argument.strip().startswith("frame "):
            frames += 1
        else:
            raise TranscriptError(f"unknown argument to httprequest: {argument}")
    lines = [f"{method} /{path} HTTP/1.1", "Accept-Encoding: identity"]
    lines += [f"{name}: {headers[name]}" for name in sorted(headers)]
    lines += ["content-length: "] * bool(frames)
    lines += [f"host: {AUTHORITY.decode('ascii')}"]
    return [line.encode("ascii") for line in lines]


def _request(sent: Sequence[_Data], planned: Sequence[bytes] | None) -> bytes:
    """The request as sent, its wildcards filled in from what the script planned."""
    end = next((index for index, piece in enumerate(sent) if piece.data == b"\r\n"), None)
    if end is None:
        raise TranscriptError("a request has no end of its head")
    body = b"".join(_exact(piece) for piece in sent[end + 1 :])
    if planned is None:
        lines = [_exact(piece).removesuffix(b"\r\n") for piece in sent[:end]]
    else:
        length = b"content-length: "
        lines = [line + b"%d" % len(body) if line == length else line for line in planned]
        if len(lines) != end:
            raise sent[0].line.fault("the script would send another number of headers")
        for piece, line in zip(sent, lines, strict=False):
            if piece.wildcard:
                fits = re.fullmatch(re.escape(piece.data).replace(rb"\*", rb".*"), line + b"\r\n")
            else:
                fits = re.fullmatch(re.escape(piece.data), line + b"\r\n")
            if fits is None:
                raise piece.line.fault(f"the script would send {line!r}")
    _check_announced_length(sent[0].line, lines, body)
    return b"\r\n".join([*lines, b"", body])


def _check_announced_length(line: _Line, head: Sequence[bytes], body: bytes) -> None:
    announced = [header for header in head if header.lower().startswith(b"content-length: ")]
    if announced and announced != [announced[0][: len("content-length: ")] + b"%d" % len(body)]:
        raise line.fault(f"a body of {len(body)} bytes follows {announced}")
    if body and not announced:
        raise line.fault("a body without content-length follows")


def _exact(piece: _Data) -> bytes:
    if piece.wildcard:
        raise piece.line.fault("a wildcard cannot be filled in here")
    return piece.data


def _response(received: Sequence[_Data]) -> Response:
    """The response, checked to begin with the stamped headers."""
    end = next((index for index, piece in enumerate(received) if piece.data == b"\r\n"), None)
    if end is None:
        raise TranscriptError("a response has no end of its head")
    first = received[0].line
    status_line, *lines = [_exact(piece).removesuffix(b"\r\n") for piece in received[:end]]
    headers = []
    for line in lines:
        name, _, value = line.partition(b": ")
        headers.append((name, value))
    if tuple(name for name, _ in headers[: len(STAMPED_HEADERS)]) != STAMPED_HEADERS:
        raise first.fault("the response does not begin with Server and Date")
    chunked = (b"Transfer-Encoding", b"chunked") in headers
    chunks = _chunks(received[end + 1 :]) if chunked else None
    body = b"".join(_exact(piece) for piece in received[end + 1 :] if chunks is None)
    if chunks is None:
        _check_announced_length(first, lines, body)
    return Response(
        status_line=status_line,
        headers=tuple(headers[len(STAMPED_HEADERS) :]),
        chunks=chunks,
        body=body if chunks is None else b"".join(chunks),
    )


def _chunks(pieces: Sequence[_Data]) -> tuple[bytes, ...]:
    """The data of each chunk; a size that is a wildcard is that of the data that follows.

    Data that is itself an empty line cannot be told from the end of a chunk of unknown size, so
    only a chunk of known size may hold one.
    """
    chunks = []
    remaining = list(pieces)
    while remaining:
        size = remaining.pop(0)
        wanted = None if size.wildcard else _size(size)
        data = b""
        while remaining and not (
            remaining[0].data == b"\r\n" and (wanted is None or len(data) >= wanted)
        ):
            data += _exact(remaining.pop(0))
        if not remaining or (wanted is not None and len(data) != wanted):
            raise size.line.fault(f"a chunk of {len(data)} bytes follows")
        remaining.pop(0)
        if not data:
            break
        chunks.append(data)
    else:
        raise TranscriptError("a chunked response has no last chunk")
    if remaining:
        raise remaining[0].line.fault("data after the last chunk")
    return tuple(chunks)


def _size(piece: _Data) -> int:
    # "Chunk size is lower-case hex without padding" (http, section 1).
    if re.fullmatch(rb"(?:0|[1-9a-f][0-9a-f]*)\r\n", piece.data) is None:
        raise piece.line.fault("not the size of a chunk")
    return int(piece.data, 16)
