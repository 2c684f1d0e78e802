"""Clones that copy the store without having asked for it, where a repository wants that."""

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


def test_a_plain_clone_copies_the_store_where_that_goes_first(
    hg6: Hg, short: Generated, tmp_path: Path
) -> None:
    team = tmp_path / "team"
    copied = copy_repository(short.folder, tmp_path / "with secrets")
    run_hg("clone", "--pull", str(copied), str(team), folder=tmp_path)
    run_hg("phase", "--public", "-r", "all()", folder=team)
    write_hgrc(team, "[wiredaemon]\nstream-bundles-first = yes\n")
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
