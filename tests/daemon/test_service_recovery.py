"""What a killed process has left behind is rolled back at the start, before anybody asks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.hg import HgError
from support.repositories import make_repository, run_hg

if TYPE_CHECKING:
    from pathlib import Path

ROLLED_BACK = re.compile(r"an abandoned transaction of repository (\S+) was rolled back \(1 since")


def abandon(repository: Path) -> Path:
    """Have `hg` killed in the middle of a commit; the journal that it leaves."""
    (repository / "file").write_text("content")
    commit = ("commit", "-A", "-m", "never", "-u", "test", "-R", str(repository))
    with pytest.raises(HgError):
        run_hg(*commit, "--config", "hooks.pretxncommit=kill -9 $PPID", folder=repository)
    journal = repository / ".hg" / "store" / "journal"
    assert journal.exists()
    return journal


@pytest.mark.parametrize("prefix", ["/", "/team/*"])
def test_an_abandoned_transaction_is_rolled_back_before_the_first_request(
    tmp_path: Path, prefix: str
) -> None:
    team = tmp_path / "team"
    team.mkdir()
    repository = make_repository(team / "one")
    journal = abandon(repository)
    served = f"{team}/*" if "*" in prefix else str(repository)
    text = configuration(data=tmp_path / "data", framings={"exp-http-v2-0003": ["0006"]}).replace(
        "[paths]", f"[paths]\n{json.dumps(prefix)} = {json.dumps(served)}"
    )
    with Daemon.start(text, tmp_path) as daemon:
        daemon.wait_for_log(ROLLED_BACK)
        assert not journal.exists()
    assert run_hg("verify", "-q", folder=repository) == b""
