from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from wiredaemon.net.tls import TlsError, server_options

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
