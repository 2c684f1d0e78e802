"""A daemon whose users log in over every listener, called by `wiredaemon call`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
import trustme
from support.accounts import add_token, write_htpasswd
from support.configuration import configuration
from support.daemon import Daemon
from support.environment import environment
from support.serving import write_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTENERS: Final = ("https", "framed_tls", "framed", "http")
SCHEMES: Final = {"https": "https", "framed_tls": "hgrpcs", "framed": "hgrpc", "http": "http"}
DONE: Final = (0, "")
REFUSED: Final = 77
"""The status of a login that was refused, or of a permission that is missing (docs/tools.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A daemon with the seeds' commands, where `ann` and the group `devs` may write."""

    daemon: Daemon
    folder: Path

    def call(self, listener: str, command: str, *options: str) -> tuple[int, str]:
        """Return the exit status, and what was said on standard error."""
        url = f"{SCHEMES[listener]}://localhost:{self.daemon.port(listener)}/"
        found = subprocess.run(
            [
                *(sys.executable, "-m", "wiredaemon", "call", "--timeout", "20"),
                *("--ca", str(self.folder / "ca.pem"), *options, url, command),
            ],
            capture_output=True,
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env=environment(),
            stdin=subprocess.DEVNULL,
        )
        return found.returncode, found.stderr.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = write_certificate(tmp_path_factory.mktemp("logins"), "localhost")
    clients = trustme.CA()
    clients.cert_pem.write_to_path(folder / "clients.pem")
    shown = clients.issue_cert("cert@example.org")
    shown.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    write_htpasswd(folder / "htpasswd", ann="secret")
    (folder / "groups").write_text("devs: cert@example.org\n", "utf-8")
    secrets = {
        "password": b"secret",
        "wrong": b"no",
        "token": add_token(folder / "tokens", "ann")[0],
        "reader": add_token(folder / "tokens", "ann", read_only=True)[0],
    }
    for name, secret in secrets.items():
        (folder / name).write_bytes(secret)
        (folder / name).chmod(0o600)
    files = {name: json.dumps(str(folder / name)) for name in ("htpasswd", "tokens", "groups")}
    auth = "".join(f"{name} = {path}\n" for name, path in files.items())
    pem = {name: json.dumps(str(folder / f"{name}.pem")) for name in ("cert", "key", "clients")}
    more = (
        f'[web]\nallow-push = ["ann", "@devs"]\n'
        f'[auth]\n{auth}certificate_user = "san:email"\n'
        f"[tls]\ncertificate = {pem['cert']}\nprivate_key = {pem['key']}\n"
        f"client_ca = {pem['clients']}\n"
        "[limits]\nlogin_failures = 0\n"
    )
    framings = {"exp-http-v2-0003": ["0006"]}
    text = configuration(data=folder / "data", framings=framings, listen=LISTENERS, more=more)
    for switch in ("enabled", "http_v2"):
        text = text.replace(f"{switch} = false", f"{switch} = true")
    with Daemon.start(text, folder) as daemon:
        yield Site(daemon=daemon, folder=folder)


@pytest.mark.parametrize("listener", ["https", "framed_tls"])
def test_each_way_to_log_in_gives_the_right_to_write(site: Site, listener: str) -> None:
    for way in (
        ("--user", "ann", "--password-file", "password"),
        ("--user", "ann", "--password-file", "token"),
        ("--token-file", "token"),
        ("--cert", "own.pem"),
    ):
        assert site.call(listener, "customreadwrite", *way) == DONE, way


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ((), "push not authorized"),
        (("--token-file", "reader"), "push not authorized: this login may only read"),
        (("--user", "ann", "--password-file", "wrong"), "wrong user name or password"),
        (("--user", "bob", "--password-file", "token"), "wrong user name or password"),
    ],
)
@pytest.mark.parametrize("listener", ["https", "framed_tls"])
def test_nobody_else_may_write(site: Site, listener: str, way: tuple[str, ...], said: str) -> None:
    status, text = site.call(listener, "customreadwrite", *way)
    assert status == REFUSED
    assert said in text


@pytest.mark.parametrize("listener", ["http", "framed"])
def test_without_tls_nobody_writes(site: Site, listener: str) -> None:
    assert site.call(listener, "customreadonly") == DONE
    status, text = site.call(listener, "customreadwrite", "--token-file", "token")
    assert (status, "ssl required" in text) == (REFUSED, True)
