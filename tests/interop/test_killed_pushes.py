"""A push that is killed when its changesets can be seen already, and is rolled back then."""

from __future__ import annotations

import os
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final

from support.hg import HG7, copy_repository
from support.repositories import write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

    from interop.conftest import Generated

SECONDS: Final = 60.0
HOOK: Final = """
import os, signal


def kill_when_written(ui, repo, **_):
    if os.path.exists({done!r}):
        return
    open({begun!r}, "w").close()
    open({goes_on!r}).close()  # a pipe with a name: waits for who writes to it
    # Finalizers run in the order of their names, that of the changesets before this one.
    repo.currenttransaction().addfinalize(b"zzz", kill)


def kill(_):
    open({done!r}, "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
HGRC: Final = "[hooks]\npretxnclose = python:{hook}:kill_when_written\n"
SETTINGS: Final = 'push_ssl = false\nallow-push = ["*"]'


def test_a_client_does_not_take_for_pushed_what_is_rolled_back(
    short: Generated, tmp_path: Path
) -> None:
    names = ("begun", "goes_on", "done")
    files = {name: tmp_path / name for name in names}
    os.mkfifo(files["goes_on"])
    hook = tmp_path / "hook.py"
    hook.write_text(HOOK.format(**{name: str(file) for name, file in files.items()}), "utf-8")
    team = copy_repository(short.folder, tmp_path / "team")
    write_hgrc(team, HGRC.format(hook=hook))
    with Served.start({"team": team}, tmp_path, web=SETTINGS) as served:
        url = served.url("team")
        clones = [tmp_path / name for name in ("one", "two")]
        nodes = []
        for clone in clones:
            HG7.run("clone", "--noupdate", url, str(clone), folder=tmp_path)
            (clone / clone.name).write_text("work")
            HG7.run("commit", "--addremove", "-m", clone.name, folder=clone)
            nodes.append(HG7.text("log", "-r", ".", "-T", "{node}", folder=clone))
        with HG7.popen("push", "--force", url, folder=clones[0]) as pushing:
            end = time.monotonic() + SECONDS
            while not files["begun"].exists():
                assert time.monotonic() < end
            # From here on reads do not have the transaction examined, for a second.
            heads(served.daemon.port("http"))
            files["goes_on"].open("w").close()
            pushing.communicate(timeout=SECONDS)
        assert pushing.returncode == 255
        assert files["done"].exists()
        for clone in clones:
            with HG7.popen("push", "--force", url, folder=clone) as again:
                output, _ = again.communicate(timeout=SECONDS)
            # 1: there is nothing to push, which must be true then.
            assert again.returncode in {0, 1}, output
    HG7.verify(team)
    assert set(nodes) <= set(HG7.nodes("all()", folder=team))


def heads(port: int) -> bytes:
    """Ask for the heads."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("GET", "/team?cmd=heads")
    content = connection.getresponse().read()
    connection.close()
    return content
