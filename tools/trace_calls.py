"""Counts the daemon's calls on the way of single requests: ``python -m tools.trace_calls``.

A daemon with one repository and real workers runs in this process. Each request is asked a few
times first, so that settings, workers and heads are known; then the reactor's thread is watched
with `sys.setprofile` until the answer has been sent. Counted is every call of a Python function of
the package, the resumption of a generator or a coroutine included; calls of libraries and of C are
not.

``--functions`` also prints the functions in the order in which they were first called, with how
often each was.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import wiredaemon
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from wiredaemon.daemon.config import Config

PACKAGE: Final = os.path.dirname(os.path.abspath(wiredaemon.__file__)) + os.sep  # noqa: PTH100, PTH120 as code objects spell it
MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"
_TIMEOUT: Final = 30.0
"""Seconds that an answer may take."""
_WARM: Final = 3
"""Times that a request is asked before it is watched."""

Function: TypeAlias = tuple[str, str]
"""The module below the package, and the function's qualified name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The functions that one request called, in the order of their first calls."""

    calls: Counter[Function]

    @property
    def modules(self) -> int:
        """The number of modules that the functions are in."""
        return len({module for module, _ in self.calls})


class Tracer:
    """Counts calls while it is on."""

    def __init__(self) -> None:
        self.calls: Counter[Function] = Counter()

    def start(self) -> None:
        """Watch the thread that this is called in."""
        self.calls.clear()
        sys.setprofile(self._on_event)

    def stop(self) -> Trace:
        """End watching."""
        sys.setprofile(None)
        return Trace(calls=Counter(self.calls))

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            module = code.co_filename[len(PACKAGE) : -len(".py")].replace(os.sep, ".")
            self.calls[module, code.co_qualname] += 1


# --- requests ------------------------------------------------------------------------------------


def frame(name: bytes, arguments: dict[bytes, Any] | None = None) -> bytes:
    """One request in one frame of dialect 0006."""
    content: dict[bytes, Any] = {b"name": name}
    if arguments:
        content[b"args"] = arguments
    payload = cbor.encode(content, KeyOrder.BYTEWISE)
    return len(payload).to_bytes(3, "little") + b"\x01\x00\x01\x01\x11" + payload


class RawPeer:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)

    def ask_heads(self) -> None:
        """Ask for ``heads``, and read until the frame that ends the response."""
        self._socket.sendall(frame(b"heads"))
        answer = b""
        while not answer.endswith(b"\x00\x00\x00\x01\x00\x02\x00\x32"):
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the daemon has closed the connection")
            answer += data


class HttpPeer:
    """One HTTP connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """Send one POST and give the body of the answer."""
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:  # noqa: PLR2004 OK
            raise ConnectionError(f"{path}: {response.status} {answer!r}")
        return answer

    def ask_filesdata(self, node: bytes, fields: list[bytes]) -> None:
        """Ask for the files of one changeset, with these fields."""
        revisions = [{b"type": b"changesetexplicit", b"nodes": [node]}]
        body = frame(b"filesdata", {b"revisions": revisions, b"fields": set(fields)})
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        self.ask("/api/exp-http-v2-0003/ro/filesdata", body, headers)

    def push(self, bundle: bytes) -> None:
        """Push a bundle by version 1."""
        headers = {"Content-Type": "application/mercurial-0.1", "X-HgArg-1": "heads=666f726365"}
        answer = self.ask("/?cmd=unbundle", bundle, headers)
        if not answer.startswith(b"1\n"):
            raise ConnectionError(f"the push failed: {answer!r}")


# --- the repository ------------------------------------------------------------------------------


def hg(folder: Path, *arguments: str) -> bytes:
    """Run the ``hg`` that is installed beside this Python."""
    program = Path(sys.executable).with_name("hg")
    environment = {**os.environ, "HGRCPATH": "", "HGPLAIN": "1"}
    command = [str(program), "-R", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


def commit(folder: Path, name: str) -> bytes:
    """Commit one new file, and return the changeset's node."""
    (folder / name).write_text(f"{name}\n" * 10, encoding="utf-8")
    hg(folder, "commit", "--addremove", "--user", "trace", "--message", name)
    return bytes.fromhex(hg(folder, "log", "-r", ".", "-T", "{node}").decode())


def bundles(folder: Path, count: int) -> list[bytes]:
    """Commit files in turn; return a bundle of each changeset; none of them stays."""
    made: list[bytes] = []
    clone = folder.with_name("clone")
    subprocess.run(
        [str(Path(sys.executable).with_name("hg")), "clone", "-q", str(folder), str(clone)],
        check=True,
        env={**os.environ, "HGRCPATH": ""},
    )
    for number in range(count):
        base = hg(clone, "log", "-r", ".", "-T", "{node}").decode()
        commit(clone, f"pushed-{number}")
        file = clone.with_name(f"{number}.hg")
        hg(clone, "bundle", "-q", "--base", base, "-r", ".", "-t", "none-v1", str(file))
        made.append(file.read_bytes())
    return made


