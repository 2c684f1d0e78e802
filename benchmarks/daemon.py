"""The real daemon with every kind of listener, and the kernel's figures of its process."""

from __future__ import annotations

import json
import re
import ssl
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cpu import (
    cpu_seconds,
    memory_of,
    own_private_memory,
    private_memory,
    reset_peak,
)
from benchmarks.errors import BenchmarkError
from benchmarks.frames import ERROR_RESPONSE, Frames, whole_request
from benchmarks.load import connect, receive
from benchmarks.processes import ROOT, Program, Servers
from benchmarks.wire import EOS
from benchmarks.worker_memory import resident_memory, worker_pids

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from benchmarks.frames import Value
    from benchmarks.processes import Server

DIALECTS: Final = ("0003", "0006")
"""The dialects of the raw listeners, one each."""
DEADLINE: Final = 60.0
"""The longest wait for anything, in seconds."""

_NOTHING_HOSTED: Final = "[paths]"
_ANY_PORT: Final = "tcp:0:interface=127.0.0.1"
# The system chooses ports: the log says which.
_LISTENING: Final = re.compile(r"\b([a-z_]+) listening on [a-z+]+://[^/\s]+:(\d+)")
_ALARMING: Final = re.compile(r"Traceback|Unhandled|#warn|#error|#critical|[Ww]arning")
_SAMPLE_SECONDS: Final = 0.1
_SAMPLES: Final = 6
"""The number of samples in a row in which nothing may change."""
_IDLE: Final = 0.02
"""The share of a core that still counts as idle."""
_STEADY: Final = 64 * 1024
"""Bytes by which steady memory may differ."""


class Daemon:
    """A running `twistd wiredaemon`; a context manager that ends it."""

    def __init__(self, folder: Path, commands: str, settings: str = _NOTHING_HOSTED) -> None:
        """Start it.

        Args:
            folder: The daemon's folder, which must not exist.
            commands: The name of a module of `benchmarks.servers`.
            settings: Further tables of the configuration, as TOML; `[paths]` is one of them.
        """
        self._servers = Servers(folder)
        file = Path(__file__).with_name("servers") / f"{commands}.py"
        self._server: Server = self._servers.start(_program(file, settings))
        self._folder = folder / "1"
        self.pid = self._server.pid
        ports = _LISTENING.findall(self.log)
        self._ports = {
            name: [int(port) for each, port in ports if each == name] for name, _ in ports
        }
        # Made by the daemon at its start, for lack of another one.
        self.certificate = next(self._folder.rglob("development-certificate.pem"))
        self._tls = ssl.create_default_context(cafile=str(self.certificate))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def connect(self, listener: str, dialect: str) -> socket.socket:
        """Connect to a listener, over TLS if it is a TLS listener."""
        port = self.port(listener, dialect)
        return connect(port, self._tls if listener in {"https", "framed_tls"} else None)

    def port(self, listener: str, dialect: str) -> int:
        """Return the port of a listener."""
        ports = self._ports[listener]
        return ports[DIALECTS.index(dialect)] if listener.startswith("framed") else ports[0]

    @property
    def proxied_port(self) -> int:
        """The port for HTTP where the addresses of clients are those that a proxy names."""
        return self._ports["http"][1]

    @property
    def log(self) -> str:
        """The daemon's log."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="backslashreplace")

    @property
    def alarms(self) -> list[str]:
        """The lines of the log that report a mistake."""
        return [line for line in self.log.splitlines() if _ALARMING.search(line)]

    @property
    def private(self) -> int:
        """Bytes of private memory."""
        return private_memory(self.pid)

    @property
    def own(self) -> int:
        """Bytes of private memory without its workers."""
        return own_private_memory(self.pid)

    @property
    def workers(self) -> list[int]:
        """Bytes of resident memory of each worker."""
        return [resident for pid in worker_pids(self.pid) if (resident := resident_memory(pid))]

    @property
    def resident(self) -> int:
        """Bytes of resident memory, shared pages included."""
        return memory_of(self.pid, "VmRSS")

    @property
    def peak(self) -> int:
        """The most that `resident` was since `reset_peak`."""
        return memory_of(self.pid, "VmHWM")

    def reset_peak(self) -> None:
        """Let `peak` begin with the memory that is resident now."""
        reset_peak(self.pid)

    @property
    def descriptors(self) -> list[str]:
        """The targets of its descriptors, sorted; sockets without their numbers."""
        names = []
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                names.append(re.sub(r"\d+", "", str(entry.readlink())))
            except FileNotFoundError:  # closed meanwhile
                continue
        return sorted(names)

    def settle(self, probe: Callable[[], object] = lambda: None) -> None:
        """Wait until its memory is steady, its processor time stands and a probe returns the same.

        Raises:
            BenchmarkError: It takes too long.
        """
        end = time.monotonic() + DEADLINE
        calm = 0
        probed, memory, used, then = probe(), self.private, cpu_seconds(self.pid), time.monotonic()
        while calm < _SAMPLES:
            if time.monotonic() > end:
                raise BenchmarkError("the daemon does not come to rest")
            time.sleep(_SAMPLE_SECONDS)
            last = probed, memory, used, then
            probed, memory = probe(), self.private
            used, then = cpu_seconds(self.pid), time.monotonic()
            is_calm = (
                probed == last[0]
                and abs(memory - last[1]) <= _STEADY
                and used - last[2] <= _IDLE * (then - last[3])
            )
            # In a row: a timer or the garbage collector may still be due after one calm sample.
            calm = calm + 1 if is_calm else 0


class Control:
    """A connection in dialect 0003 for requests that are not measured, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        """Use a connection that the caller closes."""
        self._connection = connection
        self._frames = Frames()
        self._begins = True

    def ask(self, name: bytes, arguments: Mapping[bytes, Value] | None = None) -> bytes:
        """Run a command and return its raw result.

        Raises:
            BenchmarkError: The command failed.
        """
        request = whole_request(1, name, arguments or {}, begins=self._begins)
        self._begins = False
        self._connection.sendall(request)
        result = b""
        while True:
            for frame in self._frames.feed(receive(self._connection)):
                if frame.kind == ERROR_RESPONSE:
                    raise BenchmarkError(f"{name.decode()} failed: {frame.payload!r}")
                result += frame.payload
                if frame.flags & EOS:
                    return result


def _program(commands: Path, settings: str) -> Program:
    def command(folder: Path) -> Sequence[str]:
        file = folder / "wiredaemon.toml"
        framed = [f"{dialect} {_ANY_PORT}" for dialect in DIALECTS]
        lines = [
            "[data]",
            f"folder = {json.dumps(str(folder / 'data'))}",
            "[listen]",
            f"http = {json.dumps([_ANY_PORT, f'haproxy:{_ANY_PORT}'])}",
            f"https = {json.dumps([_ANY_PORT])}",
            f"framed = {json.dumps(framed)}",
            f"framed_tls = {json.dumps(framed)}",
            "[commands]",
            f"load = {json.dumps([str(commands)])}",
            settings,
        ]
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
        twistd = Path(sysconfig.get_path("scripts"), "twistd")
        return [str(twistd), "--nodaemon", "--pidfile=", "wiredaemon", "--config", str(file)]

    return Program(
        root=ROOT,
        name=f"wiredaemon {commands.stem}",
        command=command,
        port=re.compile(r"http listening on http://[^/\s]+:(\d+)"),
        ready="wiredaemon is ready",
    )
