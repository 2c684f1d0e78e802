from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from OpenSSL import SSL
from support.receiving import Receiving
from support.serving import write_certificate
from support.tls_peers import over_tls, serving

from wiredaemon.client.address import parse_url
from wiredaemon.client.blocking_runtime import BlockingRuntime
from wiredaemon.client.errors import ConnectError, ConnectionLostError, UntrustedError
from wiredaemon.client.options import ClientOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wiredaemon.client.runtime import Stream

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def hang_up(connection: socket.socket) -> None:
    """Read the beginning of a handshake, and close."""
    connection.recv(65536)


class Client:
    """A stream over TLS, with its loop and its receiver."""

    def __init__(self, runtime: BlockingRuntime, receiver: Receiving, stream: Stream) -> None:
        self.runtime = runtime
        self.receiver = receiver
        self.stream = stream

    def wait(self, condition: Any) -> None:
        self.receiver.wait(self.runtime, condition)


@contextmanager
def connected(
    port: int, authorities: Path | None, protocols: Sequence[bytes] = ()
) -> Iterator[Client]:
    runtime, receiver = BlockingRuntime(), Receiving()
    options = ClientOptions(authorities=authorities, connect_seconds=20)
    address = parse_url(f"hgrpcs://127.0.0.1:{port}/")
    try:
        opening = runtime.open(address, receiver, options, protocols)
        yield Client(runtime, receiver, runtime.complete(opening))
    finally:
        runtime.close()


def test_facts_and_bytes_in_both_directions(certificate: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(connection.recv(100).upper())
        for _ in range(64):
            connection.sendall(bytes(65536))
        received = 0
        while received < 32 * MIB:
            received += len(connection.recv(65536))
        connection.sendall(b"all")
        connection.recv(1)

    def offer(context: ssl.SSLContext) -> None:
        context.set_alpn_protocols(["one", "two"])

    with (
        serving(over_tls(certificate, serve, offer)) as port,
        connected(port, certificate / "ca.pem", [b"two", b"three"]) as client,
    ):
        stream, receiver = client.stream, client.receiver
        assert stream.chosen_protocol == b"two"
        assert stream.tls is not None
        assert stream.tls.version == "TLSv1.3"
        shown = (certificate / "cert.pem").read_text("ascii")
        assert ssl.DER_cert_to_PEM_cert(stream.tls.certificate) in shown
        stream.write([b"hello", b"", b" you"])
        stream.write([])
        client.wait(lambda: len(receiver.data) == 9 + 4 * MIB)
        assert receiver.data.startswith(b"HELLO YOU\0")
        # Records are joined: not one call for each.
        assert max(receiver.sizes) > 16384
        stream.write([bytes(32 * MIB)])
        assert receiver.output == ["pause"]
        client.wait(lambda: receiver.data.endswith(b"all"))
        assert receiver.output == ["pause", "resume"]
        stream.abort()
        client.wait(lambda: receiver.ends)
        assert not client.stream.tls
        assert receiver.end == (
            "ConnectionLostError",
            f"the connection to 127.0.0.1:{port} was lost",
        )
        stream.write([b"nobody"])
        stream.close()
        client.runtime.look()
        assert len(receiver.ends) == 1


@pytest.mark.parametrize("is_orderly", [True, False])
def test_the_server_closes(certificate: Path, *, is_orderly: bool) -> None:
    """Also without a word: what is not whole is found by those who count what they get."""

    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"the last")
        if is_orderly:
            connection.unwrap()

    with (
        serving(over_tls(certificate, serve)) as port,
        connected(port, certificate / "ca.pem") as client,
    ):
        client.wait(lambda: client.receiver.ends)
        assert client.receiver.data == b"the last"
        assert client.receiver.end == (
            "ConnectionClosedError",
            f"127.0.0.1:{port} closed the connection",
        )


