"""The time of day is set while the daemon runs: what measures time goes on, what expires follows.

The daemon has a clock that a file moves, in place of `time.time`.
"""

from __future__ import annotations

import base64
import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import pytest
from support.accounts import add_token, write_htpasswd
from support.configuration import configuration
from support.daemon import Daemon
from support.environment import environment

if TYPE_CHECKING:
    from pathlib import Path

    from support.raw_http import RawConnection, RawResponse

DAY: Final = 24 * 3600
COMMANDS: Final = """
from time import monotonic

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wiredaemon.commands import Permission, command

log = Logger()


@command("nap", permission=Permission.RO)
async def nap(context):
    begun = monotonic()
    nap = deferLater(reactor, 0.5)
    log.info("napping")
    await nap
    return b"slept well" if monotonic() - begun > 0.4 else b"woken"
"""
CLOCK: Final = """
import os
import time

_seconds = time.time


def _moved():
    with open(os.environ["CLOCK_MOVED_BY"]) as file:
        return _seconds() + float(file.read())


time.time = _moved
"""
MEDIA_TYPE: Final = "application/mercurial-exp-framing-0006"


class Clock:
    """The clock of a daemon."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "moved"
        self.set(0)
        modules = folder / "modules"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(CLOCK, "utf-8")
        path = os.pathsep.join([str(modules), environment()["PYTHONPATH"]])
        self.variables = {"PYTHONPATH": path, "CLOCK_MOVED_BY": str(self._file)}

    def set(self, seconds: float) -> None:
        """Set the clock so many seconds from now."""
        new = self._file.with_name("moving")
        new.write_text(str(seconds), "utf-8")
        new.replace(self._file)


def started(folder: Path, clock: Clock, more: str = "") -> Daemon:
    module = folder / "nap.py"
    module.write_text(COMMANDS, "utf-8")
    text = configuration(
        data=folder / "data", framings={"exp-http-v2-0003": ["0006"]}, load=[module], more=more
    )
    for switch in ("enabled", "http_v2"):
        text = text.replace(f"{switch} = false", f"{switch} = true")
    return Daemon.start(text, folder, variables=clock.variables)


def nap(connection: RawConnection, *headers: str) -> bytes:
    """Return a request for the command."""
    body = b"\x0a\x00\x00\x01\x00\x01\x01\x11\xa1\x44name\x43nap"
    lines = [
        "POST /api/exp-http-v2-0003/ro/nap HTTP/1.1",
        f"Host: {connection.authority}",
        f"Accept: {MEDIA_TYPE}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def second_of(response: RawResponse) -> datetime:
    """Return the time of day that the daemon has put into a response."""
    return parsedate_to_datetime((response.header(b"Date") or b"").decode())


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_deadlines_neither_pass_nor_stop_when_the_clock_is_set(tmp_path: Path, jump: int) -> None:
    clock = Clock(tmp_path)
    with (
        started(tmp_path, clock) as daemon,
        daemon.connect() as idle,
        daemon.connect() as waiting,
    ):
        assert b"slept well" in idle.exchange(nap(idle)).body
        after = daemon.lines_logged()
        waiting.send(nap(waiting))
        daemon.wait_for_log("napping", after=after)
        clock.set(jump)
        # Set forward, the clock would wake the command at once; set back, in a day.
        begun = time.monotonic()
        response = waiting.receive_response()
        assert b"slept well" in response.body
        assert time.monotonic() - begun < 10
        response = idle.exchange(nap(idle))
        assert b"slept well" in response.body
        seconds = (second_of(response) - datetime.now(UTC)).total_seconds()
        assert seconds == pytest.approx(jump, abs=30)
        assert "Traceback" not in daemon.log


def test_a_token_expires_by_the_time_of_day_and_counts_again_when_that_is_set_back(
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path)
    tokens = tmp_path / "tokens"
    token, _ = add_token(tokens, "ann", expires=datetime.now(UTC) + timedelta(hours=1))
    htpasswd = write_htpasswd(tmp_path / "htpasswd", ann="password")
    more = f"[auth]\ntokens = '{tokens}'\nhtpasswd = '{htpasswd}'\n[web]\nallow_read = ['ann']\n"
    login = base64.b64encode(b"ann:password").decode()
    with started(tmp_path, clock, more) as daemon, daemon.connect() as connection:
        found = []
        for jump in (0, DAY, -DAY, 0):
            clock.set(jump)
            bearer = nap(connection, f"Authorization: Bearer {token.decode()}")
            basic = nap(connection, f"Authorization: Basic {login}")
            found.append((connection.exchange(bearer).status, connection.exchange(basic).status))
        assert found == [(200, 200), (401, 200), (200, 200), (200, 200)]
