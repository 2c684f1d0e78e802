from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from OpenSSL import SSL
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from wiredaemon.net.tls import TlsError, over_tls, server_options

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write(folder: Path, name: str, *parts: trustme.Blob) -> Path:
    path = folder / name
    path.write_bytes(b"".join(part.bytes() for part in parts))
    return path


def test_a_chain_and_its_key_make_a_server(tmp_path: Path, authority: trustme.CA) -> None:
    issued = authority.create_child_ca().issue_cert("localhost")
    certificate = write(tmp_path, "cert.pem", *issued.cert_chain_pems)
    key = write(tmp_path, "key.pem", issued.private_key_pem)
    options = server_options(certificate, key)
    assert len(options.extraCertChain) == len(issued.cert_chain_pems) - 1 == 1


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    one, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    certificate = write(tmp_path, "cert.pem", *one.cert_chain_pems)
    key = write(tmp_path, "other.pem", other.private_key_pem)
    with pytest.raises(TlsError, match=r"cert\.pem and .*other\.pem cannot be used"):
        server_options(certificate, key)


@pytest.mark.parametrize("content", [None, b"", b"no certificate\n"])
def test_what_is_no_certificate_is_refused(
    tmp_path: Path, authority: trustme.CA, content: bytes | None
) -> None:
    certificate = tmp_path / "cert.pem"
    if content is not None:
        certificate.write_bytes(content)
    key = write(tmp_path, "key.pem", authority.issue_cert("localhost").private_key_pem)
    with pytest.raises(TlsError, match=r"cert\.pem"):
        server_options(certificate, key)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("has_clients", [False, True])
def test_a_client_that_comes_again_resumes_its_session_with_its_certificate(
    tmp_path: Path, authority: trustme.CA, version: ssl.TLSVersion, *, has_clients: bool
) -> None:
    issued = authority.issue_cert("localhost")
    authorities = write(tmp_path, "authority.pem", authority.cert_pem)
    options = server_options(
        write(tmp_path, "cert.pem", *issued.cert_chain_pems),
        write(tmp_path, "key.pem", issued.private_key_pem),
        client_authorities=authorities if has_clients else None,
    )
    context = ssl.create_default_context(cafile=str(authorities))
    context.minimum_version = context.maximum_version = version
    if has_clients:
        authority.issue_cert("client@example.org").configure_cert(context)
    session, resumed = None, []
    for _ in range(3):
        server: Any = over_tls(Factory.forProtocol(Protocol), options).buildProtocol(None)
        transport = StringTransport()
        server.makeConnection(transport)
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(received, sent, server_hostname="localhost", session=session)
        for _ in range(4):
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
                # In TLS 1.3 tickets come behind the handshake.
                client.read()
            if data := sent.read():
                server.dataReceived(data)
            received.write(transport.value())
            transport.clear()
        session = client.session
        resumed.append(client.session_reused)
        assert (server.getPeerCertificate() is not None) == has_clients
    assert resumed == [False, True, True]


@implementer(IPushProducer)
class Producer:
    """Remembers that it was stopped."""

    is_stopped = False

    def pauseProducing(self) -> None:
        """Nothing waits."""

    def resumeProducing(self) -> None:
        """Nothing waits."""

    def stopProducing(self) -> None:
        self.is_stopped = True


class Slow(StringTransport):
    """Has always something left to send, for a peer that reads nothing."""

    def loseConnection(self) -> None:
        """Wait for what is left."""


def test_a_peers_farewell_stops_the_producer_though_the_peer_reads_nothing_more(
    tmp_path: Path, authority: trustme.CA
) -> None:
    issued = authority.issue_cert("localhost")
    options = server_options(
        write(tmp_path, "cert.pem", *issued.cert_chain_pems),
        write(tmp_path, "key.pem", issued.private_key_pem),
    )
    server: Any = over_tls(Factory.forProtocol(Protocol), options).buildProtocol(None)
    make: Any = Slow
    transport = make()
    server.makeConnection(transport)
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    for _ in range(2):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            server.dataReceived(client.bio_read(1 << 16))
            client.bio_write(transport.value())
            transport.clear()
    server.dataReceived(client.bio_read(1 << 16))
    producer = Producer()
    server.registerProducer(producer, True)  # noqa: FBT003 Twisted's signature
    server.write(b"part of an answer")
    client.shutdown()
    assert not producer.is_stopped
    server.dataReceived(client.bio_read(1 << 16))
    assert producer.is_stopped