def test_closing_waits_for_the_server_and_drops_what_it_still_sends(certificate: Path) -> None:
    may_end = threading.Event()
    received = bytearray()

    def serve(connection: ssl.SSLSocket) -> None:
        while data := connection.recv(65536):  # empty at the notice that no more follows
            received.extend(data)
        may_end.wait(20)

    with (
        serving(over_tls(certificate, serve)) as port,
        connected(port, certificate / "ca.pem") as client,
    ):
        client.stream.pause_input()
        client.stream.write([bytes(4 * MIB)])
        client.stream.close()
        client.stream.close()
        client.stream.write([b"too late"])
        client.stream.pause_input()
        while len(received) < 4 * MIB:
            client.runtime.look()
        assert client.receiver.ends == []
        may_end.set()
        client.wait(lambda: client.receiver.ends)
        assert client.receiver.data == b""
        assert client.receiver.end[0] == "ConnectionClosedError"
    assert len(received) == 4 * MIB


def test_a_paused_stream_reads_nothing_more(certificate: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"one")
        assert connection.recv(1) == b"x"
        connection.sendall(b"two")
        connection.recv(1)

    with (
        serving(over_tls(certificate, serve)) as port,
        connected(port, certificate / "ca.pem") as client,
    ):
        client.wait(lambda: client.receiver.data)
        client.stream.pause_input()
        client.stream.write([b"x"])
        client.runtime.look()
        assert client.receiver.data == b"one"
        client.stream.resume_input()
        client.wait(lambda: client.receiver.data == b"onetwo")


def test_a_server_that_is_not_trusted_is_told_so(certificate: Path) -> None:
    told: list[str] = []

    def shake(connection: Any) -> None:
        try:
            over_tls(certificate, lambda _: None)(connection)
        except ssl.SSLError as error:
            told.append(str(error.reason))

    with (
        serving(shake) as port,
        pytest.raises(UntrustedError, match="no authority that is trusted vouches"),
        connected(port, None),
    ):
        pass
    assert told == ["TLSV1_ALERT_UNKNOWN_CA"]


def test_a_server_that_closes_within_the_handshake_is_lost(certificate: Path) -> None:
    with (
        serving(hang_up) as port,
        pytest.raises(ConnectionLostError, match=r"^the connection to 127\.0\.0\.1:\d+ was lost$"),
        connected(port, certificate / "ca.pem"),
    ):
        pass


def test_what_is_no_tls_is_named(certificate: Path) -> None:
    def serve(connection: Any) -> None:
        connection.sendall(b"220 welcome\r\n")
        connection.recv(4096)

    with (
        serving(serve) as port,
        pytest.raises(ConnectError, match=r"^TLS with 127\.0\.0\.1:\d+ failed: wrong version"),
        connected(port, certificate / "ca.pem"),
    ):
        pass


def test_broken_records_end_the_stream_behind_what_was_whole(certificate: Path) -> None:
    def shake(connection: Any) -> None:
        copy = connection.dup()
        with copy:

            def serve(wrapped: ssl.SSLSocket) -> None:
                wrapped.sendall(b"whole")
                copy.sendall(b"no record of TLS")
                wrapped.recv(1)

            over_tls(certificate, serve)(connection)

    with serving(shake) as port, connected(port, certificate / "ca.pem") as client:
        client.wait(lambda: client.receiver.ends)
        assert client.receiver.data == b"whole"
        name, text = client.receiver.end
        assert name == "ConnectError"
        assert text.startswith(f"TLS with 127.0.0.1:{port} failed: ")


def test_what_is_written_while_the_server_renegotiates_comes_behind_it(certificate: Path) -> None:
    """As servers with TLS 1.2 do that want a certificate for some paths only."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_chain_file(str(certificate / "cert.pem"))
    context.use_privatekey_file(str(certificate / "key.pem"))
    is_agreed, has_written = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.settimeout(None)
        wrapped = SSL.Connection(context, connection)
        wrapped.set_accept_state()
        wrapped.do_handshake()
        wrapped.renegotiate()
        wrapped.do_handshake()  # sends the wish
        connection.recv(1, socket.MSG_PEEK)
        is_agreed.set()
        assert has_written.wait(20)
        received = bytearray()
        while len(received) < 10 * 1000:
            received += wrapped.recv(65536)
        wrapped.sendall(b"%d after %d" % (len(set(received)), wrapped.total_renegotiations()))

    with serving(serve) as port, connected(port, certificate / "ca.pem") as client:
        while not is_agreed.is_set():
            client.runtime.look()
        for number in range(10):
            client.stream.write([bytes([number]) * 1000])
        has_written.set()
        client.wait(lambda: client.receiver.data)
        assert client.receiver.data == b"10 after 1"
