"""A real `twistd wiredaemon` for tests, its repository, and a client that hides no byte.

Owns the life of one server process on loopback ports the system chose, and raw HTTP over sockets:
exactly these bytes go out, exactly these came in. Nothing here waits by sleeping: a start, a log
line and a response are each waited for until they arrive or a deadline passes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

ROOT: Final = Path(__file__).resolve().parents[2]
"""The project's folder."""

DUMMY_COMMANDS: Final = ROOT / "conf" / "examples" / "dummycommands.py"
"""The seeds' `customreadonly` and `customreadwrite`, for `[commands] load`."""

LOOPBACK: Final = "127.0.0.1"
ANY_PORT: Final = f"tcp:0:interface={LOOPBACK}"
"""A Twisted endpoint string: loopback, a port the system chooses."""

DEADLINE: Final = 60.0
"""Seconds for a start, a stop or a log line before the test fails."""

SOCKET_DEADLINE: Final = 20.0
"""Seconds for one connect, read or write of a socket before the test fails."""

READY: Final = re.compile(r"wiredaemon is ready")
LISTENING: Final = re.compile(
    r"\b(?P<name>[a-z_]+) listening on [a-z+]+://(?P<address>[^/\s]+):(?P<port>\d+)"
)


class DaemonError(Exception):
    """The daemon did not do what was waited for; the text ends with all it has logged."""


