"""No descriptors are left: connections are closed at once, and all is well when others end."""

from __future__ import annotations

import os
import re
import resource
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from faults.conftest import Work, ask, commit, files_of
from support import signalled
from support.environment import LOOPBACK
from support.hg import HG7
from support.raw_http import RawConnection
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.daemon import Daemon

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="limits of other processes are Linux's"
)
TICKS: Final = os.sysconf("SC_CLK_TCK")


@contextmanager
def descriptors_left(daemon: Daemon, left: int) -> Iterator[None]:
    """Let the daemon have so many descriptors more than now; with 0 it can open nothing at all."""
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path(f"/proc/{daemon.pid}/fd").iterdir())
    # Some lower numbers may be free, but never those of the standard files.
    most = highest + 1 + left if left else 3
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)


@contextmanager
def serving(tmp_path: Path, work: Work) -> Iterator[tuple[Served, RawConnection]]:
    """A daemon, and a connection to it that is kept open."""
    with Served.start({"r": work.repository}, tmp_path) as served, served.daemon.connect() as kept:
        assert ask(kept, "heads").status == 200
        yield served, kept


def seconds_used(daemon: Daemon) -> float:
    """Return the seconds of processor that the daemon has taken."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def is_closed(connection: socket.socket) -> bool:
    """Wait until the daemon has closed a connection, or say that it has not within a moment."""
    connection.settimeout(0.2)
    try:
        return not connection.recv(1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_without_descriptors_connections_are_closed_at_once_until_others_end(
    tmp_path: Path, work: Work
) -> None:
    with serving(tmp_path, work) as (served, kept), ExitStack() as stack:
        daemon = served.daemon
        after = daemon.lines_logged()
        with descriptors_left(daemon, 3):
            many = [
                stack.enter_context(socket.create_connection((LOOPBACK, daemon.port())))
                for _ in range(40)
            ]
            daemon.wait_for_log("no descriptor is left", after=after)
            open_ones = [each for each in many if not is_closed(each)]
            assert 1 <= len(open_ones) <= 10
            assert ask(kept, "heads").status == 200
            for each in open_ones:
                each.close()
            # The places of those that have ended are given to others.
            while True:
                with RawConnection(daemon.port()) as again:
                    try:
                        assert ask(again, "heads").status == 200
                    except (EOFError, ConnectionError):
                        continue
                    break
        work.push(served.url("r"))
        lines = daemon.log.splitlines()[after:]
        assert sum("no descriptor is left" in line for line in lines) == 1
        assert not any("EMFILE" in line or "Traceback" in line for line in lines)


def test_a_port_that_cannot_even_refuse_does_not_keep_the_daemon_busy(
    tmp_path: Path, work: Work
) -> None:
    with serving(tmp_path, work) as (served, kept), ExitStack() as stack:
        daemon = served.daemon
        after = daemon.lines_logged()
        with descriptors_left(daemon, 0):
            waiting = stack.enter_context(RawConnection(daemon.port()))
            daemon.wait_for_log(
                "connections cannot be accepted, next try in 1 s: EMFILE", deadline=10
            )
            before = seconds_used(daemon)
            # It takes some seconds, in which the daemon answers whoever is connected.
            waiting.socket.settimeout(2.5)
            with pytest.raises(TimeoutError):
                ask(waiting, "heads")
            assert ask(kept, "heads").status == 200
            assert seconds_used(daemon) - before < 1
        waiting.socket.settimeout(20)
        assert waiting.receive_response().status == 200
        lines = daemon.log.splitlines()[after:]
        assert sum("connections cannot be accepted" in line for line in lines) == 1
        assert not any("Traceback" in line for line in lines)


def test_a_worker_that_cannot_be_started_is_said_and_tried_again(
    tmp_path: Path, work: Work
) -> None:
    # Else another one answers.
    one = "[limits]\nworker_least = 1\n"
    with Served.start({"r": work.repository}, tmp_path, tables=one) as served:
        daemon = served.daemon
        with daemon.connect() as connection:
            assert ask(connection, "heads").status == 200
            ready = daemon.wait_for_log(r"repository worker (\d+) is ready")
            with descriptors_left(daemon, 0):
                after = daemon.lines_logged()
                signalled.kill(int(ready[1]))
                response = ask(connection, "heads")
                assert b"the repository worker cannot be started" in response.body
            daemon.wait_for_log(r"repository worker \d+ is ready", after=after)
            assert b"cannot" not in ask(connection, "heads").body
        lines = daemon.log.splitlines()[after:]
        assert any("next try in 0.5 s" in line and "Too many open" in line for line in lines)
        assert not any("Traceback" in line for line in lines)


def test_what_is_kept_stays_kept_while_it_cannot_be_opened(tmp_path: Path, work: Work) -> None:
    nodes = [commit(work.repository, "large", os.urandom(300_000))]
    HG7.run("phase", "--public", "-r", "all()", folder=work.repository)
    with (
        Served.start({"r": work.repository}, tmp_path) as served,
        served.daemon.connect() as connection,
    ):
        ask(connection, "filesdata", files_of(nodes))
        served.daemon.wait_for_log(r"a response of \d+ bytes is kept")
        answer = ask(connection, "filesdata", files_of(nodes)).body
        folder = tmp_path / "data" / "cache" / "responses"
        (kept,) = (path for path in folder.iterdir() if path.name != "lock")
        after = served.lines_logged()
        with descriptors_left(served.daemon, 0):
            # A worker answers, whose stream is another one.
            assert len(ask(connection, "filesdata", files_of(nodes)).body) > 300_000
        assert kept.exists()
        assert ask(connection, "filesdata", files_of(nodes)).body == answer
        lines = served.daemon.log.splitlines()[after:]
        said = [line for line in lines if "Too many open files" in line]
        assert len(said) <= 2
        assert any(re.search("a kept response cannot be read", line) for line in said)
        assert not any("Traceback" in line for line in lines)
