"""The users that client certificates name, over real handshakes in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
import trustme
from cryptography import x509
from support.raw import RawTransport
from support.serving import write_certificate
from twisted.internet.protocol import Factory, Protocol

from wiredaemon.net.certificate_users import PARTS, certificate_user
from wiredaemon.net.tls import TlsError, over_tls, server_options

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def clients() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clients: trustme.CA) -> Path:
    made = write_certificate(tmp_path_factory.mktemp("tls"), "localhost")
    clients.cert_pem.write_to_path(made / "clients.pem")
    return made


class Shaken:
    """A handshake in memory; the client is Python's own ssl module."""

    def __init__(self, folder: Path, shown: trustme.LeafCert | None) -> None:
        options = server_options(
            folder / "cert.pem", folder / "key.pem", client_authorities=folder / "clients.pem"
        )
        self._socket = RawTransport(is_tcp=True, is_tls=False, is_unix=False)
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        if shown is not None:
            shown.configure_cert(context)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        factory: Any = over_tls(Factory.forProtocol(Protocol), options)
        self.transport: Any = factory.buildProtocol(None)
        self.transport.makeConnection(self._socket)
        for _ in range(4):
            with suppress(ssl.SSLWantReadError):
                self._client.do_handshake()
            self._move()

    def _move(self) -> None:
        data = self._outgoing.read()
        if data:
            self.transport.dataReceived(data)
        self._incoming.write(self._socket.value())  # type: ignore[no-untyped-call]
        self._socket.clear()  # type: ignore[no-untyped-call]

    def user(self, part: str = "cn") -> str | None:
        return certificate_user(self.transport, part)

    def reads(self) -> bytes:
        """Let the client read, which shows it whether its certificate was accepted."""
        with suppress(ssl.SSLWantReadError):
            return self._client.read()
        return b""


def test_without_a_certificate_the_handshake_succeeds_and_nobody_is_named(folder: Path) -> None:
    shaken = Shaken(folder, None)
    assert shaken.reads() == b""
    assert shaken.user() is None


@pytest.mark.parametrize(
    ("names", "part", "user"),
    [
        (["ann@example.org"], "cn", "ann"),
        (["ann@example.org"], "san:email", "ann@example.org"),
        (["ann@example.org"], "san:dns", None),
        (["builder.example.org"], "san:dns", "builder.example.org"),
        (["builder.example.org"], "san:email", None),
        (["ann@example.org", "bob@example.org"], "san:email", None),
        (["a.example.org", "b.example.org"], "san:dns", None),
    ],
)
def test_one_part_names_the_user(
    folder: Path, clients: trustme.CA, names: list[str], part: str, user: str | None
) -> None:
    shaken = Shaken(folder, clients.issue_cert(*names, common_name="ann"))
    assert shaken.reads() == b""
    assert shaken.user(part) == user


def test_a_certificate_of_another_authority_fails_the_handshake(folder: Path) -> None:
    shaken = Shaken(folder, trustme.CA().issue_cert("ann@example.org", common_name="ann"))
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        shaken.reads()


def test_a_listener_without_authorities_asks_for_no_certificate(folder: Path) -> None:
    assert server_options(folder / "cert.pem", folder / "key.pem").verify is False


@pytest.mark.parametrize("content", [None, b"", b"no certificate\n"])
def test_authorities_that_cannot_be_read_are_named(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "clients.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TlsError, match=r"clients\.pem cannot be used"):
        server_options(folder / "cert.pem", folder / "key.pem", client_authorities=file)


class Showing:
    """A transport whose client has shown a certificate."""

    def __init__(self, certificate: Any) -> None:
        self._certificate = certificate

    def getPeerCertificate(self) -> Any:
        return self

    def to_cryptography(self) -> Any:
        return self._certificate


def test_a_transport_without_tls_names_nobody() -> None:
    assert certificate_user(object(), "cn") is None


def test_two_common_names_name_nobody() -> None:
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, "ann")

    class Twice:
        subject: Final = x509.Name([name, name])

    assert certificate_user(Showing(Twice()), "cn") is None


def test_a_name_that_means_something_else_in_lists_names_nobody() -> None:
    class Group:
        subject: Final = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "@devs")])

    assert certificate_user(Showing(Group()), "cn") is None


def test_a_certificate_without_alternative_names_has_none() -> None:
    class Bare:
        extensions: Final = x509.Extensions([])

    for part in set(PARTS) - {"cn"}:
        assert certificate_user(Showing(Bare()), part) is None


def test_a_certificate_that_cannot_be_read_names_nobody() -> None:
    class Broken:
        @property
        def subject(self) -> x509.Name:
            raise ValueError("not a name")

    assert certificate_user(Showing(Broken()), "cn") is None
