"""The script for cron: what it prints, what it remembers, and its exit statuses."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.embedding import reactor
from support.environment import ROOT, environment
from support.responding import ensure_deferred
from twisted.internet.threads import deferToThread

from wiredaemon import Permission, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SCRIPT: Final = ROOT / "examples" / "script" / "new_heads.py"
ONE: Final = bytes(19) + b"\1"
TWO: Final = bytes(19) + b"\2"


@asynccontextmanager
async def serving(heads: list[bytes]) -> AsyncIterator[tuple[str, str]]:
    """A host with some heads, whose user Ann has a token and a password; its URLs."""

    def check_token(token: bytes) -> str | None:
        return "ann" if token == b"right" else None

    def check_password(user: str, password: bytes) -> str | None:
        return user if password == b"secret" else None

    service = Service(
        reactor=reactor(),
        authenticate=check_password,
        authenticate_token=check_token,
    )
    service.command("heads", permission=Permission.RO)(lambda _: heads)
    raw = await service.listen("tcp:0:interface=127.0.0.1")
    http = await service.listen_http("tcp:0:interface=127.0.0.1")
    try:
        yield http.url, raw.url
    finally:
        await service.stop()


def run(folder: Path, url: str, *options: str) -> tuple[int, str]:
    """The exit status of the script and what it prints, with a home without anything."""
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "--state", "seen", *options, url],
        cwd=folder,
        env={**environment(), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout


def token(folder: Path, secret: str) -> tuple[str, str]:
    (folder / "token").write_text(f"{secret}\n")
    return "--token-file", "token"


async def ran(*arguments: Any) -> tuple[int, str]:
    finished: tuple[int, str] = await deferToThread(run, *arguments)
    return finished


@ensure_deferred
async def test_each_head_is_printed_once(tmp_path: Path) -> None:
    heads = [bytes(20)]
    async with serving(heads) as (url, _):
        login = token(tmp_path, "right")
        assert await ran(tmp_path, url, *login) == (0, "")
        heads[:] = [TWO, ONE]
        shown = f"new: {ONE.hex()}\nnew: {TWO.hex()}\n"
        assert await ran(tmp_path, url, *login) == (0, shown)
        assert await ran(tmp_path, url, *login) == (0, "")
        assert not (tmp_path / "seen.new").exists()


@ensure_deferred
@pytest.mark.parametrize("kind", [0, 1], ids=["http", "raw"])
async def test_a_wrong_login_is_77_and_leaves_the_state(tmp_path: Path, kind: int) -> None:
    async with serving([ONE]) as urls:
        status, shown = await ran(tmp_path, urls[kind], *token(tmp_path, "wrong"))
        assert status == 77
        assert shown.startswith("new_heads: ")
        assert not (tmp_path / "seen").exists()


@ensure_deferred
async def test_netrc_has_the_login_where_there_is_no_token(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    async with serving([ONE]) as (url, _):
        assert await ran(tmp_path, url) == (0, f"new: {ONE.hex()}\n")


@ensure_deferred
async def test_a_server_that_is_away_is_69(tmp_path: Path) -> None:
    async with serving([ONE]) as (url, _):
        pass
    status, shown = await ran(tmp_path, url)
    assert (status, shown.count("\n")) == (69, 1)


@ensure_deferred
async def test_a_port_that_speaks_something_else_is_70(tmp_path: Path) -> None:
    async with serving([ONE]) as (_, raw):
        status, shown = await ran(tmp_path, raw.replace("hgrpc:", "http:"))
    assert (status, "it speaks frames" in shown) == (70, True)


def missing_token(_: Path) -> tuple[str, str]:
    return "--token-file", "nosuch"


def unreadable_state(folder: Path) -> tuple[()]:
    (folder / "seen").mkdir()
    return ()


@pytest.mark.parametrize("spoil", [missing_token, unreadable_state])
def test_a_file_that_cannot_be_read_is_74(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    status, shown = run(tmp_path, "http://127.0.0.1:1/", *spoil(tmp_path))
    assert (status, shown.count("\n")) == (74, 1)
