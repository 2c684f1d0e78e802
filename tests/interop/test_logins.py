"""Real `hg` and `curl` log in: by password, by token, by certificate, and through a proxy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
import trustme
from support.accounts import add_token, write_htpasswd
from support.environment import client_environment
from support.hg import HG7, Hg, copy_repository
from support.repositories import write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from interop.conftest import Generated

HOOK: Final = "[hooks]\nchangegroup = echo pushed by=$REMOTE_USER\n"
LARGE: Final = 3_000_000
"""Bytes of a file that does not become smaller: its push is far larger than what is drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A daemon with users: `open` is for all to read, `private` for some; both have one history."""

    served: Served
    tokens: Mapping[str, str]
    certificate: Path
    options: tuple[str, ...]
    """Let a client trust the daemon."""

    def url(self, name: str, login: str = "", *, listener: str = "https") -> str:
        """Return the URL of a repository, perhaps with a user and a password in it."""
        url = self.served.url(name, listener=listener)
        return url.replace("://", f"://{login}@") if login else url


@pytest.fixture(scope="module")
def site(
    short: Generated, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("logins")
    hgrcs = {
        "open": f"{HOOK}[web]\nallow-push = ann @devs\n",
        "private": f"{HOOK}[web]\nallow_read = ann @devs\nallow-push = @devs\n",
    }
    folders = {name: copy_repository(short.folder, folder / name) for name in hgrcs}
    for name, text in hgrcs.items():
        write_hgrc(folders[name], text)
    write_htpasswd(folder / "htpasswd", ann="p:w @rd", mia="mia's", bob="bob's")
    write = {
        "writer": add_token(folder / "tokens", "mia"),
        "reader": add_token(folder / "tokens", "mia", read_only=True),
    }
    (folder / "groups").write_text("devs: mia cert-user proxied\n", "utf-8")
    clients = trustme.CA()
    clients.cert_pem.write_to_path(folder / "clients.pem")
    shown = clients.issue_cert("cert@example.org", common_name="cert-user")
    shown.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    names = {name: json.dumps(str(folder / name)) for name in ("htpasswd", "tokens", "groups")}
    tables = "[auth]\n" + "".join(f"{name} = {path}\n" for name, path in names.items())
    # All tests come from one address, and some fail on purpose.
    tables += "[limits]\nlogin_failures = 0\n"
    with Served.start(
        folders,
        folder,
        certificate=certificate,
        client_ca=folder / "clients.pem",
        tables=tables,
    ) as running:
        yield Site(
            served=running,
            tokens={name: token.decode() for name, (token, _) in write.items()},
            certificate=folder / "client.pem",
            options=("--config", f"web.cacerts={certificate / 'ca.pem'}"),
        )


RELEASES: Final = pytest.mark.parametrize("release", ["7", "6"])


@pytest.fixture
def hg(release: str, request: pytest.FixtureRequest) -> Hg:
    if release == "7":
        return HG7
    found: Hg = request.getfixturevalue("hg6")
    return found


def work(hg: Hg, site: Site, folder: Path, name: str, *, size: int = 10) -> Path:
    """Clone from the disk, so that nobody has to log in, and commit something new."""
    clone = folder / "clone"
    hg.run("clone", str(site.served.folders[name]), str(clone), folder=folder)
    # It does not become smaller.
    (clone / "new").write_bytes(os.urandom(size))
    hg.run("commit", "--addremove", "-m", "new", folder=clone)
    return clone


def logins(site: Site) -> Mapping[str, tuple[str, ...]]:
    """Return the options of each way to log in, besides a password in the URL."""
    prefix = site.url("open").rpartition("/")[0]
    auth = f"auth.here.prefix={prefix}"
    return {
        "auth": (
            *("--config", auth, "--config", "auth.here.username=mia"),
            *("--config", "auth.here.password=mia's"),
        ),
        "token": (
            *("--config", auth, "--config", "auth.here.username=mia"),
            *("--config", f"auth.here.password={site.tokens['writer']}"),
        ),
        "certificate": (
            *("--config", auth, "--config", f"auth.here.key={site.certificate}"),
            *("--config", f"auth.here.cert={site.certificate}"),
        ),
    }


USERS: Final = {"auth": "mia", "token": "mia", "certificate": "cert-user"}


@RELEASES
@pytest.mark.parametrize("way", USERS)
@pytest.mark.parametrize("name", ["open", "private"])
def test_a_push_by_each_way_to_log_in(
    hg: Hg, site: Site, tmp_path: Path, way: str, name: str
) -> None:
    clone = work(hg, site, tmp_path, name, size=LARGE)
    options = (*site.options, *logins(site)[way])
    pushed = hg.text("push", *options, "--force", site.url(name), folder=clone)
    assert f"pushed by={USERS[way]}" in pushed
    assert "remote: added 1 changesets" in pushed or "added 1 changesets" in pushed
    assert hg.nodes(".", folder=clone)[0] in HG7.nodes("all()", folder=site.served.folders[name])


@RELEASES
def test_a_password_in_the_url_clones_pulls_and_pushes(hg: Hg, site: Site, tmp_path: Path) -> None:
    url = site.url("open", f"ann:{quote('p:w @rd')}")
    private = site.url("private", f"ann:{quote('p:w @rd')}")
    hg.run("clone", *site.options, private, "private", folder=tmp_path)
    hg.run("pull", *site.options, private, folder=tmp_path / "private")
    clone = work(hg, site, tmp_path, "open")
    assert "pushed by=ann" in hg.text("push", *site.options, "--force", url, folder=clone)
    refusal = hg.refusal("push", *site.options, "--force", private, folder=clone)
    assert b"push not authorized" in refusal


@RELEASES
@pytest.mark.parametrize("listener", ["https", "http"])
def test_a_wrong_password_and_none_are_refused(
    hg: Hg, site: Site, tmp_path: Path, listener: str
) -> None:
    for login in ("ann:no", "nobody:no"):
        url = site.url("open", login, listener=listener)
        # Nobody is asked for a password before it is needed.
        hg.run("identify", *site.options, url, folder=tmp_path)
        private = site.url("private", login, listener=listener)
        refusal = hg.refusal("identify", *site.options, private, folder=tmp_path)
        assert b"abort: authorization failed" in refusal
    refusal = hg.refusal(
        "identify", *site.options, site.url("private", listener=listener), folder=tmp_path
    )
    assert b"abort: " in refusal
    assert b"Traceback" not in refusal


@RELEASES
def test_a_read_only_token_clones_and_does_not_push(hg: Hg, site: Site, tmp_path: Path) -> None:
    login = f"mia:{site.tokens['reader']}"
    hg.run("clone", *site.options, site.url("private", login), "private", folder=tmp_path)
    clone = work(hg, site, tmp_path, "open")
    refusal = hg.refusal("push", *site.options, "--force", site.url("open", login), folder=clone)
    assert b"push not authorized: this login may only read" in refusal


@RELEASES
def test_who_may_not_push_is_told_so_and_not_asked_again(
    hg: Hg, site: Site, tmp_path: Path
) -> None:
    clone = work(hg, site, tmp_path, "open", size=LARGE)
    url = site.url("open", "bob:bob's")
    refusal = hg.refusal("push", *site.options, "--force", url, folder=clone)
    assert b"HTTP Error 403: push not authorized" in refusal


def test_hg_6_logs_in_over_version_2(hg6: Hg, site: Site, tmp_path: Path) -> None:
    option = ("--config", "experimental.httppeer.advertise-v2=true")
    url = site.url("private", "mia:mia's")
    after = site.served.lines_logged()
    hg6.run("clone", *site.options, *option, url, "clone", folder=tmp_path)
    site.served.wait_for_request("/private/api/exp-http-v2-0003/ro/.*", after=after)


# --- curl ----------------------------------------------------------------------------------------

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def curl(site: Site, *arguments: str, folder: Path) -> str:
    """Return the status and the body."""
    authority = str(site.served.authority)
    found = subprocess.run(
        ["curl", "--silent", "--cacert", authority, "--write-out", " %{http_code}", *arguments],
        capture_output=True,
        check=True,
        cwd=folder,
        env=client_environment(),
        encoding="utf-8",
    )
    return found.stdout


@needs_curl
def test_curl_logs_in(site: Site, tmp_path: Path) -> None:
    url = f"{site.url('private')}?cmd=heads"
    (tmp_path / "netrc").write_text('machine localhost login ann password "p:w @rd"\n')
    pem = str(site.certificate)
    ways = [
        ("--user", "mia:mia's"),
        ("--user", "mia:mia's", "--anyauth"),
        ("--netrc-file", "netrc"),
        ("--header", f"Authorization: Bearer {site.tokens['reader']}"),
        ("--oauth2-bearer", site.tokens["reader"]),
        ("--cert", pem, "--key", pem),
    ]
    for way in ways:
        assert curl(site, *way, url, folder=tmp_path).endswith(" 200"), way
    assert curl(site, url, folder=tmp_path) == "0\nread not authorized\n 401"
    wrong = curl(site, "--user", "mia:no", url, folder=tmp_path)
    assert wrong == "wrong user name or password\n 401"
    assert curl(site, "--user", "bob:bob's", url, folder=tmp_path) == "0\nread not authorized\n 403"


@needs_curl
def test_a_write_inside_of_a_batch_asks_for_a_login_and_is_refused_to_others(
    site: Site, tmp_path: Path
) -> None:
    url = f"{site.url('open')}?cmd=batch"
    write = quote("pushkey namespace=bookmarks,key=batched,old=,new=", safe="")
    asking = ("--include", "--data", "", f"{url}&cmds={write}")
    anonymous = curl(site, *asking, folder=tmp_path)
    assert anonymous.endswith("\n0\npush not authorized\n 401")
    assert 'WWW-Authenticate: Basic realm="' in anonymous
    for way, status in (("bob:bob's", "403"), (f"mia:{site.tokens['reader']}", "403")):
        assert curl(site, "--user", way, *asking, folder=tmp_path).endswith(f" {status}"), way
    assert curl(site, "--user", "mia:mia's", *asking, folder=tmp_path).endswith(" 200")
    # What only reads needs no login, though it might have written.
    assert curl(site, "--data", "", f"{url}&cmds=heads+", folder=tmp_path).endswith(" 200")
