"""Apache ends TLS, asks for passwords and names the users, as docs/proxies.md shows it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support import behind
from support.accounts import write_htpasswd
from support.apache import apache
from support.documents import documented
from support.environment import LOOPBACK
from support.hg import HG7, Hg
from support.links import fetch, links_in
from support.proxies import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.served import Served

BOB: Final = {"Authorization": "Basic Ym9iOmJvYidz"}
OUTSIDE: Final = {
    **BOB,
    "X-Remote-User": "ann",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Prefix": "/elsewhere",
}


@pytest.fixture(scope="module")
def passwords() -> Iterator[Path]:
    """Apache's users, where it can read them when it has given up the rights of root."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        file = write_htpasswd(place / "htpasswd", ann="at apache", bob="bob's")
        file.chmod(0o644)
        yield file


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("apache-daemon")
    with behind.start(folder, trusted=LOOPBACK) as running:
        yield running


def configuration(passwords: Path, certificate: Path, served: Served) -> str:
    return replaced(
        documented("Apache: a site that ends TLS"),
        {
            "*:443": "@LISTEN@",
            "/etc/ssl/hg.example.org": str(certificate),
            "/etc/apache2/hg.htpasswd": str(passwords),
            "127.0.0.1:8000": f"{LOOPBACK}:{served.daemon.port()}",
        },
    )


@pytest.fixture(scope="module")
def port(
    served: Served, passwords: Path, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    text = configuration(passwords, certificate, served)
    with apache(text, tmp_path_factory.mktemp("apache")) as listening:
        yield listening


@pytest.fixture
def trust(certificate: Path) -> tuple[str, str]:
    return ("--config", f"web.cacerts={certificate / 'ca.pem'}")


@pytest.mark.parametrize("release", ["7", "6"])
def test_a_push_of_a_user_whom_apache_knows(
    release: str,
    served: Served,
    port: int,
    trust: tuple[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    hg: Hg = HG7 if release == "7" else request.getfixturevalue("hg6")
    url = f"https://ann:at%20apache@localhost:{port}/team"
    printed = behind.push_and_clone(hg, served, tmp_path, url, *trust)
    assert f"pushed by=ann from=remote:https:{LOOPBACK}:ann" in printed


def test_a_user_whom_apache_does_not_know_and_one_without_rights(
    served: Served, port: int, trust: tuple[str, str], tmp_path: Path
) -> None:
    clone = behind.new_work(HG7, served, tmp_path, size=10)
    for login, refusal in (
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
    refusal = HG7.refusal("push", *trust, "--force", url, folder=clone)
    assert b"abort: HTTP Error 403: push not authorized" in refusal


def test_what_a_client_sends_of_itself_counts_for_nothing(port: int, certificate: Path) -> None:
    _, text = fetch("localhost", port, "/team/rss-log", OUTSIDE, certificate=certificate)
    start = f"https://localhost:{port}/team/"
    assert {link[: len(start)] for link in links_in(text)} == {start}
    push = "/team?cmd=pushkey&namespace=x&key=&old=&new="
    status, _ = fetch("localhost", port, push, OUTSIDE, certificate=certificate, method="POST")
    assert status == 403


def test_links_are_below_a_prefix_that_apache_takes_off(
    served: Served, passwords: Path, certificate: Path, tmp_path: Path, trust: tuple[str, str]
) -> None:
    text = configuration(passwords, certificate, served)
    to = {"127.0.0.1:8000": f"{LOOPBACK}:{served.daemon.port()}"}
    prefixed = replaced(documented("Apache: a prefix that it takes off"), to)
    lines = [
        line for line in text.splitlines() if "ProxyPass " not in line and "Prefix" not in line
    ]
    text = replaced("\n".join(lines), {"<Location />": f"<Location /hg/>\n{prefixed}"})
    with apache(text, tmp_path) as port:
        _, page = fetch("localhost", port, "/hg/team/rss-log", BOB, certificate=certificate)
        start = f"https://localhost:{port}/hg/team/"
        assert {link[: len(start)] for link in links_in(page)} == {start}
        url = f"https://bob:bob's@localhost:{port}/hg/team"
        HG7.run("clone", *trust, url, "clone", folder=tmp_path)
