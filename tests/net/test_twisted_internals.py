"""Each private name of Twisted that the project leans on, looked at one by one.

A failure here names what a release of Twisted changed, and what of ours leans on it.
"""

from __future__ import annotations

import ast
import inspect
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import ensure_deferred
from support.serving import listening
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, globalLogPublisher, textFileLogObserver
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.logfile import LogFile
from twisted.web import http
from twisted.web.http import HTTPChannel

import twisted
from wiredaemon.net import twisted_internals
from wiredaemon.net.twisted_internals import unsent_output
from wiredaemon.net.write_now import not_taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twisted.python.failure import Failure

HEAD: Final = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


def changed(name: str, user: str) -> str:
    """What a failure says."""
    return f"Twisted {twisted.__version__} has changed {name}, which {user} leans on"


def check(found: Mapping[str, object], expected: Mapping[str, object], user: str) -> None:
    """See that all is as expected, or name the first that is not."""
    for name, value in expected.items():
        assert name in found, changed(name, user)
        assert found[name] == value, f"{changed(name, user)}: it is {found[name]!r} now"


def all_of(one: Any) -> dict[str, Any]:
    """The attributes of an object and of its classes, by name."""
    found: dict[str, Any] = {}
    for kind in reversed(type(one).__mro__):
        found |= vars(kind)
    found |= vars(one)
    return found


class Seen(http.Request):
    """A request that looks at its channel whenever Twisted calls it."""

    def __init__(self, channel: Any, *args: Any) -> None:
        super().__init__(channel, *args)
        self.seen: dict[str, dict[str, Any]] = {}

    def look(self, when: str) -> None:
        self.seen[when] = all_of(self.channel)

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 Twisted's
        self.look("head")

    def handleContentChunk(self, data: bytes) -> None:  # noqa: ARG002 Twisted's
        self.look("body")

    def requestReceived(self, *_: object) -> None:
        self.look("end")


@pytest.fixture
def channel() -> Any:
    made: Any = HTTPChannel()
    made.requestFactory = Seen
    made.makeConnection(StringTransport())
    return made


def test_a_channel_between_requests_is_what_we_take_for_one(channel: Any) -> None:
    user = "is_between_requests"
    found = all_of(channel)
    check(found, {"line_mode": 1, "_buffer": b"", "_busyReceiving": False}, user)
    check(found, {"requests": [], "persistent": 1, "_HTTPChannel__first_line": 1}, user)
    check(found, {"_handlingRequest": False, "_dataBuffer": []}, user)


def test_a_channel_counts_the_head_that_is_being_read(channel: Any) -> None:
    channel.dataReceived(b"POST /a HTTP/1.1\r\nHost: x\r\nA: b\r\n")
    expected = {"_receivedHeaderSize": 27, "_receivedHeaderCount": 1}
    # The last line waits: the next one may continue it.
    check(all_of(channel), expected, "head_so_far")


def test_a_head_leaves_a_channel_as_our_shorter_way_does(channel: Any) -> None:
    channel.dataReceived(HEAD + b"a")
    (request,) = channel.requests
    expected = {
        "_command": b"POST",
        "_path": b"/a",
        "_version": b"HTTP/1.1",
        "length": 2,
        "_HTTPChannel__first_line": 0,
        "line_mode": 0,
        "_handlingRequest": False,
    }
    check(request.seen["head"], {**expected, "line_mode": 1}, "request_line")
    check(request.seen["body"], expected, "_receive_part")
    decoder = request.seen["body"]["_transferDecoder"]
    assert type(decoder) is http._IdentityTransferDecoder, changed(
        "_IdentityTransferDecoder", "_receive_part"
    )
    arguments = list(inspect.signature(type(decoder)).parameters)
    assert arguments == ["contentLength", "dataCallback", "finishCallback"], changed(
        "_IdentityTransferDecoder", "_receive_part"
    )
    assert decoder.finishCallback == channel._finishRequestBody, changed(
        "_finishRequestBody", "_receive_part"
    )


def test_a_whole_request_leaves_a_channel_as_our_shorter_way_does(channel: Any) -> None:
    channel.dataReceived(HEAD + b"ab" + b"behind")
    (request,) = channel.requests
    user = "_receive_whole"
    check(
        request.seen["end"],
        {
            "length": 0,
            "_HTTPChannel__first_line": 1,
            "line_mode": 0,
            "_handlingRequest": True,
            "_transferDecoder": None,
        },
        user,
    )
    for name in ("_command", "_path", "_version"):
        assert name not in request.seen["end"], changed(name, "target_of")
    check(vars(channel), {"_dataBuffer": [b"behind"]}, user)
    channel.requestDone(request)
    check(vars(channel), {"timeOut": None, "_handlingRequest": False, "_dataBuffer": []}, user)
    check(all_of(channel), {"line_mode": 1, "_buffer": b"behind"}, user)