def environment() -> dict[str, str]:
    """This process's environment for subprocesses: the project importable, no one's own hgrc."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "HGPLAIN": "1",
        "HGRCPATH": "",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
    }


# Repositories


def run_hg(*arguments: str, folder: Path) -> bytes:
    """What one `hg` command prints, run by the installed `mercurial` package.

    Raises:
        subprocess.CalledProcessError: It ended with an error; its `output` holds the text.
    """
    finished = subprocess.run(
        [sys.executable, "-m", "mercurial", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=True,
    )
    return finished.stdout


def make_repository(folder: Path) -> Path:
    """Make an empty Mercurial repository in a folder that does not exist, and give the folder."""
    run_hg("init", str(folder), folder=folder.parent)
    return folder


def write_hgrc(repository: Path, text: str) -> None:
    """Put a new hgrc in the place of the old one in one step, as an editor does.

    The new file has another inode than the one it replaces, so that the daemon sees the change
    even within one tick of the file system's clock.
    """
    new = repository / ".hg" / "hgrc.new"
    new.write_text(text, encoding="utf-8")
    new.replace(repository / ".hg" / "hgrc")


# Configuration


def configuration(
    *,
    data: Path,
    repository: Path | None = None,
    framings: Mapping[str, Sequence[str]],
    listen: Iterable[str] = ("http",),
    load: Iterable[Path] = (DUMMY_COMMANDS,),
    more: str = "",
) -> str:
    """The text of a configuration whose `[api]` switches are off, so that an hgrc decides.

    Args:
        data: The data folder.
        repository: What `/` serves; `None` for a daemon without repositories.
        framings: `[api.framings]`: framings of each API, in order.
        listen: Names of the listeners that are on, each on a loopback port the system chooses;
            the others are off.
        load: Files of `[commands] load`.
        more: Further tables, put at the end as they are.
    """
    listeners = set(listen)
    lines = ["[data]", f"folder = {_toml(str(data))}", "[listen]"]
    lines += [
        f"{name} = {_toml([ANY_PORT] if name in listeners else [])}"
        for name in ("http", "https", "framed", "framed_tls")
    ]
    lines += ["[api]", "enabled = false", "http_v2 = false", "debugreflect = false"]
    lines.append("[api.framings]")
    lines += [f"{_toml(api)} = {_toml(list(names))}" for api, names in framings.items()]
    lines += ["[paths]"] + ([f'"/" = {_toml(str(repository))}'] if repository else [])
    lines += ["[commands]", f"load = {_toml([str(path) for path in load])}"]
    return "\n".join([*lines, more, ""])


def _toml(value: str | list[str]) -> str:
    # JSON's strings and lists of strings are TOML's too, but for DEL, which no path here has.
    return json.dumps(value)


# The process


class Daemon:
    """A running `twistd wiredaemon`; made by `Daemon.start`, ended by `stop` or by `with`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Follow a process that was just started; `start` is the way to get one.

        Args:
            process: Its standard output and error are one text pipe.
        """
        self._process = process
        self._grown = threading.Condition()
        self._log: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._follow, name="daemon log", daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, configuration: str, folder: Path, *, deadline: float = DEADLINE) -> Self:
        """Start a daemon and wait until it is ready.

        Args:
            configuration: The text of its configuration, whose listeners use `ANY_PORT`.
            folder: Where the configuration is written, and where the process runs; it exists.
            deadline: Seconds until the log must say that it is ready.

        Raises:
            DaemonError: It ended or was not ready in time; the process is gone.
        """
        file = folder / "wiredaemon.toml"
        file.write_text(configuration, encoding="utf-8")
        twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
        if twistd is None:
            raise DaemonError(f"no twistd in {sysconfig.get_path('scripts')}")
        daemon = cls(
            subprocess.Popen(
                [twistd, "--nodaemon", "--pidfile=", "wiredaemon", "--config", str(file)],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
            )
        )
        try:
            daemon.wait_for_log(READY, deadline=deadline)
        except BaseException:
            daemon.stop()
            raise
        return daemon

    def __enter__(self) -> Self:
        """Give the daemon, which `start` has made ready."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the daemon; with an error on its way out, add its log to it."""
        self.stop()
        if error is not None:
            error.add_note(f"the daemon's log:\n{self.log}")

    @property
    def pid(self) -> int:
        """The process id of the daemon itself; its workers are its children."""
        return self._process.pid

    @property
    def log(self) -> str:
        """All it has logged so far."""
        with self._grown:
            return "".join(self._log)

    @property
    def exit_code(self) -> int | None:
        """As of `subprocess`: `None` while it runs, negative for the signal that ended it."""
        return self._process.poll()

    def ports(self, name: str) -> list[int]:
        """The ports of one kind of listener (`http`, `https`, `framed`, ...), as logged."""
        return [
            int(found["port"]) for found in LISTENING.finditer(self.log) if found["name"] == name
        ]

    def port(self, name: str = "http") -> int:
        """The port of the one listener of a kind.

        Raises:
            DaemonError: There is none, or more than one.
        """
        ports = self.ports(name)
        if len(ports) != 1:
            raise self._error(f"the log names {ports} as the ports of {name}")
        return ports[0]

    def wait_for_log(
        self, pattern: str | re.Pattern[str], *, after: int = 0, deadline: float = DEADLINE
    ) -> re.Match[str]:
        """Wait until a line of the log matches, and give the match.

        Args:
            pattern: Searched for in each line.
            after: How many lines to leave out: `lines_logged()` of an earlier moment.
            deadline: Seconds until the line must have come.

        Raises:
            DaemonError: The daemon ended, or the deadline passed.
        """
        end = time.monotonic() + deadline
        with self._grown:
            while True:
                for line in self._log[after:]:
                    match = re.search(pattern, line)
                    if match is not None:
                        return match
                after = max(after, len(self._log))
                if self._ended:
                    raise self._error(f"the daemon ended before it logged {pattern!r}")
                if not self._grown.wait(end - time.monotonic()):
                    raise self._error(f"in {deadline} s the daemon did not log {pattern!r}")

    def lines_logged(self) -> int:
        """The number of lines in the log so far, for `wait_for_log`."""
        with self._grown:
            return len(self._log)

    def connect(self, name: str = "http", *, tls: ssl.SSLContext | None = None) -> RawConnection:
        """Connect to the one listener of a kind.

        Args:
            name: The kind of listener.
            tls: As `trusting` gives it, for `https` and `framed_tls`.
        """
        return RawConnection(self.port(name), tls=tls)

    def stop(self, *, deadline: float = DEADLINE) -> int:
        """End the process as an operator would, wait for it and give its exit code.

        May be called again, and after the process has ended by itself.

        Raises:
            DaemonError: It did not end in time and was killed.
        """
        late = False
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            late = True
            self._process.kill()
            self._process.wait()
        self._reader.join(deadline)
        if late:
            raise self._error(f"the daemon did not end within {deadline} s and was killed")
        if self._reader.is_alive():
            raise self._error("the daemon has ended, but someone holds its standard output")
        return self._process.returncode

    def _follow(self) -> None:
        output = self._process.stdout
        if output is not None:
            with output:
                for line in output:
                    with self._grown:
                        self._log.append(line)
                        self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def _error(self, what: str) -> DaemonError:
        return DaemonError(f"{what}; its log:\n{self.log}")


