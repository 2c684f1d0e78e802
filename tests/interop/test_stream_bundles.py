"""Clones that copy the store without having asked for it, where clients are near."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from support.hg import HG7, copy_repository
from support.repositories import run_hg, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg

MADE: Final = r"a bundle of \S+/team is kept: none-v2;stream=v2"
UNPACKED: Final = b"finished applying clone bundle"
COPIED: Final = rb"files to transfer"


def test_a_plain_clone_of_a_client_that_is_near_copies_the_store(
    hg6: Hg, short: Generated, tmp_path: Path
) -> None:
    team = tmp_path / "team"
    copied = copy_repository(short.folder, tmp_path / "with secrets")
    run_hg("clone", "--pull", str(copied), str(team), folder=tmp_path)
    run_hg("phase", "--public", "-r", "all()", folder=team)
    with Served.start({"team": team}, tmp_path) as served:
        url = served.url("team")
        first = HG7.run("clone", "--noupdate", url, "first", folder=tmp_path)
        assert UNPACKED not in first
        served.daemon.wait_for_log(MADE)
        for number, hg in enumerate((HG7, hg6)):
            name = f"clone-{number}"
            output = hg.run("clone", "--noupdate", url, name, folder=tmp_path)
            # Though the answer that was kept is still the right one.
            assert UNPACKED in output
            assert re.search(COPIED, output)
            HG7.verify(tmp_path / name)
            assert HG7.view(tmp_path / name) == HG7.view(team)
        # What came since is pulled behind it.
        (team / "more").write_text("more")
        run_hg("update", "-q", "tip", folder=team)
        run_hg("commit", "-A", "-q", "-u", "x", "-m", "more", folder=team)
        last = HG7.run("clone", "--noupdate", url, "last", folder=tmp_path)
        assert UNPACKED in last
        assert HG7.view(tmp_path / "last").changesets.keys() == HG7.view(team).changesets.keys()


def test_a_host_may_turn_that_off_and_let_all_clients_do_so(
    short: Generated, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("no", "yes")}
    copied = copy_repository(short.folder, tmp_path / "with secrets")
    for name, folder in folders.items():
        run_hg("clone", "--pull", str(copied), str(folder), folder=tmp_path)
        write_hgrc(folder, f"[wiredaemon]\nstream-bundles-first = {name}\n")
    with Served.start(folders, tmp_path) as served:
        for name in folders:
            HG7.run("clone", "--noupdate", served.url(name), f"{name}-first", folder=tmp_path)
        for name, folder in folders.items():
            served.daemon.wait_for_log(MADE.replace("team", name))
            # From here on the answer that was kept is not the right one any more.
            run_hg("bookmark", "-r", "1", "more", folder=folder)
            output = HG7.run("clone", "--noupdate", served.url(name), f"{name}-2", folder=tmp_path)
            assert UNPACKED in output
            assert bool(re.search(COPIED, output)) == (name == "yes")
