"""Commands that block, through a running daemon: they keep nobody waiting but each other."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from fcntl import LOCK_EX, LOCK_UN, flock
from typing import IO, TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.hg import HG7
from support.peers import request_frames, settings_frames
from support.raw_http import post
from support.repositories import make_repository, write_hgrc
from support.web import MEDIA, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.raw_http import RawConnection

BLOCKED: Final = 12
"""More than the threads of the reactor's own pool."""
HEADERS: Final = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
COMMANDS: Final = """
from fcntl import LOCK_SH, flock

from twisted.logger import Logger

from wiredaemon.commands import Permission, command

log = Logger()


@command("block", permission=Permission.RO, is_blocking=True)
def block(context):
    log.info("a command blocks")
    with open({gate!r}, "rb") as gate:
        flock(gate, LOCK_SH)
    return b"done"


@command("large", permission=Permission.RO)
def large(context):
    return bytes(1024 * 1024)
"""


@contextmanager
def running(folder: Path, more: str = "") -> Iterator[tuple[Daemon, IO[bytes]]]:
    """A daemon with a repository and a command that blocks until a file is unlocked."""
    gate = folder / "gate"
    gate.touch()
    commands = folder / "blocks.py"
    commands.write_text(COMMANDS.format(gate=str(gate)), encoding="utf-8")
    repository = make_repository(folder / "repository")
    # Answers of clones are to be kept, and none is to be made of a bundle.
    write_hgrc(repository, "[server]\nbundle1 = yes\n")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        listen=("http", "framed"),
        load=(commands,),
        more=more,
    )
    with gate.open("wb") as lock:
        flock(lock, LOCK_EX)
        with Daemon.start(text.replace("false", "true"), folder) as daemon:
            try:
                yield daemon, lock
            finally:
                flock(lock, LOCK_UN)


def ask(connection: RawConnection, name: str) -> None:
    settings = settings_frames(b"zlib") if name == "large" else []
    body = b"".join([*settings, *request_frames("0006", 1, name.encode())])
    connection.send(post(path_of("0006", name), connection.authority, HEADERS, body))


def block(daemon: Daemon, stack: ExitStack, count: int) -> list[RawConnection]:
    """Let commands block, each on a connection of its own, and wait until they do."""
    held = [stack.enter_context(daemon.connect()) for _ in range(count)]
    for each in held:
        logged = daemon.lines_logged()
        ask(each, "block")
        daemon.wait_for_log("a command blocks", after=logged)
    return held


def test_commands_that_block_keep_no_clone_and_no_encoder_waiting(tmp_path: Path) -> None:
    with running(tmp_path) as (daemon, lock), ExitStack() as stack:
        url = f"http://127.0.0.1:{daemon.port()}/"
        held = block(daemon, stack, BLOCKED)
        for number in range(3):  # the first answer is recorded, later ones are the kept one
            HG7.run("clone", "-U", url, str(tmp_path / f"copy{number}"), folder=tmp_path)
        with daemon.connect() as connection:
            ask(connection, "large")
            assert len(connection.receive_response().body) < 1024 * 1024 // 8
        flock(lock, LOCK_UN)
        for each in held:
            assert b"done" in each.receive_response().body


def test_commands_that_find_no_thread_wait_and_too_many_are_refused(tmp_path: Path) -> None:
    limits = "[limits]\nblocking_threads = 2\nblocking_waiting = 1\n"
    with running(tmp_path, limits) as (daemon, lock), ExitStack() as stack:
        held = block(daemon, stack, 2)
        waiting, refused = (stack.enter_context(daemon.connect()) for _ in range(2))
        ask(waiting, "block")
        ask(refused, "large")
        refused.receive_response()  # behind it the first of them waits
        ask(refused, "block")
        assert b"of 1 that may (blocking_waiting)" in refused.receive_response().body
        daemon.wait_for_log(r"limit blocking_waiting \(1\) was hit by 127\.0\.0\.1:\d+; 1 times")
        flock(lock, LOCK_UN)
        for each in (*held, waiting):
            assert b"done" in each.receive_response().body


@pytest.mark.parametrize("count", [0, 3])
def test_the_threads_end_with_the_daemon(tmp_path: Path, count: int) -> None:
    with (
        running(tmp_path, "[server]\ndrain_seconds = 30\n") as (daemon, lock),
        ExitStack() as stack,
    ):
        held = block(daemon, stack, count)
        os.kill(daemon.pid, signal.SIGTERM)
        if held:
            daemon.wait_for_log("connections have 30 s to end")
            flock(lock, LOCK_UN)
        for each in held:
            assert each.receive_response().status == 200
        assert daemon.wait() == -signal.SIGTERM