# Raw HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """One HTTP response, as cut by the server."""

    status_line: bytes
    """The whole line, without its line end."""

    headers: list[tuple[bytes, bytes]]
    """Names as spelled and values with their white space, in the order received."""

    chunks: list[bytes] | None
    """The data of each HTTP chunk but the empty last one; `None` if the body is not chunked."""

    body: bytes
    """The body, or the chunks joined."""

    wire: bytes = field(repr=False)
    """Every byte of the response."""

    @property
    def status(self) -> int:
        """The number in the status line."""
        return int(self.status_line.split(b" ")[1])

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, without the white space around it, or `None`."""
        wanted = name.lower()
        values = (value.strip() for key, value in self.headers if key.lower() == wanted)
        return next(values, None)

    def wire_without(self, names: Iterable[bytes]) -> bytes:
        """Every byte of the response but the first line of each header named, case-sensitively."""
        head, end, body = self.wire.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for name in names:
            stamped = [line for line in lines if line.startswith(name + b": ")]
            for line in stamped[:1]:
                lines.remove(line)
        return b"\r\n".join(lines) + end + body


class RawConnection:
    """One connection to a port on loopback; everything is sent and read as it is."""

    def __init__(
        self, port: int, *, tls: ssl.SSLContext | None = None, deadline: float = SOCKET_DEADLINE
    ) -> None:
        """Connect, and with `tls` shake hands.

        Args:
            port: On the loopback address.
            tls: As `trusting` gives it; `None` for plain TCP.
            deadline: Seconds for the connect and each later read or write.
        """
        self.authority = f"{LOOPBACK}:{port}"
        """What belongs in the `Host` header."""
        plain = socket.create_connection((LOOPBACK, port), timeout=deadline)
        try:
            self.socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=LOOPBACK)
        except BaseException:
            plain.close()
            raise
        self._unread = bytearray()

    def __enter__(self) -> Self:
        """Give the connection, which is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection without any farewell of HTTP."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self.socket.sendall(data)

    def end_input(self) -> None:
        """Tell the server that nothing more will be sent (not with TLS)."""
        self.socket.shutdown(socket.SHUT_WR)

    def exchange(self, request: bytes) -> RawResponse:
        """Send a whole request and give its response.

        The request's method decides whether the response may have a body.
        """
        self.send(request)
        return self.receive_response(has_body=not request.startswith(b"HEAD "))

    def receive_response(self, *, has_body: bool = True) -> RawResponse:
        """Read one response and not a byte more of the stream than is its own.

        An interim response (`100 Continue`) is a response by itself. Without chunks and without a
        length the body lasts until the server closes.

        Args:
            has_body: `False` for the response to a HEAD request.

        Raises:
            EOFError: The server closed in the middle, or at once; the text shows what came.
            TimeoutError: A read took longer than the deadline.
            ValueError: This is not HTTP.
        """
        wire = bytearray()
        status_line = self._line(wire)
        headers = []
        while line := self._line(wire):
            name, colon, value = line.partition(b":")
            if not colon:
                raise ValueError(f"not a header: {line!r}")
            headers.append((name, value.removeprefix(b" ")))
        status = int(status_line.split(b" ")[1])
        fields = {name.lower(): value.strip() for name, value in headers}
        chunks = None
        if not has_body or status < 200 or status in {204, 304}:
            body = b""
        elif fields.get(b"transfer-encoding") == b"chunked":
            chunks = self._chunks(wire)
            body = b"".join(chunks)
        elif b"content-length" in fields:
            body = self._exactly(int(fields[b"content-length"]), wire)
        else:
            body = self.receive_to_end()
            wire += body
        return RawResponse(
            status_line=status_line, headers=headers, chunks=chunks, body=body, wire=bytes(wire)
        )

    def receive_exactly(self, count: int) -> bytes:
        """Read so many bytes.

        Raises:
            EOFError: The server closed before.
        """
        return self._exactly(count, bytearray())

    def receive_to_end(self) -> bytes:
        """Read all that comes until the server closes."""
        while self._receive_more():
            pass
        rest = bytes(self._unread)
        self._unread.clear()
        return rest

    def unread(self) -> bytes:
        """What has been received behind the last response; more may be on its way."""
        return bytes(self._unread)

    def _receive_more(self) -> bool:
        data = self.socket.recv(65536)
        self._unread += data
        return bool(data)

    def _take(self, count: int, wire: bytearray) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        wire += taken
        return taken

    def _line(self, wire: bytearray) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            self._receive_or_fail(wire)
        return self._take(end + 2, wire)[:-2]

    def _exactly(self, count: int, wire: bytearray) -> bytes:
        while len(self._unread) < count:
            self._receive_or_fail(wire)
        return self._take(count, wire)

    def _receive_or_fail(self, wire: bytearray) -> None:
        if not self._receive_more():
            raise EOFError(f"the server closed after {bytes(wire + self._unread)!r}")

    def _chunks(self, wire: bytearray) -> list[bytes]:
        chunks = []
        while size := int(self._line(wire), 16):
            chunks.append(self._exactly(size, wire))
            if self._line(wire):
                raise ValueError(f"a chunk of {size} bytes is longer than that")
        while self._line(wire):  # trailers, which no one here expects, are in `wire`
            pass
        return chunks


def trusting(certificate: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts one certificate alone, or with `None` whatever it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certificate)
    return context


def post(target: str, authority: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a POST request with `Host`, these headers and the length of its body."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def frame(
    request_id: int, stream_id: int, stream_flags: int, type_number: int, flags: int, payload: bytes
) -> bytes:
    """The bytes of one frame, built from numbers alone: no code of the daemon's is involved.

    Eight octets go before the payload: its length in 24 bits, the request id in 16 (both little
    endian), the stream id, the stream flags, and type and flags in four bits each. Source:
    framing.md 2.
    """
    return (
        len(payload).to_bytes(3, "little")
        + request_id.to_bytes(2, "little")
        + bytes([stream_id, stream_flags, type_number << 4 | flags])
        + payload
    )
