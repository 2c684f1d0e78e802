"""Pushes by a real client whose connection breaks before it has the answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from support.cutting import BEFORE, CuttingProxy
from support.hg import HG7, HgError, copy_repository
from support.repositories import write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.conftest import Generated

CUTS: Final = int(os.environ.get("WIREDAEMON_CUTS", "10"))
"""Places of the answer at which it is cut off."""
HGRC: Final = """[phases]
publish = no
[web]
push_ssl = no
allow-push = *
[hooks]
incoming = echo $HG_NODE >> {seen}
incoming.output = echo seen by a hook
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A repository that everybody may push to, behind the proxy; and a clone of it."""

    served: Served
    proxy: CuttingProxy
    clone: Path
    seen: Path

    def commit(self, text: str) -> str:
        """Commit a change, and return its node."""
        (self.clone / "work").write_text(text, encoding="utf-8")
        HG7.run("commit", "--addremove", "-m", text, folder=self.clone)
        return HG7.text("log", "-r", ".", "-T", "{node}", folder=self.clone)

    def push(self) -> tuple[int, str]:
        """Push; return the exit code and what was said."""
        try:
            return 0, HG7.run("push", folder=self.clone).decode()
        except HgError as error:
            return error.code, error.output.decode()

    def arrived(self, node: str) -> tuple[int, int]:
        """Return how often a changeset is in the repository, and how often the hook has run."""
        log = HG7.text("log", "-T", "{node}\n", folder=self.served.folders["team"])
        hooks = self.seen.read_text("ascii") if self.seen.exists() else ""
        return log.split().count(node), hooks.split().count(node)


@pytest.fixture(scope="module")
def hosted(short: Generated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    folder = tmp_path_factory.mktemp("cut")
    team, seen = copy_repository(short.folder, folder / "team"), folder / "seen"
    write_hgrc(team, HGRC.format(seen=seen))
    with Served.start({"team": team}, folder) as served:
        port = int(served.url("team").rpartition(":")[2].partition("/")[0])
        with CuttingProxy(port) as proxy:
            HG7.run("clone", f"http://127.0.0.1:{proxy.port}/team", "clone", folder=folder)
            yield Hosted(served=served, proxy=proxy, clone=folder / "clone", seen=seen)


def test_a_push_that_breaks_off_before_its_answer_has_come_once(hosted: Hosted) -> None:
    for number in range(3):
        node = hosted.commit(f"before {number}")
        hosted.proxy.cut, pushes = BEFORE, hosted.proxy.pushes
        code, said = hosted.push()
        assert (code, hosted.arrived(node)) == (0, (1, 1)), said
        # The client has sent it once more by itself.
        assert hosted.proxy.pushes == pushes + 2
        assert "remote: seen by a hook" in said
        assert "changed while" not in said


def test_an_answer_that_is_cut_off_anywhere_is_an_answer_or_a_true_error(hosted: Hosted) -> None:
    node = hosted.commit("whole")
    assert hosted.push()[0] == 0
    size = hosted.proxy.answered
    assert size > 200
    for cut in range(0, size, max(size // CUTS, 1)):
        node = hosted.commit(f"cut at {cut}")
        hosted.proxy.cut = cut
        code, said = hosted.push()
        assert hosted.arrived(node) == (1, 1), (cut, said)
        if code:
            # It says that it lost the connection, not that somebody else was quicker.
            assert "changed while" not in said, (cut, said)
            assert "abort" in said, (cut, said)
            assert "no changes found" in HG7.refusal("push", folder=hosted.clone).decode()


def test_a_push_that_is_really_raced_is_refused(hosted: Hosted) -> None:
    """Somebody else's changeset on the same head came first."""
    other = hosted.clone.parent / "other"
    HG7.run("clone", hosted.served.url("team"), str(other), folder=hosted.clone.parent)
    hosted.commit("mine")
    (other / "other").write_text("other", encoding="utf-8")
    HG7.run("commit", "--addremove", "-m", "other", folder=other)
    HG7.run("push", folder=other)
    code, said = hosted.push()
    assert code
    assert "push creates new remote head" in said or "unsynced changes" in said
    HG7.run("push", "--force", folder=hosted.clone)
