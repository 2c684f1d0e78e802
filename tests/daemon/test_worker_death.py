"""A worker killed while it answers, seen through the whole daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support import signalled
from support.commands_over_http import PUSHKEY, send_command
from support.configuration import configuration
from support.daemon import Daemon
from support.peers import Answer, parse_frames, read_answers
from support.repositories import make_repository, write_hgrc

if TYPE_CHECKING:
    from pathlib import Path

    from support.raw_http import RawConnection


def answer(connection: RawConnection) -> Answer:
    response = connection.receive_response()
    assert response.status == 200
    return read_answers("0006", parse_frames(b"".join(response.chunks or [])))[1]


def test_a_worker_killed_while_it_answers_costs_only_its_own_request(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # The hook waits for somebody to write to the pipe: the worker is then answering.
    write_hgrc(
        repository,
        f"[web]\npush_ssl = false\nallow-push = *\n[hooks]\nprepushkey.wait = cat {pipe}\n",
    )
    text = configuration(
        data=tmp_path / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        load=(),
    ).replace("false", "true")
    with Daemon.start(text, tmp_path) as daemon:
        with daemon.connect() as killed, daemon.connect() as other:
            send_command(other, "ro", "heads")
            before = answer(other)
            started = daemon.wait_for_log(r"repository worker (\d+) is ready")
            send_command(killed, "rw", "pushkey", PUSHKEY)
            # Opening for writing returns when the hook has opened the other end.
            with pipe.open("wb"):
                signalled.kill(int(started[1]))
                broken = answer(killed)
            assert broken.error is not None
            assert b"the repository worker ended before it answered" in broken.error
            send_command(killed, "ro", "heads")
            assert answer(killed) == before
            send_command(other, "ro", "heads")
            assert answer(other) == before
        assert "Traceback" not in daemon.log