class _Writer(Protocol):
    def __init__(self, made: Deferred[Any], lost: Deferred[None]) -> None:
        self._made, self._lost = made, lost

    def connectionMade(self) -> None:
        self._made.callback(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 Twisted's
        self._lost.callback(None)


@ensure_deferred
async def test_a_transport_that_has_nothing_to_send_is_what_we_take_for_one() -> None:
    made: Deferred[Any] = Deferred()
    lost: Deferred[None] = Deferred()
    async with listening(Factory.forProtocol(lambda: _Writer(made, lost))) as port:
        with socket.create_connection(("127.0.0.1", port)):
            transport = await made
            names = ("connected", "disconnecting", "_writeDisconnecting", "_writeDisconnected")
            found: dict[str, object] = {
                name: bool(getattr(transport, name, None)) for name in names
            }
            found |= {name: vars(transport).get(name, "") for name in ("_tempDataBuffer",)}
            found["dataBuffer"] = transport.dataBuffer
            found["type"] = type(transport)
            expected = {
                "connected": True,
                "disconnecting": False,
                "_writeDisconnecting": False,
                "_writeDisconnected": False,
                "_tempDataBuffer": [],
                "dataBuffer": b"",
                "type": Server,
            }
            check(found, expected, "is_waiting")
            for name in names:
                assert hasattr(transport, name), changed(name, "is_waiting")
            assert isinstance(transport.socket, socket.socket), changed("socket", "write_now")
            assert not transport.socket.getblocking(), changed("socket", "write_now")
            assert transport.bufferSize == Server.bufferSize, changed("bufferSize", "follow_read")
            transport.write(b"new")
            assert transport._tempDataBuffer == [b"new"], changed("_tempDataBuffer", "is_waiting")
            assert unsent_output(transport) == 3, changed("_tempDataLen", "unsent_output")
            transport.write(bytes(10_000_000))
            transport.doWrite()
            left = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
            assert 0 < unsent_output(transport) == left, changed("offset", "unsent_output")
            # What the system holds counts as well: nobody has read anything.
            assert not_taken(transport) > left + 10_000
            transport.abortConnection()
        await lost


def test_what_waits_to_be_encrypted_is_unsent() -> None:
    # A class attribute of none, so it is made with the connection.
    assert "_appSendBuffer" in inspect.getsource(TLSMemoryBIOProtocol), changed(
        "_appSendBuffer", "unsent_output"
    )


@ensure_deferred
async def test_a_port_has_the_names_by_which_we_learn_what_it_cannot_accept() -> None:
    user = "observe_accepts"
    assert isinstance(tcp.Port._logger, Logger), changed("Port._logger", user)
    source = inspect.getsource(tcp.Port.doRead)
    assert "self._logger.namespace, self._logger.observer" in source, changed("Port._logger", user)
    for name in ("{acceptError}", "Closed socket from {address}"):
        assert name in inspect.getsource(tcp._accept), changed(f"what it logs with {name}", user)
    reserve: Any = tcp._reservedFD
    assert isinstance(reserve._log, Logger), changed("_reservedFD._log", user)
    for name in ("available", "reserve"):
        assert callable(getattr(reserve, name, None)), changed(f"_reservedFD.{name}", user)
    async with listening(Factory.forProtocol(Protocol)):
        assert twisted_internals.has_reserved_descriptor(), changed("_reservedFD", user)


def test_the_end_of_tls_has_the_name_that_we_override() -> None:
    user = "ServerTls"
    method = getattr(TLSMemoryBIOProtocol, "_tlsShutdownFinished", None)
    assert method is not None, changed("_tlsShutdownFinished", user)
    assert list(inspect.signature(method).parameters) == ["self", "reason"], changed(
        "_tlsShutdownFinished", user
    )
    source = inspect.getsource(TLSMemoryBIOProtocol)
    assert "self._tlsShutdownFinished(" in source, changed("_tlsShutdownFinished", user)
    assert getattr(TLSMemoryBIOProtocol, "_producer", 0) is None, changed("_producer", user)


def imports_of(file: Path) -> Iterator[str]:
    """What a module imports, each with its full name."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)


def test_no_other_module_imports_what_twisted_keeps_to_itself() -> None:
    """Ruff's SLF001 sees private attributes, and is off for that one module."""
    home = Path(twisted_internals.__file__)
    private = [
        (file.name, name)
        for file in sorted(home.parents[1].rglob("*.py"))
        for name in imports_of(file)
        if file != home and name.startswith("twisted.") and "._" in name
    ]
    assert private == []


def test_log_files_are_those_of_observers(tmp_path: Path) -> None:
    file: Any = LogFile.fromFullPath(str(tmp_path / "log"))
    observer: Any = textFileLogObserver(file)
    assert observer._outFile is file, changed("_outFile", "log_files")
    globalLogPublisher.addObserver(observer)
    try:
        assert observer in globalLogPublisher._observers, changed("_observers", "log_files")
        assert twisted_internals.log_files() == [file]
    finally:
        globalLogPublisher.removeObserver(observer)
        file.close()
    assert twisted_internals.log_files() == []
