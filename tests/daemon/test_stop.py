"""A daemon that is stopped while it works: what began ends, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import DEADLINE, Daemon
from support.hg import HG7
from support.peers import item, parse_frames, read_answers, request_frames
from support.raw_http import post, trusting
from support.repositories import make_repository, run_hg, write_hgrc
from support.web import MEDIA, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.raw_http import RawConnection

FRAMINGS: Final = {"exp-http-v2-0003": ("0006",)}
STOPPING: Final = item(
    {b"type": b"protocol", b"message": [{b"msg": b"the server is stopping"}]}, canonical=False
)
OPEN: Final = "[web]\npush_ssl = false\nallow-push = *\n"
PUSHKEY: Final = {
    b"namespace": b"bookmarks",
    b"key": b"new",
    b"old": b"",
    b"new": b"0" * 40,
}


def children(pid: int) -> set[int]:
    """The processes below a process, as far as /proc knows them."""
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text("ascii").split()):
            found |= {child} | children(child)
    return found


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for being noticed by its new parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def hooked(tmp_path: Path, hook: str, *, seconds: float = 30) -> Iterator[tuple[Daemon, Path]]:
    """A daemon whose repository has a hook that waits for somebody to write to a pipe."""
    repository = make_repository(tmp_path / "repository")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    write_hgrc(repository, f"{OPEN}[hooks]\n{hook}.wait = cat {pipe}\n")
    text = configuration(
        data=tmp_path / "data",
        framings=FRAMINGS,
        repository=repository,
        listen=("http", "framed", "framed_tls"),
        load=(),
        more=f"[server]\ndrain_seconds = {seconds}\n",
    ).replace("false", "true")
    with Daemon.start(text, tmp_path) as daemon:
        yield daemon, pipe


def send(connection: RawConnection, name: str, arguments: Mapping[bytes, object]) -> None:
    """Send one command over HTTP."""
    body = b"".join(request_frames("0006", 1, name.encode(), arguments))
    headers = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
    permission = "rw" if name == "pushkey" else "ro"
    connection.send(post(path_of("0006", name, permission), connection.authority, headers, body))


def terminate(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGTERM)


def test_a_push_whose_hook_runs_ends_and_hg_has_all_its_answers(tmp_path: Path) -> None:
    with hooked(tmp_path, "pretxnclose") as (daemon, pipe):
        url = f"http://127.0.0.1:{daemon.port()}/"
        copy = tmp_path / "copy"
        HG7.run("clone", url, str(copy), folder=tmp_path)
        (copy / "new").write_text("new\n")
        HG7.run("commit", "--addremove", "-m", "new", folder=copy)
        HG7.run("bookmark", "mark", folder=copy)
        with HG7.popen("push", "-B", "mark", "--force", folder=copy) as pushing:
            with pipe.open("wb"):
                terminate(daemon)
                daemon.wait_for_log("connections have 30 s to end")
            output, _ = pushing.communicate(timeout=DEADLINE)
        assert pushing.returncode == 0, output
        assert daemon.wait() == -signal.SIGTERM
        assert "Traceback" not in daemon.log
    tip = run_hg(
        "log", "-r", "tip", "-T", "{node} {phase} {bookmarks}", folder=tmp_path / "repository"
    )
    assert tip == run_hg("log", "-r", "tip", "-T", "{node} public mark", folder=copy)


@pytest.mark.parametrize("last", ["unbundle", "listkeys", "pushkey"])
def test_a_stop_behind_any_answer_to_a_push_leaves_hg_all_the_others(
    tmp_path: Path, last: str
) -> None:
    repository = make_repository(tmp_path / "repository")
    write_hgrc(repository, OPEN)
    text = configuration(
        data=tmp_path / "data",
        framings=FRAMINGS,
        repository=repository,
        load=(),
        more="[log]\nrequests = true\n",
    )
    with Daemon.start(text, tmp_path) as daemon:
        url, copy = f"http://127.0.0.1:{daemon.port()}/", tmp_path / "copy"
        HG7.run("clone", url, str(copy), folder=tmp_path)
        (copy / "new").write_text("new\n")
        HG7.run("commit", "--addremove", "-m", "new", folder=copy)
        HG7.run("bookmark", "mark", folder=copy)
        # The older form of a push has a request of its own for each bookmark.
        older = ("--config", "devel.legacy.exchange=bundle1")
        with HG7.popen("push", *older, "-B", "mark", "--force", folder=copy) as pushing:
            daemon.wait_for_log("cmd=unbundle")
            if last != "unbundle":
                # Of the same name there was one before the push, for the bookmarks.
                after = next(
                    n for n, line in enumerate(daemon.log.splitlines()) if "cmd=unb" in line
                )
                daemon.wait_for_log(f"cmd={last}", after=after)
            terminate(daemon)
            output, _ = pushing.communicate(timeout=DEADLINE)
        assert pushing.returncode == 0, output
        assert daemon.wait() == -signal.SIGTERM
    tip = run_hg("log", "-r", "tip", "-T", "{desc} {bookmarks}", folder=repository)
    assert tip == b"new mark"


def test_kept_connections_are_closed_and_raw_requests_that_run_are_answered(
    tmp_path: Path,
) -> None:
    with (
        hooked(tmp_path, "prepushkey") as (daemon, pipe),
        daemon.connect() as idle,
        daemon.connect("framed") as raw,
        daemon.connect("framed") as silent,
        daemon.connect("framed_tls", tls=trusting(None)) as secure,
    ):
        secure.send(b"".join(request_frames("0006", 1, b"heads")))
        secure.receive_exactly(8)
        send(idle, "heads", {})
        assert idle.receive_response().status == 200
        raw.send(b"".join(request_frames("0006", 1, b"pushkey", PUSHKEY)))
        with pipe.open("wb"):
            terminate(daemon)
            assert idle.receive_to_end() == b""
            for each in (silent, secure):
                assert each.receive_to_end().endswith(STOPPING)
            raw.send(b"".join(request_frames("0006", 3, b"heads")[:1]))
            refused = raw.receive_exactly(8)
        answers = read_answers("0006", parse_frames(refused + raw.receive_to_end()))
        assert answers[1].error is None
        assert answers[3].error is not None
        assert b"the server is stopping" in answers[3].error
        assert daemon.wait() == -signal.SIGTERM
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("again", [False, True])
def test_what_takes_too_long_is_broken_off_and_no_process_stays(
    tmp_path: Path, *, again: bool
) -> None:
    with (
        hooked(tmp_path, "prepushkey", seconds=30 if again else 1) as (daemon, pipe),
        daemon.connect() as busy,
    ):
        send(busy, "pushkey", PUSHKEY)
        with pipe.open("wb"):
            below = children(daemon.pid)
            assert len(below) >= 2, "a worker and its hook"
            began = time.monotonic()
            terminate(daemon)
            if again:
                daemon.wait_for_log("connections have 30 s to end")
                terminate(daemon)
            assert daemon.wait(deadline=1 + 15) == -signal.SIGTERM
            assert time.monotonic() - began < 1 + 15
            assert not [pid for pid in below if is_running(pid)]
        with pytest.raises(ConnectionResetError):
            busy.receive_to_end()
        assert "Traceback" not in daemon.log


def test_new_connections_are_refused_while_the_daemon_stops(tmp_path: Path) -> None:
    with hooked(tmp_path, "prepushkey") as (daemon, pipe), daemon.connect() as busy:
        send(busy, "pushkey", PUSHKEY)
        with pipe.open("wb"):
            terminate(daemon)
            daemon.wait_for_log("connections have 30 s to end")
            with pytest.raises(ConnectionRefusedError):
                daemon.connect()
        assert busy.receive_response().status == 200
