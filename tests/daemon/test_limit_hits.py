"""Limits that single requests hit, through real sockets: each is named, counted and logged."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from support.accounts import write_htpasswd
from support.configuration import configuration
from support.daemon import Daemon
from support.peers import request_frames
from support.raw_http import post
from support.repositories import make_repository, write_hgrc
from support.web import MEDIA, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.raw_http import RawConnection, RawResponse

COUNT: Final = """
from wiredaemon.commands import Permission, command


@command("count", permission=Permission.RO, has_data=True)
async def count(context):
    return len(await context.data.read())
"""
HEADERS: Final = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
PUSHKEY: Final = {b"namespace": b"bookmarks", b"key": b"new", b"old": b"", b"new": b"0" * 40}


@contextmanager
def running(folder: Path, more: str, *, repository: Path | None = None) -> Iterator[Daemon]:
    commands = folder / "count.py"
    commands.write_text(COUNT, encoding="utf-8")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        listen=("http", "framed"),
        load=(commands,),
        more=more,
    )
    with Daemon.start(text.replace("false", "true"), folder) as daemon:
        yield daemon


def asked(
    connection: RawConnection,
    name: str,
    arguments: Mapping[bytes, object] | None = None,
    *,
    permission: str = "ro",
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send one command over HTTP."""
    body = b"".join(request_frames("0006", 1, name.encode(), arguments or {}, data=data))
    target = path_of("0006", name, permission)
    connection.send(post(target, connection.authority, {**HEADERS, **(headers or {})}, body))


@pytest.mark.parametrize("kind", ["http", "framed"])
def test_command_data_beyond_its_limit(tmp_path: Path, kind: str) -> None:
    with (
        running(tmp_path, "[limits]\ncommand_data = 1000\n") as daemon,
        daemon.connect(kind) as connection,
    ):
        if kind == "http":
            asked(connection, "count", data=bytes(1001))
            answer = connection.receive_response().body
        else:
            connection.send(b"".join(request_frames("0006", 1, b"count", data=bytes(1001))))
            connection.end_input()
            answer = connection.receive_to_end()
        assert b"command data exceeds the limit of 1000 bytes (command_data)" in answer
        daemon.wait_for_log(r"limit command_data \(1000\) was hit by 127\.0\.0\.1:\d+; 1 times")


def test_commands_too_many_that_wait_for_a_worker(tmp_path: Path) -> None:
    repository, gate = make_repository(tmp_path / "repository"), tmp_path / "gate"
    hook = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    write_hgrc(
        repository, f"[web]\npush_ssl = no\nallow-push = *\n[hooks]\nprepushkey.wait = {hook}\n"
    )
    limits = "[limits]\nworker_queue = 1\nworker_processes = 2\n"
    with running(tmp_path, limits, repository=repository) as daemon, ExitStack() as stack:
        held = [stack.enter_context(daemon.connect()) for _ in range(6)]
        for each in held:
            asked(each, "pushkey", PUSHKEY, permission="rw")
        daemon.wait_for_log(r"limit worker_queue \(1\) was hit by 127\.0\.0\.1:\d+; 1 times")
        gate.touch()
        answers = [each.receive_response().body for each in held]
    assert any(b"(worker_queue)" in answer for answer in answers)
    assert not all(b"(worker_queue)" in answer for answer in answers)


def login(connection: RawConnection, name: str) -> None:
    """Ask with a wrong password."""
    basic = b64encode(f"{name}:wrong".encode()).decode()
    asked(connection, "count", headers={"Authorization": f"Basic {basic}"})


def auth(folder: Path) -> str:
    write_htpasswd(folder / "htpasswd", ann="secret")
    return f"[auth]\nhtpasswd = {json.dumps(str(folder / 'htpasswd'))}\n"


def check_refused(response: RawResponse, status: int, name: bytes) -> None:
    assert response.status == status
    assert response.body.endswith(b"(" + name + b")\n")
    assert response.header(b"Retry-After") is not None


def test_failed_logins_too_many(tmp_path: Path) -> None:
    with running(tmp_path, f"{auth(tmp_path)}[limits]\nlogin_failures = 1\n") as daemon:
        with daemon.connect() as connection:
            login(connection, "ann")
            assert connection.receive_response().status == 401
        with daemon.connect() as connection:
            login(connection, "ann")
            check_refused(connection.receive_response(), 429, b"login_failures")
        daemon.wait_for_log(r"limit login_failures \(1\) was hit by 127\.0\.0\.1:\d+; 1 times")


def test_logins_too_many_that_wait_to_be_checked(tmp_path: Path) -> None:
    limits = "[limits]\nlogin_failures = 0\nlogin_queue = 1\n"
    with running(tmp_path, auth(tmp_path) + limits) as daemon, ExitStack() as stack:
        held = [stack.enter_context(daemon.connect()) for _ in range(16)]
        for number, each in enumerate(held):
            login(each, f"user{number}")
        responses = [each.receive_response() for each in held]
        for response in responses:
            if response.status != 401:
                check_refused(response, 503, b"login_queue")
        assert {response.status for response in responses} == {401, 503}
        daemon.wait_for_log(r"limit login_queue \(1\) was hit by 127\.0\.0\.1:\d+; 1 times")
