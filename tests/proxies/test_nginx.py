"""nginx ends TLS, asks for passwords and names the users, as docs/proxies.md shows it."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Final

import pytest
from support import behind
from support.accounts import write_htpasswd
from support.documents import documented
from support.environment import LOOPBACK
from support.hg import HG7, Hg
from support.links import fetch, links_in
from support.proxies import nginx, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.served import Served

ASKED: Final = 'auth_basic "Mercurial";\n'
PASSED: Final = 'proxy_set_header Authorization "";\n'
NAMED: Final = "proxy_set_header X-Remote-User $remote_user;\n"


def configuration(folder: Path, certificate: Path, served: Served) -> str:
    file = write_htpasswd(folder / "nginx.htpasswd", ann="at nginx", bob="bob's")
    return replaced(
        documented("nginx: a server that ends TLS"),
        {
            "listen 443 ssl": "listen @LISTEN@ ssl",
            "/etc/ssl/hg.example.org": str(certificate),
            "/etc/nginx/hg.htpasswd": str(file),
            "127.0.0.1:8000": f"{LOOPBACK}:{served.daemon.port()}",
        },
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("nginx-daemon")
    with behind.start(folder, trusted=LOOPBACK, limits="login_failures = 3") as running:
        yield running


@pytest.fixture(scope="module")
def port(
    served: Served, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("nginx")
    with nginx(configuration(folder, certificate, served), folder) as listening:
        yield listening


@pytest.fixture
def trust(certificate: Path) -> tuple[str, str]:
    return ("--config", f"web.cacerts={certificate / 'ca.pem'}")


def status(
    port: int, headers: dict[str, str], *, source: str, certificate: Path | None = None
) -> int:
    """Return the status of an attempt to push nothing."""
    connection: http.client.HTTPConnection
    if certificate is None:
        connection = http.client.HTTPConnection(LOOPBACK, port, source_address=(source, 0))
    else:
        context = ssl.create_default_context(cafile=certificate / "ca.pem")
        connection = http.client.HTTPSConnection(
            "localhost", port, source_address=(source, 0), context=context
        )
    connection.request("POST", "/team?cmd=pushkey&namespace=x&key=&old=&new=", b"", headers)
    answer = connection.getresponse().status
    connection.close()
    return answer


@pytest.mark.parametrize("release", ["7", "6"])
def test_a_push_of_a_user_whom_nginx_knows(
    release: str,
    served: Served,
    port: int,
    trust: tuple[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    hg: Hg = HG7 if release == "7" else request.getfixturevalue("hg6")
    url = f"https://ann:at%20nginx@localhost:{port}/team"
    printed = behind.push_and_clone(hg, served, tmp_path, url, *trust)
    assert f"pushed by=ann from=remote:https:{LOOPBACK}:ann" in printed


def test_a_user_whom_nginx_does_not_know_and_one_without_rights(
    served: Served, port: int, trust: tuple[str, str], tmp_path: Path
) -> None:
    clone = behind.new_work(HG7, served, tmp_path, size=10)
    for login, refusal in (
        # The daemon's password is not nginx's.
        ("ann:secret", b"authorization failed"),
        ("bob:bob's", b"HTTP Error 403: push not authorized"),
    ):
        url = f"https://{login}@localhost:{port}/team"
        assert refusal in HG7.refusal("push", *trust, "--force", url, folder=clone)


def test_a_large_push_that_is_refused_early_says_why(
    served: Served, port: int, trust: tuple[str, str], tmp_path: Path
) -> None:
    clone = behind.new_work(HG7, served, tmp_path, size=30_000_000)
    url = f"https://bob:bob's@localhost:{port}/team"
    for _ in range(3):
        refusal = HG7.refusal("push", *trust, "--force", url, folder=clone)
        assert b"abort: HTTP Error 403: push not authorized" in refusal


def test_links_are_those_of_nginx_whatever_a_client_sends(port: int, certificate: Path) -> None:
    said = {
        "Authorization": "Basic Ym9iOmJvYidz",
        "X-Forwarded-Host": "elsewhere.example",
        "X-Forwarded-Prefix": "/elsewhere",
        "Forwarded": "for=192.0.2.1;host=elsewhere.example",
    }
    _, text = fetch("localhost", port, "/team/rss-log", said, certificate=certificate)
    start = f"https://localhost:{port}/team/"
    assert {link[: len(start)] for link in links_in(text)} == {start}


def test_what_nginx_finds_too_large_is_refused_by_it(
    served: Served, certificate: Path, trust: tuple[str, str], tmp_path: Path
) -> None:
    text = configuration(tmp_path, certificate, served)
    text = replaced(text, {"client_max_body_size 0": "client_max_body_size 1m"})
    with nginx(text, tmp_path) as port:
        clone = behind.new_work(HG7, served, tmp_path)
        url = f"https://ann:at%20nginx@localhost:{port}/team"
        refusal = HG7.refusal("push", *trust, "--force", url, folder=clone)
        assert b"abort: HTTP Error 413: Request Entity Too Large" in refusal


def test_what_a_client_sends_as_its_user_is_replaced(port: int, certificate: Path) -> None:
    # Without a password nginx lets nobody through; with bob's, ann's name is dropped.
    said = {"X-Remote-User": "ann", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    assert status(port, said, source=LOOPBACK, certificate=certificate) == 401
    said["Authorization"] = "Basic Ym9iOmJvYidz"
    assert status(port, said, source=LOOPBACK, certificate=certificate) == 403


def test_headers_from_another_address_do_nothing(served: Served) -> None:
    said = {"X-Remote-User": "ann", "X-Forwarded-Proto": "https"}
    assert status(served.daemon.port(), said, source=LOOPBACK) == 200
    # Neither that it uses TLS counts, nor who it is.
    assert status(served.daemon.port(), said, source="127.0.0.2") in (401, 403)


def test_an_nginx_that_is_not_trusted_names_nobody(
    certificate: Path, trust: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "daemon"
    folder.mkdir()
    with behind.start(folder, trusted="192.0.2.1") as served:
        text = configuration(tmp_path, certificate, served)
        with nginx(text, tmp_path) as port:
            clone = behind.new_work(HG7, served, tmp_path, size=10)
            url = f"https://ann:at%20nginx@localhost:{port}/team"
            refusal = HG7.refusal("push", *trust, "--force", url, folder=clone)
            assert b"abort: HTTP Error 403: ssl required" in refusal


def test_failed_logins_count_for_the_address_that_nginx_names(
    served: Served, certificate: Path, tmp_path: Path
) -> None:
    # Here the daemon has the users.
    text = configuration(tmp_path, certificate, served)
    text = replaced(text, {ASKED: "", PASSED: "", NAMED: ""})
    wrong = {"Authorization": "Basic bm9ib2R5Om5v"}
    with nginx(text, tmp_path) as port:
        tries = [status(port, wrong, source="127.0.0.5", certificate=certificate) for _ in range(5)]
        assert tries == [401, 401, 401, 429, 429]
        assert "login of 'nobody' from 127.0.0.5 failed" in served.daemon.log
        right = {"Authorization": "Basic YW5uOnNlY3JldA=="}
        assert status(port, right, source="127.0.0.6", certificate=certificate) == 200


def test_the_headers_of_docs_users_md_name_the_client(served: Served, tmp_path: Path) -> None:
    location = replaced(
        documented("nginx: the headers that it must set", "docs/users.md"),
        {"127.0.0.1:8000": f"{LOOPBACK}:{served.daemon.port()}"},
    )
    with nginx(f"server {{\nlisten @LISTEN@;\n{location}}}\n", tmp_path) as listening:
        # What a client says of itself does not count.
        said = {"X-Remote-User": "ann", "X-Forwarded-Proto": "https"}
        assert status(listening, said, source="127.0.0.9") == 403
        assert fetch(LOOPBACK, listening, "/?style=raw")[0] == 200
