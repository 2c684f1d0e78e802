"""Signals to a real daemon at the moments in which nobody handled them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sysconfig
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import DEADLINE
from support.environment import environment

if TYPE_CHECKING:
    from pathlib import Path

EARLY: Final = '''"""Sends a SIGTERM to its own process as soon as the log says that it is ready."""

import os
import signal

from twisted.logger import globalLogPublisher

from wiredaemon.commands import Permission, command


def stop(event):
    if event.get("log_format") == "wiredaemon is ready":
        os.kill(os.getpid(), signal.SIGTERM)


globalLogPublisher.addObserver(stop)


@command("nothing", permission=Permission.RO)
def nothing(context):
    return None
'''


@pytest.mark.daemon
def test_a_stop_as_soon_as_the_daemon_says_that_it_is_ready_is_orderly(tmp_path: Path) -> None:
    early = tmp_path / "early.py"
    early.write_text(EARLY, encoding="utf-8")
    file, pid_file = tmp_path / "wiredaemon.toml", tmp_path / "twistd.pid"
    text = configuration(data=tmp_path / "data", framings={}, load=(early,))
    file.write_text(text, encoding="utf-8")
    twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
    assert twistd is not None
    ended = subprocess.run(
        [twistd, "--nodaemon", f"--pidfile={pid_file}", "wiredaemon", "--config", str(file)],
        cwd=tmp_path,
        env=environment(),
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    said = ended.stdout + ended.stderr
    assert "wiredaemon is ready" in said
    # What twistd says when all has ended: the process was not ended by the signal itself.
    assert "Server Shut Down." in said
    assert not pid_file.exists()
    # Twisted sends the signal to its own process when all has ended.
    assert ended.returncode == -signal.SIGTERM