# --- watching ------------------------------------------------------------------------------------


class Watched:
    """A running daemon whose reactor's thread can be watched from another thread."""

    def __init__(self, reactor: Any, ports: dict[str, int], folder: Path) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._tracer = Tracer()
        self.ports = ports
        self.repository = folder

    def trace(self, ask: Callable[[], None]) -> Trace:
        """Ask once, and return what the reactor's thread called meanwhile."""
        from twisted.internet.threads import blockingCallFromThread  # noqa: PLC0415

        call: Any = blockingCallFromThread
        call(self._reactor, self._tracer.start)
        try:
            ask()
        finally:
            trace: Trace = call(self._reactor, self._tracer.stop)
        return trace

    def trace_all(self) -> dict[str, Trace]:
        """Watch each of the requests once, when all that can be known is known."""
        node = commit(self.repository, "first")
        pushes = bundles(self.repository, _WARM + 1)
        raw, web, pushing = (
            RawPeer(self.ports["framed"]),
            HttpPeer(self.ports["http"]),
            HttpPeer(self.ports["http"]),
        )
        for _ in range(_WARM):
            raw.ask_heads()
            # Of the same length as what is asked below, so that its head is known by then.
            web.ask_filesdata(node, [b"revision"])
        traces = {
            "heads, raw TCP": self.trace(raw.ask_heads),
            "filesdata, HTTP, head known, not in the cache": self.trace(
                lambda: web.ask_filesdata(node, [b"linknode"])
            ),
            "filesdata, HTTP, from the cache": self.trace(
                lambda: web.ask_filesdata(node, [b"linknode"])
            ),
        }
        for bundle in pushes[:_WARM]:
            pushing.push(bundle)
        traces["unbundle, version 1"] = self.trace(lambda: pushing.push(pushes[_WARM]))
        return traces


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def configure(folder: Path, ports: dict[str, int]) -> Config:
    """A configuration for one repository that anybody may push to over HTTP."""
    from wiredaemon.daemon.config_file import load_config  # noqa: PLC0415
    from wiredaemon.daemon.embedded import make_repository  # noqa: PLC0415

    wrong = make_repository(folder / "repository")
    if wrong is not None:
        raise RuntimeError(wrong)
    file = folder / "wiredaemon.toml"
    http, framed = (f"tcp:{ports[kind]}:interface=127.0.0.1" for kind in ("http", "framed"))
    file.write_text(
        f'[data]\nfolder = "{folder}/data"\n[paths]\n"/" = "{folder}/repository"\n'
        f'[listen]\nhttps = []\nframed_tls = []\nhttp = ["{http}"]\nframed = ["{framed}"]\n'
        '[web]\npush_ssl = false\nallow-push = ["*"]\n',
        encoding="utf-8",
    )
    return load_config(file)


def run(folder: Path) -> dict[str, Trace]:
    """Run a daemon in a folder, and return what each request called."""
    from twisted.internet import reactor as installed  # noqa: PLC0415

    from wiredaemon.daemon.service import WireDaemonService  # noqa: PLC0415

    reactor: Any = installed
    ports = dict(zip(("http", "framed"), free_ports(2), strict=True))
    service = WireDaemonService(configure(folder, ports), reactor)
    traces: dict[str, Trace] = {}
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            traces.update(Watched(reactor, ports, folder / "repository").trace_all())
        except BaseException as failure:  # noqa: BLE001 raised again below, in the main thread
            failures.append(failure)
        reactor.callFromThread(stop)

    def stop() -> None:
        service.stopService().addBoth(lambda _: reactor.stop())

    def start() -> None:
        service.privilegedStartService()
        service.startService()
        reactor.callLater(0, threading.Thread(target=ask, daemon=True).start)

    reactor.callWhenRunning(start)
    reactor.run()
    if failures:
        raise failures[0]
    return traces


def main() -> None:
    """Print one line for each request."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--functions", action="store_true", help="print the functions as well")
    wants_functions = parser.parse_args().functions
    with tempfile.TemporaryDirectory() as folder:
        traces = run(Path(folder))
    print(f"{'calls':>6} {'functions':>9} {'modules':>7}  request")
    for name, trace in traces.items():
        calls = sum(trace.calls.values())
        print(f"{calls:6} {len(trace.calls):9} {trace.modules:7}  {name}")
        if wants_functions:
            for (module, function), count in trace.calls.items():
                print(f"{count:14}  {module} {function}")


if __name__ == "__main__":
    main()
